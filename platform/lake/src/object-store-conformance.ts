import assert from 'node:assert/strict';
import { PlatformError } from '@domicile/core/errors.ts';
import { type ErasableStore, keyLengthMax, type ObjectStore } from './object-store.ts';

export interface ConformanceCase<Store extends ObjectStore = ObjectStore> {
  readonly name: string;
  /** Rejects if the store breaks the promise. `folder` is a fresh key prefix without a slash at its end. */
  run(store: Store, folder: string): Promise<void>;
}

const page = { limit: 1000 };
const bytes = (text: string): Buffer => Buffer.from(text);

async function refused(code: string, work: () => Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => error instanceof PlatformError && error.code === code);
}

const reading: readonly ConformanceCase[] = [
  {
    name: 'what was created is read back, whole and in part',
    async run(store, folder) {
      const content = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 251));
      assert.equal(await store.createOnly(`${folder}/a/b.parquet`, content), true);
      assert.deepEqual(await store.get(`${folder}/a/b.parquet`), content);
      const part = await store.getRange(`${folder}/a/b.parquet`, { start: 66_000, end: 70_000 });
      assert.deepEqual(part, content.subarray(66_000));
      assert.equal((await store.head(`${folder}/a/b.parquet`))?.bytes, 70_000);
      const none = await store.getRange(`${folder}/a/b.parquet`, { start: 5, end: 5 });
      assert.equal(none.length, 0);
    },
  },
  {
    name: 'an empty object is an object',
    async run(store, folder) {
      assert.equal(await store.createOnly(`${folder}/empty`, bytes('')), true);
      assert.equal((await store.get(`${folder}/empty`))?.length, 0);
      assert.equal(await store.createOnly(`${folder}/empty`, bytes('x')), false);
    },
  },
  {
    name: 'what is not there is told as such',
    async run(store, folder) {
      assert.equal(await store.get(`${folder}/none`), undefined);
      assert.equal(await store.head(`${folder}/none`), undefined);
      assert.deepEqual(await store.list(`${folder}/none/`, page), []);
      await refused('NOT_FOUND', () => store.getRange(`${folder}/none`, { start: 0, end: 1 }));
      await store.createOnly(`${folder}/one`, bytes('1'));
      await refused('RANGE_NOT_SATISFIABLE', () =>
        store.getRange(`${folder}/one`, { start: 0, end: 2 }),
      );
      assert.equal(await store.get(`${folder}/one/below`), undefined);
    },
  },
];

const writing: readonly ConformanceCase[] = [
  {
    name: 'the first one wins and is left as it is',
    async run(store, folder) {
      assert.equal(await store.createOnly(`${folder}/once`, bytes('first')), true);
      const head = await store.head(`${folder}/once`);
      assert.equal(await store.createOnly(`${folder}/once`, bytes('second')), false);
      assert.equal(String(await store.get(`${folder}/once`)), 'first');
      assert.deepEqual(await store.head(`${folder}/once`), head);
    },
  },
  {
    name: 'of many at once exactly one creates',
    async run(store, folder) {
      const all = Array.from({ length: 20 }, async (_, index) =>
        store.createOnly(`${folder}/race`, bytes(`${index}`)),
      );
      const created = await Promise.all(all);
      assert.equal(created.filter(Boolean).length, 1);
      assert.equal(String(await store.get(`${folder}/race`)), `${created.indexOf(true)}`);
    },
  },
  {
    name: 'a pointer is replaced, and nothing else is',
    async run(store, folder) {
      await store.replacePointer(`${folder}/latest.json`, bytes('1'));
      const before = await store.head(`${folder}/latest.json`);
      await store.replacePointer(`${folder}/latest.json`, bytes('2'));
      assert.equal(String(await store.get(`${folder}/latest.json`)), '2');
      assert.notEqual((await store.head(`${folder}/latest.json`))?.generation, before?.generation);
      for (const name of ['data.json', 'latest', 'latest.json.bak', 'not-latest.json'])
        await refused('VALUE_INVALID', () => store.replacePointer(`${folder}/${name}`, bytes('3')));
    },
  },
];

