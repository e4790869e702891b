import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FsObjectStore } from './fs/fs-object-store.ts';
import { filesOfFolder, LocalCopies } from './local-files.ts';
import { MemoryObjectStore } from './memory-object-store.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'copies-'));
});
afterAll(async () => rm(root, { recursive: true }));

const ever = new AbortController().signal;
let count = 0;

/** A store of six files of ten bytes, and room for three copies. */
async function opened(options: { freshMs?: number; idleMs?: number; held?: Promise<void> } = {}) {
  const store = new MemoryObjectStore();
  const files = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({
    key: `landing/${name}`,
    bytes: 10,
  }));
  for (const { key } of files) await store.createOnly(key, Buffer.from(key.padEnd(10, '.')));
  const gets: string[] = [];
  const counted = new Proxy(store, {
    get(target, name) {
      if (name !== 'get') {
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (key: string) => {
        gets.push(key);
        await options.held;
        return target.get(key);
      };
    },
  });
  count += 1;
  const dir = join(root, `${count}`);
  const copies = await LocalCopies.open({ store: counted, dir, bytesMax: 30, ...options });
  return { store, files, gets, dir, copies };
}

async function texts(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map(async (path) => readFile(path, 'utf8')));
}

test('files are fetched once, in their order, and the least recently used go first', async () => {
  const { files, gets, dir, copies } = await opened();
  await using _closed = copies;
  const abc = await copies.borrow(files.slice(0, 3), ever, texts);
  expect(abc).toEqual(['landing/a.', 'landing/b.', 'landing/c.']);
  await copies.borrow(files.slice(0, 1), ever, texts);
  expect(await copies.borrow(files.slice(3, 5), ever, texts)).toEqual(['landing/d.', 'landing/e.']);
  expect(copies.bytes).toBe(30);
  await copies.borrow(files.slice(0, 1), ever, texts);
  expect(gets).toEqual(['a', 'b', 'c', 'd', 'e'].map((name) => `landing/${name}`));
  await expect.poll(() => readdir(dir)).toHaveLength(3);
});

test('what is in use stays, and who needs its room waits or gives up', async () => {
  const { files, copies } = await opened();
  await using _closed = copies;
  const done = Promise.withResolvers<void>();
  const first = copies.borrow(files.slice(0, 2), ever, async (paths) => {
    await done.promise;
    return texts(paths);
  });
  await sleep(10);
  const leaving = new AbortController();
  const impatient = copies.borrow(files.slice(2, 5), leaving.signal, texts);
  leaving.abort(new Error('gone'));
  await expect(impatient).rejects.toThrow('gone');
  let hasAnswered = false;
  const second = copies.borrow(files.slice(2, 5), ever, texts).finally(() => (hasAnswered = true));
  await sleep(10);
  expect(hasAnswered).toBe(false);
  expect(await copies.borrow(files.slice(5), ever, texts)).toEqual(['landing/f.']);
  done.resolve();
  expect(await first).toEqual(['landing/a.', 'landing/b.']);
  expect(await second).toEqual(['landing/c.', 'landing/d.', 'landing/e.']);
});

test('who asks a store that hangs gives up in time, and what is on its way keeps its place until it ends', async () => {
  const { promise: held, resolve: answer } = Promise.withResolvers<void>();
  const { files, gets, dir, copies } = await opened({ held });
  await using _closed = copies;
  for (let round = 0; round < 3; round += 1)
    await expect(
      copies.borrow(files.slice(0, 3), AbortSignal.timeout(20), texts),
    ).rejects.toMatchObject({ name: 'TimeoutError' });
  expect(copies.bytes).toBe(30);
  await expect(copies.borrow(files.slice(3), AbortSignal.timeout(20), texts)).rejects.toMatchObject(
    { name: 'TimeoutError' },
  );
  expect(gets).toHaveLength(3);
  answer();
  expect(await copies.borrow(files.slice(3), ever, texts)).toHaveLength(3);
  while ((await readdir(dir)).length > 3) await sleep(10);
  expect(copies.bytes).toBe(30);
});

