import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crc32cOf } from '../model/crc32c.ts';
import { FsObjectStore } from './fs-object-store.ts';

const writer = fileURLToPath(new URL('fs-writer.ts', import.meta.url));
let root = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'fs-store-'));
});
afterAll(async () => rm(root, { recursive: true }));

/** Runs a writer until it has kept `promises` promises, and kills it at some moment after that. */
async function writeAndKill(folder: string, promises: number): Promise<number[]> {
  // It ends with this process, whatever becomes of that.
  const command = ['--pdeathsig', 'KILL', process.execPath, writer, root, folder];
  const child = spawn('setpriv', command, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.on('data', (chunk: Buffer) => (told += String(chunk)));
  while (told.split('\n').length <= promises) await sleep(1);
  await sleep(Math.random() * 5);
  // What it said last is read when its output has ended, not when it has.
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
  return told.split('\n').slice(0, -1).map(Number.parseFloat);
}

function isWhole(content: Buffer): boolean {
  const body = content.subarray(0, -8);
  return crc32cOf(body) === content.subarray(-8).toString();
}

test('killed at any instant: what was promised is there, what is there is whole, and the next writer goes on', async () => {
  const store = new FsObjectStore(root);
  for (let round = 0; round < 8; round += 1) {
    const folder = `round-${round}`;
    const promised = await writeAndKill(folder, 2 + round);
    expect(promised).toEqual(promised.map((_, index) => index));
    const keys = await store.list(`${folder}/objects/`, { limit: 1000 });
    expect(keys.length).toBeGreaterThanOrEqual(promised.length);
    expect(keys.length).toBeLessThanOrEqual(promised.length + 1);
    for (const key of keys) expect(isWhole((await store.get(key)) ?? Buffer.alloc(8))).toBe(true);
    const pointer = (await store.get(`${folder}/latest.json`)) ?? Buffer.alloc(8);
    expect(isWhole(pointer)).toBe(true);
    expect(await store.createOnly(`${folder}/objects/0`, Buffer.from('over'))).toBe(false);
    expect(await store.createOnly(`${folder}/objects/next`, Buffer.from('next'))).toBe(true);
  }
});

test('what a killed process was removing is removed by the next one at once, and what a living one holds is waited for', async () => {
  const store = new FsObjectStore(root);
  const lock = join(
    root,
    '.incoming',
    `lock-${createHash('sha256').update('locked/a').digest('hex')}`,
  );
  const ended = spawn(process.execPath, ['--eval', '']);
  await once(ended, 'close');
  const holders = [ended.pid, process.pid].map((pid) => `${pid} ${randomUUID()} ${hostname()}`);
  for (const holder of holders) {
    await store.createOnly('locked/a', Buffer.from('x'));
    await writeFile(lock, holder);
    expect(await store.remove('locked/a', (await store.head('locked/a'))?.generation ?? '')).toBe(
      true,
    );
    expect(await store.head('locked/a')).toBe(undefined);
  }
  await store.createOnly('locked/a', Buffer.from('x'));
  await writeFile(lock, `${process.ppid} ${randomUUID()} ${hostname()}`);
  let isRemoved = false;
  const generation = (await store.head('locked/a'))?.generation ?? '';
  const removal = store.remove('locked/a', generation).finally(() => (isRemoved = true));
  await sleep(300);
  expect([isRemoved, await store.head('locked/a')]).toMatchObject([false, { bytes: 1 }]);
  await rm(lock);
  expect(await removal).toBe(true);
});

test('a process that may read one folder alone is refused the rest by the system, as FORBIDDEN', async () => {
  const store = new FsObjectStore(root);
  await store.createOnly('serving/a.json', Buffer.from('seen'));
  await store.createOnly('landing/b.json', Buffer.from('unseen'));
  const code = `
    import { FsObjectStore } from ${JSON.stringify(new URL('fs-object-store.ts', import.meta.url).href)};
    const store = new FsObjectStore(${JSON.stringify(root)});
    const tried = async (key) => store.get(key).then(String, (error) => error.code);
    console.log(await tried('serving/a.json'), await tried('landing/b.json'), await tried('serving/none'));
    console.log(await store.createOnly('serving/c.json', Buffer.from('x')).catch((error) => error.code));`;
  const repository = fileURLToPath(new URL('../../../..', import.meta.url));
  const child = spawn(
    process.execPath,
    [
      '--permission',
      `--allow-fs-read=${repository}*`,
      `--allow-fs-read=${join(root, 'serving')}/*`,
      '--input-type=module-typescript',
      '--eval',
      code,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let told = '';
  child.stdout.on('data', (chunk: Buffer) => (told += String(chunk)));
  await once(child, 'close');
  expect(told.split('\n')).toEqual(['seen FORBIDDEN undefined', 'FORBIDDEN', '']);
});