const names: readonly ConformanceCase[] = [
  {
    name: 'keys are listed by rising name, below their folder only, in pages',
    async run(store, folder) {
      const keys = ['a/1', 'a/10', 'a/2', 'a.b/1', 'a/c/1', 'a/c.d', 'b/1', 'ab/1'];
      for (const key of keys) await store.createOnly(`${folder}/l/${key}`, bytes(key));
      const all = keys.map((key) => `${folder}/l/${key}`).toSorted();
      assert.deepEqual(await store.list(`${folder}/l/`, page), all);
      for (let after = 0; after < all.length; after += 1) {
        const rest = await store.list(`${folder}/l/`, { after: all[after] ?? '', limit: 3 });
        assert.deepEqual(rest, all.slice(after + 1, after + 4));
      }
      const inA = all.filter((key) => key.startsWith(`${folder}/l/a/`));
      assert.deepEqual(await store.list(`${folder}/l/a/`, page), inA);
    },
  },
  {
    name: 'no key leads out of the store',
    async run(store, folder) {
      const bad = [
        '..',
        '/etc/x',
        'a//b',
        'a/',
        './a',
        'a/./b',
        'a\\b',
        'a\0b',
        'a b',
        '.a',
        'ä',
        '',
      ];
      const keys = [...bad, `${folder}/../../x`, `${folder}/..`, `x/${'y'.repeat(keyLengthMax)}`];
      for (const key of keys) {
        await refused('VALUE_INVALID', () => store.createOnly(key, bytes('x')));
        await refused('VALUE_INVALID', () => store.get(key));
        await refused('VALUE_INVALID', () => store.getRange(key, { start: 0, end: 0 }));
        await refused('VALUE_INVALID', () => store.head(key));
        await refused('VALUE_INVALID', () => store.replacePointer(`${key}/latest.json`, bytes('')));
      }
      for (const prefix of ['', '/', '../', 'a', `${folder}/../`])
        await refused('VALUE_INVALID', () => store.list(prefix, page));
    },
  },
];

/** What every adapter has to pass before it is one. */
export const objectStoreCases: readonly ConformanceCase[] = [...reading, ...writing, ...names];

/** What a store that the eraser uses has to pass beside them. */
export const erasableStoreCases: readonly ConformanceCase<ErasableStore>[] = [
  {
    name: 'an eraser replaces what it has read, and nothing newer',
    async run(store, folder) {
      const key = `${folder}/mixed.parquet`;
      await store.createOnly(key, bytes('two buildings'));
      const before = (await store.head(key))?.generation ?? '';
      assert.equal(await store.replace(key, bytes('one building'), before), true);
      assert.equal(String(await store.get(key)), 'one building');
      assert.notEqual((await store.head(key))?.generation, before);
      assert.equal(await store.replace(key, bytes('late'), before), false);
      assert.equal(String(await store.get(key)), 'one building');
      assert.equal(await store.replace(`${folder}/none`, bytes('x'), before), false);
      assert.equal(await store.get(`${folder}/none`), undefined);
    },
  },
  {
    name: 'an eraser removes what it has read, and nothing newer',
    async run(store, folder) {
      const key = `${folder}/own.parquet`;
      await store.createOnly(key, bytes('erased'));
      const first = (await store.head(key))?.generation ?? '';
      await store.replace(key, bytes('changed'), first);
      assert.equal(await store.remove(key, first), false);
      assert.equal(String(await store.get(key)), 'changed');
      const second = (await store.head(key))?.generation ?? '';
      assert.equal(await store.remove(key, second), true);
      assert.equal(await store.get(key), undefined);
      assert.deepEqual(await store.list(`${folder}/`, page), []);
      assert.equal(await store.remove(key, second), true);
      assert.equal(await store.createOnly(key, bytes('anew')), true);
    },
  },
  {
    name: 'of many erasers at once exactly one replaces',
    async run(store, folder) {
      const key = `${folder}/contended.parquet`;
      await store.createOnly(key, bytes('before'));
      const generation = (await store.head(key))?.generation ?? '';
      const all = Array.from({ length: 10 }, async (_, index) =>
        store.replace(key, bytes(`${index}`), generation),
      );
      const replaced = await Promise.all(all);
      assert.equal(replaced.filter(Boolean).length, 1);
      assert.equal(String(await store.get(key)), `${replaced.indexOf(true)}`);
    },
  },
  {
    name: 'an eraser reaches nothing outside of the store',
    async run(store, folder) {
      for (const key of ['..', '/etc/x', `${folder}/../../x`, 'a//b', '']) {
        await refused('VALUE_INVALID', () => store.replace(key, bytes('x'), '1'));
        await refused('VALUE_INVALID', () => store.remove(key, '1'));
      }
    },
  },
];
