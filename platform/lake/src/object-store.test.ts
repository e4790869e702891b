import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FsObjectStore } from './fs/fs-object-store.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { erasableStoreCases, objectStoreCases } from './object-store-conformance.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lake-'));
});
afterAll(async () => rm(root, { recursive: true }));

describe.each(['fs', 'memory'])('%s', (name) => {
  test.each([...objectStoreCases, ...erasableStoreCases])('$name', async (promise) => {
    const store =
      name === 'fs' ? new FsObjectStore(join(root, 'a', 'lake')) : new MemoryObjectStore();
    const folder = `test-${Math.random().toString(36).slice(2)}`;
    await expect(promise.run(store, folder)).resolves.toBeUndefined();
  });
});

test('a link in the place of an object is not followed, and nothing half written is left behind', async () => {
  const store = new FsObjectStore(join(root, 'links'));
  await store.createOnly('kept/object', Buffer.from('kept'));
  await writeFile(join(root, 'secret'), 'secret');
  await symlink(join(root, 'secret'), join(root, 'links', 'kept', 'link'));
  expect(await store.get('kept/link')).toBeUndefined();
  expect(await store.createOnly('kept/link', Buffer.from('over'))).toBe(false);
  expect(await readFile(join(root, 'secret'), 'utf8')).toBe('secret');
  expect(await store.list('kept/', { limit: 10 })).toEqual(['kept/object']);
  expect(await readdir(join(root, 'links', '.incoming'))).toEqual([]);
});

test('what a killed writer left is removed after an hour, and not before', async () => {
  const folder = join(root, 'left', '.incoming');
  await mkdir(folder, { recursive: true });
  for (const name of ['old', 'new']) await writeFile(join(folder, name), name);
  await utimes(join(folder, 'old'), 0, Date.now() / 1000 - 3_700);
  await new FsObjectStore(join(root, 'left')).createOnly('a', Buffer.from('a'));
  expect(await readdir(folder)).toEqual(['new']);
});

test('a writer that could not clear up tries again at the next object', async () => {
  const folder = join(root, 'unclear', '.incoming');
  // Nothing that a writer leaves: it is not removed.
  await mkdir(join(folder, 'strange'), { recursive: true });
  await utimes(join(folder, 'strange'), 0, Date.now() / 1000 - 3_700);
  const store = new FsObjectStore(join(root, 'unclear'));
  await expect(store.createOnly('a', Buffer.from('a'))).rejects.toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
  });
  await rm(join(folder, 'strange'), { recursive: true });
  expect(await store.createOnly('a', Buffer.from('a'))).toBe(true);
});
