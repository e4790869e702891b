import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAgentEvents } from '../events.ts';
import { countOf, holds } from '../model/ranges.ts';
import type { StoredRecord } from '../model/record.ts';
import { TestRandom } from '../model/test-random.ts';
import { listSegments } from './files.ts';
import { type StoreOptions, openStore } from './open-store.ts';
import type { Entry, Store } from './store.ts';

const log = createLog('gateway-agent', { write: () => undefined });
let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gateway-store-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function opened(options: Partial<StoreOptions> = {}): Promise<Store> {
  return openStore({
    directory,
    bytesMax: 100_000_000,
    freeBytesMin: 0,
    segmentBytesMax: 4000,
    whenFull: 'refuse',
    checkpointEveryMs: 60_000,
    events: createAgentEvents(new Registry(), log),
    listener: { appended: () => undefined, accountChanged: () => undefined },
    fail: (error) => {
      throw error;
    },
    now: () => 1_800_000_000_000,
    ...options,
  });
}

function entry(device: string, n: number, more = ''): Entry {
  return { device, lane: 'live', reading: { kind: 'own', text: `{"values":{"n":${n}}${more}}` } };
}

const limits = { recordsMax: 7, bytesMax: 1000 };

async function all(store: Store): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  let from = store.unsent[0]?.from ?? store.next;
  while (from < store.next) {
    const part = await store.read(from, store.next, limits);
    records.push(...part.records.map((record) => ({ ...record, body: Buffer.from(record.body) })));
    from = part.next;
  }
  return records;
}

async function fill(store: Store, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await store.append([entry(`d${n % 3}`, n)]);
}

test('what was appended is read back in order, over many segments and a restart', async () => {
  {
    await using store = await opened();
    await fill(store, 100);
    expect((await all(store)).map(({ index }) => index)).toEqual(
      Array.from({ length: 100 }, (_, index) => index),
    );
  }
  await using store = await opened();
  const bodies = (await all(store)).map(({ body }): unknown => JSON.parse(body.toString()));
  expect(bodies).toHaveLength(100);
  expect(bodies[99]).toEqual({ boot: store.boot, seq: 33, values: { n: 99 } });
  await store.append([entry('d0', 100)]);
  expect((await all(store)).at(-1)).toMatchObject({ index: 100, device: 'd0', seq: 34 });
  expect((await listSegments(directory)).length).toBeGreaterThan(3);
});

test('what is read while more is written is all there, each record once', async () => {
  await using store = await opened({ segmentBytesMax: 20_000 });
  const total = 3000;
  const read: number[] = [];
  const reading = (async () => {
    for (let from = 0; from < total;) {
      const { next } = store;
      if (from === next) await new Promise((resolve) => setTimeout(resolve, 1));
      const part = await store.read(from, next, { recordsMax: 50, bytesMax: 10_000 });
      read.push(...part.records.map(({ index }) => index));
      from = part.next;
    }
  })();
  for (let n = 0; n < total; n += 20)
    await store.append(Array.from({ length: 20 }, (_, place) => entry('d', n + place)));
  await reading;
  expect(read).toEqual(Array.from({ length: total }, (_, index) => index));
});

test('appends that come together are synced together, each answered, in the order of the calls', async () => {
  const batches: number[] = [];
  const listener = {
    appended: (records: readonly StoredRecord[]) => void batches.push(records.length),
    accountChanged: () => undefined,
  };
  await using store = await opened({ listener });
  await Promise.all(Array.from({ length: 50 }, (_, n) => store.append([entry('d', n)])));
  expect(batches.reduce((sum, count) => sum + count, 0)).toBe(50);
  expect(batches.length).toBeLessThan(10);
  const values = (await all(store)).map(({ seq }) => seq);
  expect(values).toEqual(Array.from({ length: 50 }, (_, n) => n));
});

test('segments go when all of them is sent, and numbering goes on after all are gone', async () => {
  {
    await using store = await opened();
    await fill(store, 100);
    store.sentUpTo(0, 100);
  }
  await using store = await opened();
  expect(store.unsent).toEqual([]);
  expect(await listSegments(directory)).toHaveLength(1);
  expect(store.numbersOf('d0')).toEqual({ own: 34 });
  await store.append([entry('d0', 100)]);
  expect((await all(store)).map(({ seq }) => seq)).toEqual([34]);
});