test('many questions at once over few places all get their own files', async () => {
  const { files, copies } = await opened();
  await using _closed = copies;
  const asked = Array.from({ length: 40 }, async (_, index) => {
    const some = [files[index % 6], files[(index + 1) % 6]].filter((file) => file !== undefined);
    const read = await copies.borrow(some, ever, texts);
    return read.join() === some.map(({ key }) => key.padEnd(10, '.')).join();
  });
  expect((await Promise.all(asked)).every(Boolean)).toBe(true);
  expect(copies.bytes).toBeLessThanOrEqual(30);
});

test('more than fits is refused, and a file that is not there is told', async () => {
  const { files, copies, store } = await opened();
  await using _closed = copies;
  await expect(copies.borrow(files, ever, texts)).rejects.toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
  });
  store.harm('landing/a');
  await expect(copies.borrow(files.slice(0, 2), ever, texts)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  await expect.poll(() => copies.bytes).toBe(10);
});

test('what was erased in the store is not answered from a copy, and no copy outlives its use for long', async () => {
  const { files, copies, store, dir } = await opened({ freshMs: 0, idleMs: 300 });
  await using _closed = copies;
  await copies.borrow(files.slice(0, 1), ever, texts);
  const generation = (await store.head('landing/a'))?.generation ?? '';
  await store.replace('landing/a', Buffer.from('rewritten.'), generation);
  await sleep(2);
  // Two that find it out at once give its place back once.
  const asked = [1, 2].map(() => copies.borrow(files.slice(0, 1), ever, texts));
  expect(await Promise.all(asked)).toEqual([['rewritten.'], ['rewritten.']]);
  expect(copies.bytes).toBe(10);
  while ((await readdir(dir)).length > 0) await sleep(10);
  expect(copies.bytes).toBe(0);
});

test('copies of files that are named no more are removed, those in use when they are given back', async () => {
  const { files, copies, dir } = await opened();
  await using _closed = copies;
  await copies.borrow(files.slice(0, 2), ever, async (paths) => {
    copies.keepOnly(new Set(['landing/b']));
    expect(await texts(paths)).toEqual(['landing/a.', 'landing/b.']);
  });
  while ((await readdir(dir)).length > 1) await sleep(10);
  expect(copies.bytes).toBe(10);
});

test('a copy that the disk has no room for leaves nothing behind', async () => {
  const dir = join(root, 'full');
  const from = new URL('./local-files.ts', import.meta.url).href;
  const code = `
    const { LocalCopies } = await import('${from}');
    const store = { head: async () => undefined, get: async () => Buffer.alloc(1 << 20) };
    const copies = await LocalCopies.open({ store, dir: '${dir}', bytesMax: 1 << 21 });
    const files = [{ key: 'landing/a', bytes: 1 << 20 }];
    const borrowed = copies.borrow(files, new AbortController().signal, async () => 'whole');
    process.stdout.write(await borrowed.catch(({ code }) => code));`;
  // The size of a file is bounded, so that it is written in part.
  const limited = `trap '' XFSZ; ulimit -f 64; exec "$0" "$@"`;
  const script = ['-c', limited, process.execPath, '--input-type=module', '-e', code];
  expect((await promisify(execFile)('bash', script)).stdout).toBe('EFBIG');
  expect(await readdir(dir)).toEqual([]);
});

test('a folder needs no copies', async () => {
  const dir = join(root, 'folder');
  const store = new FsObjectStore(dir);
  await store.createOnly('landing/a', Buffer.from('as it is'));
  const files = filesOfFolder(dir);
  const [key, bytes] = ['landing/a', 8];
  expect(await files.borrow([{ key, bytes }], ever, texts)).toEqual(['as it is']);
  await expect(files.borrow([{ key: 'landing/b', bytes }], ever, texts)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});
