import type { SummaryRecord } from '@domicile/core/summary.ts';
import { expect, test } from 'vitest';
import { MemoryObjectStore } from './memory-object-store.ts';
import { parseSummaryManifest, summarySnapshotKey } from './model/summary-manifest.ts';
import { SummarySnapshots } from './serving-summaries.ts';
import { SummaryWriter } from './summary-writer.ts';
import { flushTail, tailOf, windowWith } from './test-minutes.ts';

const startMs = Date.UTC(2026, 10, 22);
const minuteMs = 60_000;

function windowOf(minute: number, of: Partial<SummaryRecord> = {}): SummaryRecord {
  return windowWith(minute, { windowStartMs: startMs + minute * minuteMs, ...of });
}

const flush = (writer: SummaryWriter, records: readonly SummaryRecord[]) =>
  flushTail(writer, tailOf(writer, records));

async function manifestOf(store: MemoryObjectStore, number: number) {
  const content = await store.get(summarySnapshotKey('PT1M', number));
  return parseSummaryManifest(content ?? Buffer.alloc(0));
}

/** Parts of each UTC day, by day. */
async function partsOf(store: MemoryObjectStore, number: number, interval: 'PT1M' | 'PT15M') {
  const { files } = await manifestOf(store, number);
  const days = Map.groupBy(
    files[interval].flatMap(({ parts }) => parts),
    ({ dayMs }) => (dayMs - startMs) / 86_400_000,
  );
  return Object.fromEntries([...days].map(([day, parts]) => [day, parts.length]));
}

test('days that are over stand in one file, today in a few, and latecomers wait beside until they are many', async () => {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  const minutes = Array.from({ length: 50 * 60 }, (_, minute) => windowOf(minute));
  let number = 0;
  for (let at = 0; at < minutes.length; at += 20)
    ({ number } = await flush(writer, minutes.slice(at, at + 20)));
  const parts = await partsOf(store, number, 'PT1M');
  expect(parts).toMatchObject({ 0: 1, 1: 1 });
  expect(parts[2]).toBeLessThan(16);
  expect((await partsOf(store, number, 'PT15M'))[0]).toBe(1);

  const { files, buildings } = await manifestOf(store, number);
  expect(files.P1D.flatMap(({ parts: of }) => of.flatMap(({ fromMs }) => fromMs))).toEqual([
    startMs - 3_600_000,
    startMs + 23 * 3_600_000,
  ]);
  // The day that began an hour before midnight, and the hours and quarters that have not settled.
  expect(buildings['de-a']?.pending).toEqual({
    PT15M: [startMs + (50 * 60 - 15) * minuteMs],
    PT1H: [startMs + 49 * 3_600_000],
    P1D: [startMs + 47 * 3_600_000],
  });

  const late = { kind: 'partial', offset: 7, revision: 0 } as const;
  ({ number } = await flush(writer, [windowOf(30, late)]));
  expect((await partsOf(store, number, 'PT1M'))[0]).toBe(2);
  for (let more = 0; more < 20; more += 1)
    ({ number } = await flush(writer, [windowOf(30, { ...late, offset: 8 + more })]));
  expect((await partsOf(store, number, 'PT1M'))[0]).toBeLessThan(16);
  const { current } = await SummarySnapshots.open(store);
  const { rows } = await current.read({
    interval: 'PT15M',
    building: 'de-a',
    fromMs: startMs + 30 * minuteMs,
    toMs: startMs + 45 * minuteMs,
  });
  expect(rows).toHaveLength(1);
  expect([rows[0]?.base?.[0], rows[0]?.late?.[0]]).toEqual([15, 21]);
});

test('a writer that was killed between snapshot and pointer is found again by its number', async () => {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  await flush(writer, [windowOf(0)]);
  const pointer = 'serving/summaries/pt1m/v1/latest.json';
  const before = (await store.get(pointer)) ?? Buffer.alloc(0);
  await flush(writer, [windowOf(1)]);
  await store.replacePointer(pointer, before);
  store.harm(summarySnapshotKey('PT1H', 2));
  expect((await SummarySnapshots.open(store)).current.number).toBe(1);
  const next = await SummaryWriter.open(store);
  expect((await SummarySnapshots.open(store)).current.number).toBe(2);
  expect(await store.head(summarySnapshotKey('PT1H', 2))).toBeDefined();
  expect(await flush(next, [windowOf(2)])).toMatchObject({ number: 3 });
});

test('a serving layer that is lost under its writer ends it, and the next one begins anew', async () => {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  await flush(writer, [windowOf(0)]);
  for (const key of await store.list('serving/', { limit: 100 })) store.harm(key);
  await expect(flush(writer, [windowOf(1)])).rejects.toMatchObject({ code: 'STATE_LOST' });
  expect(await store.list('serving/', { limit: 100 })).toEqual([]);
  expect((await SummaryWriter.open(store)).offsets).toEqual(new Map());
});

test('a writer whose snapshot was retired by a later one is fenced', async () => {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  await flush(writer, [windowOf(0)]);
  await flush(await SummaryWriter.open(store), [windowOf(1)]);
  store.harm(summarySnapshotKey('PT1M', 1));
  await expect(flush(writer, [windowOf(2)])).rejects.toMatchObject({ code: 'FENCED' });
});