test('nothing unsent is removed, wherever it stands', async () => {
  await using store = await opened();
  await fill(store, 100);
  store.sentUpTo(0, 10);
  store.sentUpTo(11, 60);
  store.sent([70, 71, 72, 90]);
  await store.checkpoint();
  const left = [10, ...Array.from({ length: 40 }, (_, n) => 60 + n)].filter(
    (index) => ![70, 71, 72, 90].includes(index),
  );
  const read = new Set((await all(store)).map(({ index }) => index));
  expect(left.filter((index) => !read.has(index))).toEqual([]);
  expect(countOf(store.unsent)).toBe(left.length);
});

test('what is appended while marks are written is never taken for sent', async () => {
  // Marks of thousands of devices take their time.
  await using store = await opened({ segmentBytesMax: 1, checkpointEveryMs: 10 });
  await store.append(Array.from({ length: 5000 }, (_, n) => entry(`device-${n}`, n)));
  for (let round = 0; round < 20; round += 1) {
    const marked = store.checkpoint();
    for (let n = 0; n < 5; n += 1) await store.append([entry('d', n)]);
    await marked;
  }
  let from = 5000;
  const read: number[] = [];
  while (from < store.next) {
    const part = await store.read(from, store.next, limits);
    read.push(...part.records.map(({ index }) => index));
    from = part.next;
  }
  expect(read).toEqual(Array.from({ length: 100 }, (_, n) => 5000 + n));
});

test('a full store refuses, takes nothing of what it refuses, and takes again when there is room', async () => {
  await using store = await opened({ bytesMax: 12_000 });
  let taken = 0;
  const error = await (async () => {
    for (;;) {
      await store.append([entry('d', taken)]);
      taken += 1;
    }
  })().catch((refusal: unknown) => refusal);
  expect(error).toMatchObject({ code: 'STORE_FULL' });
  expect(store.next).toBe(taken);
  store.sentUpTo(0, taken);
  await store.checkpoint();
  await store.append([entry('d', taken)]);
  expect((await all(store)).at(-1)?.seq).toBe(taken);
});

test('told to, a full store drops the oldest, and each number of it stands in the account', async () => {
  await using store = await opened({ bytesMax: 12_000, whenFull: 'drop-oldest' });
  await fill(store, 200);
  expect(store.bytes).toBeLessThan(13_000);
  const left = await all(store);
  const { dropped } = store.account(0);
  const droppedCount = dropped.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  expect(droppedCount).toBeGreaterThan(50);
  expect(left.length + droppedCount).toBe(200);
  expect(new Set(dropped.map(({ reason }) => reason))).toEqual(new Set(['store-full']));
});

test('a torn write at the end costs no run, and what was cut is set aside', async () => {
  let boot = '';
  {
    await using store = await opened({ segmentBytesMax: 100_000 });
    await fill(store, 20);
    ({ boot } = store);
  }
  const newest = (await listSegments(directory)).at(-1)?.path ?? '';
  const bytes = await readFile(newest);
  const begun = bytes.lastIndexOf('DMR1');
  await writeFile(newest, Buffer.concat([bytes, bytes.subarray(begun, begun + 60)]));
  // The checkpoint of an orderly stop names 20 records, and 20 are there.
  await using store = await opened();
  expect(store.boot).toBe(boot);
  expect(store.next).toBe(20);
  expect((await readdir(directory)).some((name) => name.endsWith('.cut'))).toBe(true);
});

test('lost records renew the run, with an account of what is gone, and both runs can be told apart', async () => {
  {
    await using store = await opened({ segmentBytesMax: 100_000 });
    await fill(store, 20);
  }
  const newest = (await listSegments(directory)).at(-1)?.path ?? '';
  await truncate(newest, (await stat(newest)).size - 150);
  await using store = await opened();
  const { numbers, dropped } = store.account(0);
  expect(numbers['d0']).toMatchObject({ own: 0, ownBefore: { next: 7 } });
  const gone = dropped.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  expect(gone).toBeGreaterThan(0);
  expect((await all(store)).length).toBe(20 - gone);
  await store.append([entry('d0', 99)]);
  const last = (await all(store)).at(-1);
  expect(last).toMatchObject({ seq: 0, boot: store.boot });
});

