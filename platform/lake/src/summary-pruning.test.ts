import { fail } from 'node:assert/strict';
import { PlatformError } from '@domicile/core/errors.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { expect, test } from 'vitest';
import { eraseSummaries } from './erasure/summary-erasure.ts';
import { erasureOf } from './erasure/test-zone.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { parseSummaryManifest, summarySnapshotKey } from './model/summary-manifest.ts';
import { summaryIntervals } from './model/summary-windows.ts';
import { type SummaryAnswer, SummarySnapshots } from './serving-summaries.ts';
import { removalsPerRoundMax, SummaryPruning } from './summary-pruning.ts';
import { SummaryWriter } from './summary-writer.ts';
import { flushTail, tailOf, windowWith } from './test-minutes.ts';

const startMs = Date.UTC(2026, 10, 22);
const minuteMs = 60_000;
const graceMs = 1_000;
const zones = new Map(['de-a', 'de-b'].map((id) => [id, 'Europe/Berlin']));

function windowOf(building: string, minute: number): SummaryRecord {
  return windowWith(minute, { building, windowStartMs: startMs + minute * minuteMs });
}

/** So many snapshots of twenty minutes each, from a minute on. */
async function flush(writer: SummaryWriter, from: number, snapshots = 1): Promise<void> {
  for (let minute = from; minute < from + snapshots * 20; minute += 20) {
    const windows = [...zones.keys()].flatMap((building) =>
      Array.from({ length: 20 }, (_, more) => windowOf(building, minute + more)),
    );
    await flushTail(writer, tailOf(writer, windows), zones);
  }
}

/** Prunes until nothing is left to remove; gives what was removed. */
async function prune(store: MemoryObjectStore, writer: SummaryWriter) {
  let nowMs = 0;
  const pruning = new SummaryPruning({ store, graceMs, now: () => nowMs });
  await pruning.round(writer.published);
  nowMs += graceMs;
  const sum = { snapshots: 0, files: 0, bytes: 0 };
  for (let isDone = false; !isDone;) {
    const report = await pruning.round(writer.published);
    expect(report.snapshots + report.files).toBeLessThanOrEqual(removalsPerRoundMax);
    sum.snapshots += report.snapshots;
    sum.files += report.files;
    sum.bytes += report.bytes;
    ({ isDone } = report);
  }
  return sum;
}

async function keysOf(store: MemoryObjectStore): Promise<string[]> {
  return store.list('serving/', { limit: 1e6 });
}

/** What a store must be at every instant: who can read a snapshot can read the files that it names. */
async function requireWhole(store: MemoryObjectStore): Promise<void> {
  const keys = new Set(await keysOf(store));
  for (const key of keys) {
    if (!key.includes('/pt1m/v1/snapshots/')) continue;
    const { files } = parseSummaryManifest((await store.get(key)) ?? fail(key));
    for (const interval of summaryIntervals)
      for (const file of files[interval])
        expect([key, file.key, keys.has(file.key)]).toEqual([key, file.key, true]);
  }
}

async function answersOf(snapshots: Pick<SummarySnapshots, 'current'>): Promise<SummaryAnswer[]> {
  const answers = [];
  for (const building of zones.keys())
    for (const interval of summaryIntervals)
      answers.push(
        await snapshots.current.read({
          interval,
          building,
          timeZone: 'Europe/Berlin',
          fromMs: startMs - 86_400_000,
          toMs: startMs + 3 * 86_400_000,
        }),
      );
  return answers;
}

test('what is superseded goes when the grace is over and not before, and all that is named stays', async () => {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  await flush(writer, 0, 100);
  const before = await answersOf(await SummarySnapshots.open(store));
  let nowMs = 5_000;
  const pruning = new SummaryPruning({ store, graceMs, now: () => nowMs });
  await pruning.round(writer.published);
  await flush(writer, 2_000, 10);
  const keys = await keysOf(store);
  nowMs += graceMs - 1;
  expect(await pruning.round(writer.published)).toMatchObject({ snapshots: 0, files: 0 });
  expect(await keysOf(store)).toEqual(keys);

  nowMs += 1;
  const removed = { snapshots: 0, files: 0 };
  for (let isDone = false; !isDone;) {
    const report = await pruning.round(writer.published);
    removed.snapshots += report.snapshots;
    removed.files += report.files;
    ({ isDone } = report);
    await requireWhole(store);
  }
  const left = await keysOf(store);
  expect(keys.length - left.length).toBe(removed.snapshots + removed.files);
  // Those of the mark and of all since: eleven of each interval.
  expect(removed.snapshots).toBe(4 * 99);
  expect(left.filter((key) => key.includes('/snapshots/'))).toHaveLength(4 * 11);
  expect(removed.files).toBeGreaterThan(100);
  expect(await answersOf(await SummarySnapshots.open(store))).not.toEqual(before);

  await prune(store, writer);
  const { files } = writer.published;
  const named = summaryIntervals.flatMap((interval) => files[interval].map(({ key }) => key));
  const held = (await keysOf(store)).filter((key) => key.includes('/data/'));
  expect(held).toEqual(named.toSorted());
});

