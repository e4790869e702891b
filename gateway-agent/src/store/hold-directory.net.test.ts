import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { holdDirectory, tryHold } from './hold-directory.ts';
import { StoreSet } from './store-set.ts';
import { testStore } from './test-store.ts';

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'gateway-hold-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('one holder at a time: another is refused, and comes in when the first has gone', async () => {
  const path = join(await directory(), 'data');
  const first = await holdDirectory(path, 100);
  await expect(holdDirectory(path, 200)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(await tryHold(path)).toBeUndefined();
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  await using _second = await holdDirectory(path, 100);
});

test('a store that another has open is left alone until it goes; then it is drained and removed, its numbers told as the run before', async () => {
  const dataDirectory = await directory();
  const open = (path: string) => testStore({ directory: path });
  const old = await StoreSet.begin('newest', { dataDirectory, open });
  const entry = { device: 'd', lane: 'live', reading: { kind: 'own', text: '{}' } } as const;
  await old.main.append([entry, entry, entry]);
  const { boot } = old.main;
  await using stores = await StoreSet.begin('new', { dataDirectory, open });
  const stop = new AbortController();
  const told: number[] = [];
  let opened = 0;
  const tellAccount = async () => {
    told.push(...stores.accounts(0).map(({ numbers }) => numbers['d']?.own ?? -1));
    return true;
  };
  const running = stores.run({ tellAccount, opened: () => void (opened += 1) }, stop.signal);
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(stores.older).toEqual([]);
  expect(opened).toBe(0);
  await stores.main.append([entry]);
  await old[Symbol.asyncDispose]();
  await expect.poll(() => stores.older.length).toBe(1);
  expect(stores.numbersOf('d')).toEqual({ own: 1 });
  stores.older[0]?.sentUpTo(0, 3);
  await expect.poll(() => stores.older.length).toBe(0);
  stop.abort();
  await running;
  expect(opened).toBe(1);
  expect(told).toEqual([1, 3]);
  expect(stores.main.numbersOf('d')).toEqual({ own: 1, ownBefore: { boot, next: 3 } });
});

test('a stop does not wait for a cell that never acks the account', async () => {
  const dataDirectory = await directory();
  const open = (path: string) => testStore({ directory: path });
  const old = await StoreSet.begin('newest', { dataDirectory, open });
  await using stores = await StoreSet.begin('new', { dataDirectory, open });
  await old[Symbol.asyncDispose]();
  const stop = new AbortController();
  const told = Promise.withResolvers<void>();
  const tellAccount = () => {
    told.resolve();
    return new Promise<never>(() => undefined);
  };
  const running = stores.run({ tellAccount, opened: () => undefined }, stop.signal);
  await told.promise;
  stop.abort();
  await expect(running).rejects.toMatchObject({ name: 'AbortError' });
  expect(stores.older).toHaveLength(1);
});