test('damage in the middle is found when it is read, and the rest of it goes up', async () => {
  {
    await using store = await opened();
    await fill(store, 100);
  }
  const [oldest] = await listSegments(directory);
  const bytes = await readFile(oldest?.path ?? '');
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  await writeFile(oldest?.path ?? '', bytes);
  await using store = await opened();
  const read = await all(store);
  expect(read).toHaveLength(99);
  const { dropped } = store.account(0);
  expect(dropped).toHaveLength(1);
  expect(dropped[0]).toMatchObject({ reason: 'unreadable', boot: store.boot });
  const known = new Set(read.map(({ device, seq }) => `${device} ${seq}`));
  expect(known.has(`${dropped[0]?.device} ${dropped[0]?.from}`)).toBe(false);
});

/** Appends, acks and checkpoints by chance; keeps in `unsent` what was never acked. */
async function live(store: Store, random: TestRandom, unsent: Set<number>): Promise<void> {
  for (let step = 0; step < 25; step += 1) {
    const { next } = store;
    const many = Array.from({ length: 1 + random.below(4) }, (_, n) =>
      entry(`d${random.below(3)}`, n),
    );
    await store.append(many);
    for (const place of many.keys()) unsent.add(next + place);
    const sent = [...unsent].filter(() => random.next() < 0.2);
    store.sent(sent);
    for (const index of sent) unsent.delete(index);
    if (random.next() < 0.1) await store.checkpoint();
  }
}

test('over random work, kills and restarts, nothing unsent is missing and one run numbers it all', async () => {
  for (let seed = 0; seed < 15; seed += 1) {
    const random = new TestRandom(seed);
    await rm(directory, { recursive: true, force: true });
    const unsent = new Set<number>();
    const boots = new Set<string>();
    for (let life = 0; life < 4; life += 1) {
      const store = await opened({ segmentBytesMax: 1500 });
      await live(store, random, unsent);
      const read = await all(store);
      const indices = new Set(read.map(({ index }) => index));
      expect(
        [...unsent].filter((index) => !indices.has(index) || !holds(store.unsent, index)),
        `seed ${seed}`,
      ).toEqual([]);
      for (const { boot } of read) boots.add(boot);
      // The other lives end as by a kill: the next one opens the same files.
      if (random.next() < 0.5) await store[Symbol.asyncDispose]();
    }
    expect(boots.size, `seed ${seed}`).toBe(1);
  }
});

test('segments of several windows are read whole, damaged ones but for what is damaged', async () => {
  const long = `,"more":"${'x'.repeat(30_000)}"`;
  {
    await using store = await opened({ segmentBytesMax: 100_000_000 });
    for (let n = 0; n < 150; n += 10)
      await store.append(Array.from({ length: 10 }, (_, place) => entry('d', n + place, long)));
    expect((await all(store)).map(({ seq }) => seq)).toHaveLength(150);
  }
  const [oldest] = await listSegments(directory);
  const bytes = await readFile(oldest?.path ?? '');
  // Two hits in heads, one at a place that a window cuts, and one in a body.
  const heads = [40, 41, 80].map((place) => nthHead(bytes, place));
  for (const at of heads) bytes[at + 9] = (bytes[at + 9] ?? 0) ^ 0xff;
  const body = nthHead(bytes, 120) + 500;
  bytes[body] = (bytes[body] ?? 0) ^ 0xff;
  await writeFile(oldest?.path ?? '', bytes);
  await using store = await opened();
  const read = new Set((await all(store)).map(({ seq }) => seq));
  const lost = Array.from({ length: 150 }, (_, seq) => seq).filter((seq) => !read.has(seq));
  expect(lost).toEqual([39, 40, 79, 119]);
  const { dropped } = store.account(0);
  expect(new Set(dropped.map(({ from, to }) => `${from}–${to}`))).toEqual(
    new Set(['39–40', '79–79', '119–119']),
  );
});

/** Where the head of a segment's record stands; 0 is the segment's own. */
function nthHead(bytes: Buffer, place: number): number {
  let at = 0;
  for (let n = 0; n < place; n += 1) at = bytes.indexOf('DMR1', at + 1);
  return at;
}