test('whoever holds an old snapshot reads on, by a newer one, and misses nothing of its tail', async () => {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  await flush(writer, 0, 20);
  const reader = await SummarySnapshots.open(store);
  const held = reader.current;
  await flush(writer, 400, 60);
  await prune(store, writer);
  expect(await store.get(summarySnapshotKey('PT1M', held.number))).toBe(undefined);
  const tail = Array.from({ length: 1_200 }, (_, minute) => windowOf('de-a', 400 + minute));
  const { rows } = await held.read({
    interval: 'PT1M',
    building: 'de-a',
    fromMs: startMs,
    toMs: startMs + 86_400_000,
    tail,
  });
  expect(rows.map(({ windowStartMs }) => (windowStartMs - startMs) / minuteMs)).toEqual(
    Array.from({ length: 1_440 }, (_, minute) => minute),
  );
  expect(rows.every((row) => row.base?.[0] === 1 && row.late === null)).toBe(true);
  // It has not gone on by itself: its tail is dropped when it is told to.
  expect(reader.current).toBe(held);
  expect(await reader.refresh()).toBe(true);
  expect(await answersOf(reader)).toEqual(await answersOf(await SummarySnapshots.open(store)));
});

test('a file that nobody prunes is missed as before', async () => {
  const store = new MemoryObjectStore();
  await flush(await SummaryWriter.open(store), 0);
  const { current } = await SummarySnapshots.open(store);
  for (const key of await store.list('serving/summaries/pt1m/v1/data/', { limit: 9 }))
    store.harm(key);
  const period = { fromMs: startMs, toMs: startMs + minuteMs };
  const asked = current.read({ interval: 'PT1M', building: 'de-a', ...period });
  await expect(asked).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

async function copyOf(store: MemoryObjectStore): Promise<MemoryObjectStore> {
  const copy = new MemoryObjectStore();
  for (const key of await keysOf(store)) copy.harm(key, await store.get(key));
  return copy;
}

/** Whose removals end after so many. */
function dyingAfter(store: MemoryObjectStore, removals: number): MemoryObjectStore {
  let left = removals;
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== 'remove') return value.bind(target);
      return async (key: string, generation: string) => {
        if (left === 0) throw new PlatformError('UPSTREAM_UNAVAILABLE', 'It died');
        left -= 1;
        return target.remove(key, generation);
      };
    },
  });
}

test('given up after any removal it leaves a whole store, and the next one does the rest', async () => {
  const full = new MemoryObjectStore();
  await flush(await SummaryWriter.open(full), 0, 20);
  const answers = await answersOf(await SummarySnapshots.open(full));
  const pruned = await copyOf(full);
  const { snapshots, files } = await prune(pruned, await SummaryWriter.open(pruned));
  expect([snapshots, files > 20]).toEqual([4 * 19, true]);
  for (let removals = 0; removals < snapshots + files; removals += 3) {
    const store = await copyOf(full);
    const writer = await SummaryWriter.open(store);
    await expect(prune(dyingAfter(store, removals), writer)).rejects.toThrow('It died');
    await requireWhole(store);
    expect(await answersOf(await SummarySnapshots.open(store))).toEqual(answers);
    await prune(store, await SummaryWriter.open(store));
    expect(await keysOf(store)).toEqual(await keysOf(pruned));
  }
});

test('of a flush that was given up nothing stays, and nothing goes of one that runs', async () => {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  await flush(writer, 0, 3);
  const folder = 'serving/summaries/pt1m/v1/data/';
  const fileOf = (number: number) => `${folder}${`${number}`.padStart(20, '0')}-aaaa.parquet`;
  for (const number of [2, 3, 4]) await store.createOnly(fileOf(number), Buffer.from('x'));
  await prune(store, writer);
  const left = await store.list(folder, { limit: 99 });
  expect([2, 3, 4].map((number) => left.includes(fileOf(number)))).toEqual([false, false, true]);
});

/** Does something before the first call that creates this object. */
function beforeCreating(store: MemoryObjectStore, key: string, then: () => Promise<void>) {
  let isDue = true;
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== 'createOnly') return value.bind(target);
      return async (created: string, content: Uint8Array) => {
        if (created === key && isDue) {
          isDue = false;
          await then();
        }
        return target.createOnly(created, content);
      };
    },
  });
}

async function goOnAndPrune(store: MemoryObjectStore): Promise<void> {
  const other = await SummaryWriter.open(store);
  await flush(other, 100, 30);
  await prune(store, other);
}

test('a writer that slept while another went on and pruned is fenced, though its number is free again', async () => {
  const store = new MemoryObjectStore();
  await flush(await SummaryWriter.open(store), 0, 3);
  const key = summarySnapshotKey('PT1M', 4);
  const slow = await SummaryWriter.open(beforeCreating(store, key, () => goOnAndPrune(store)));
  await expect(flush(slow, 60)).rejects.toMatchObject({ code: 'FENCED' });
  expect((await SummarySnapshots.open(store)).current.number).toBe(33);
  const next = await SummaryWriter.open(store);
  expect(next.published.number).toBe(33);
  await prune(store, next);
  expect(await store.head(key)).toBe(undefined);
});

test('an eraser that was so slow begins again, and erases what is newest', async () => {
  const store = new MemoryObjectStore();
  await flush(await SummaryWriter.open(store), 0, 3);
  const key = summarySnapshotKey('PT1M', 4);
  const slow = beforeCreating(store, key, () => goOnAndPrune(store));
  await eraseSummaries(erasureOf(slow, 'de-a'));
  const newest = await SummaryWriter.open(store);
  expect(newest.published.number).toBe(34);
  expect(Object.keys(newest.published.buildings)).toEqual(['de-b']);
});
