import { addValue, emptyAggregate, encodeAggregate, figuresOf } from '@domicile/core/aggregate.ts';
import {
  emptyWindow,
  levels,
  type MergedWindow,
  metricsOf,
  type SummaryRecord,
  takeRecord,
  windowMs,
} from '@domicile/core/summary.ts';
import { expect, test } from 'vitest';
import { MemoryObjectStore } from './memory-object-store.ts';
import { mergedOf } from './model/summary-row.ts';
import { type SummaryInterval, summaryIntervals, windowAt } from './model/summary-windows.ts';
import { UnflushedSummaries } from './model/unflushed-summaries.ts';
import { figuresOfRow, type SummaryRow, SummarySnapshots } from './serving-summaries.ts';
import { SummaryWriter } from './summary-writer.ts';

/** mulberry32; the seed is printed by the tests' names. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Roll = () => number;
const whole = (roll: Roll, below: number) => Math.floor(roll() * below);

function shuffled<Value>(values: readonly Value[], roll: Roll): Value[] {
  return values
    .map((value) => ({ value, key: roll() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value);
}

const zones = new Map([
  ['de-a', 'Europe/Berlin'],
  ['de-b', 'Asia/Kathmandu'],
]);
/** Some hours on both sides of the end of summer time in Berlin. */
const startMs = Date.UTC(2026, 9, 24, 20);
const hours = 32;

function metricsFrom(roll: Roll, hasCo2: boolean): SummaryRecord['metrics'] {
  const metric = () => {
    const aggregate = emptyAggregate();
    for (let count = 1 + whole(roll, 4); count > 0; count -= 1)
      addValue(aggregate, (roll() - 0.3) * 10 ** whole(roll, 6));
    return { unit: 'Cel', aggregate: encodeAggregate(aggregate) };
  };
  return { temperature: metric(), ...(hasCo2 && { co2: metric() }) };
}

const things = [
  ['building', ''],
  ['floor', '1'],
  ['room', 'r101'],
  ['room', 'r102'],
  ['device', 'r101-air'],
] as const;

function recordsFrom(roll: Roll): SummaryRecord[] {
  const windows: Window[] = [];
  const endMs = startMs + hours * 3_600_000;
  for (const building of zones.keys())
    for (let at = startMs; at < endMs; at += windowMs * (1 + whole(roll, 100)))
      for (const [level, thing] of things)
        windows.push({ building, windowStartMs: at, level, id: thing === '' ? building : thing });
  return windows.filter(() => roll() < 0.7).flatMap((of) => recordsOf(roll, of));
}

type Window = Pick<SummaryRecord, 'building' | 'windowStartMs' | 'level' | 'id'>;

function recordsOf(roll: Roll, of: Window): SummaryRecord[] {
  const revisions = 1 + whole(roll, 3);
  // Metrics are never lost from one revision to the next.
  const hasCo2 = roll() < 0.3;
  const windows = Array.from({ length: revisions }, (_, revision): SummaryRecord => {
    const final = revision === revisions - 1;
    return {
      ...of,
      kind: 'window',
      revision,
      final,
      offset: -1,
      metrics: metricsFrom(roll, hasCo2),
    };
  });
  const partials = Array.from({ length: whole(roll, 3) }, (): SummaryRecord => {
    const offset = whole(roll, 2 ** 40);
    const metrics = metricsFrom(roll, roll() < 0.3);
    return { ...of, kind: 'partial', revision: 0, final: true, offset, metrics };
  });
  return [...windows, ...partials];
}

/** What every reader has to find, from all records at once. */
function truthOf(
  records: readonly SummaryRecord[],
  interval: SummaryInterval,
): Map<string, string> {
  const minutes = new Map<string, { record: SummaryRecord; merged: MergedWindow }>();
  for (const record of records) {
    const { building, windowStartMs, level, id } = record;
    const key = [building, windowStartMs, level, id].join(' ');
    const found = minutes.get(key) ?? { record, merged: emptyWindow() };
    minutes.set(key, found);
    takeRecord(found.merged, record);
  }
  const parts = new Map<string, ReturnType<typeof encodeAggregate>[]>();
  for (const { record, merged } of minutes.values()) {
    const { building, level, id } = record;
    const window = windowAt(interval, record.windowStartMs, zones.get(building) ?? '');
    for (const [metric, { aggregate }] of metricsOf(merged)) {
      const key = [building, window.startMs, window.endMs, level, id, metric].join(' ');
      parts.set(key, [...(parts.get(key) ?? []), encodeAggregate(aggregate)]);
    }
  }
  return new Map([...parts].map(([key, all]) => [key, JSON.stringify(mergedOf(all))]));
}

function answered(building: string, rows: readonly SummaryRow[]): [string, string][] {
  return rows.map((row) => {
    const { windowStartMs, windowEndMs, level, id, metric, base, late } = row;
    const key = [building, windowStartMs, windowEndMs, level, id, metric].join(' ');
    return [key, JSON.stringify(mergedOf([...(base ? [base] : []), ...(late ? [late] : [])]))];
  });
}

/** Follows a stream as the serving builder does, with flushes and crashes in between. */
async function build(store: MemoryObjectStore, stream: readonly SummaryRecord[], roll: Roll) {
  let writer = await SummaryWriter.open(store);
  let tail = new UnflushedSummaries(writer.offsets);
  let at = 0;
  const done = { merged: 0, compactedRows: 0 };
  while (at < stream.length) {
    for (const record of stream.slice(at, at + whole(roll, 90))) {
      tail.take(record);
      at += 1;
    }
    tail.reach(0, BigInt(at));
    if (roll() < 0.3) {
      writer = await SummaryWriter.open(store);
      at = Number(writer.offsets.get(0) ?? 0n);
    } else if (roll() < 0.8) {
      const { rows, offsets, closed } = tail;
      const known = roll() < 0.5 ? zones : new Map<string, string>();
      const report = await writer.flush({ rows, offsets, closed, zones: known });
      done.merged += report.merged;
      done.compactedRows += report.compactedRows;
    } else continue;
    tail = new UnflushedSummaries(writer.offsets);
  }
  return done;
}

test.each([1, 2, 3, 4])(
  'seed %d: shuffled, repeated, flushed and restarted at random, snapshot and tail answer as all records at once',
  { timeout: 60_000 },
  async (seed) => {
    const roll = dice(seed);
    const once = recordsFrom(roll);
    const stream = seed % 2 === 0 ? once : shuffled([...once, ...once.slice(0, 300)], roll);
    const store = new MemoryObjectStore();
    const done = await build(store, stream, roll);
    expect(Math.min(done.merged, done.compactedRows)).toBeGreaterThan(0);
    const snapshots = await SummarySnapshots.open(store);
    const { current } = snapshots;
    expect(current.number).toBeGreaterThan(0);
    const from = Number(current.offsets.get(0) ?? 0n);
    const tail = stream.slice(Math.max(0, from - whole(roll, 50)));
    for (const interval of summaryIntervals) {
      const truth = truthOf(stream, interval);
      const rows: [string, string][] = [];
      for (const [building, timeZone] of zones) {
        let fromMs: number | null = startMs - 86_400_000;
        while (fromMs !== null) {
          const toMs = startMs + 3 * 86_400_000;
          const rowsMax = 50 + whole(roll, 2000);
          const query = { interval, building, timeZone, fromMs, toMs, tail, rowsMax };
          const answer = await current.read(query);
          rows.push(...answered(building, answer.rows));
          fromMs = answer.nextFromMs;
        }
      }
      expect(rows.length).toBe(truth.size);
      expect(new Map(rows)).toEqual(truth);
    }
  },
);

test('rows can be asked for by level, id and metric, in their order, and pages end between windows', async () => {
  const roll = dice(7);
  const records = recordsFrom(roll);
  const store = new MemoryObjectStore();
  await build(store, records, roll);
  const { current } = await SummarySnapshots.open(store);
  const all = {
    building: 'de-a',
    interval: 'PT15M',
    fromMs: startMs,
    toMs: startMs + 86_400_000,
  } as const;
  const everything = await current.read(all);
  const order = everything.rows.map((row) => [
    row.windowStartMs,
    levels.indexOf(row.level),
    row.id,
    row.metric,
  ]);
  const sorted = order.toSorted((a, b) => {
    const at = a.findIndex((cell, index) => cell !== b[index]);
    return at < 0 ? 0 : (a[at] ?? 0) < (b[at] ?? 0) ? -1 : 1;
  });
  expect(order).toEqual(sorted);
  for (const filter of [
    { level: 'room' },
    { level: 'room', id: 'r102' },
    { metric: 'co2' },
    { level: 'device', id: 'r101-air', metric: 'temperature' },
  ] as const) {
    const { rows } = await current.read({ ...all, ...filter });
    const expected = everything.rows.filter(
      (row) =>
        (!('level' in filter) || row.level === filter.level) &&
        (!('id' in filter) || row.id === filter.id) &&
        (!('metric' in filter) || row.metric === filter.metric),
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(rows).toEqual(expected);
  }
  const page = await current.read({ ...all, rowsMax: 25 });
  expect(page.rows.length).toBeLessThanOrEqual(25);
  expect(page.rows).toEqual(everything.rows.slice(0, page.rows.length));
  expect(page.nextFromMs).toBe(everything.rows[page.rows.length]?.windowStartMs);
});

test('a second writer is fenced', async () => {
  const store = new MemoryObjectStore();
  const [a, b] = [await SummaryWriter.open(store), await SummaryWriter.open(store)];
  const offsets = (offset: bigint) => ({
    rows: [],
    offsets: new Map([[0, offset]]),
    closed: new Map(),
    zones: new Map(),
  });
  expect(await a.flush(offsets(1n))).toMatchObject({ number: 1 });
  await expect(b.flush(offsets(2n))).rejects.toMatchObject({ code: 'FENCED' });
});

test('files carry the figures, and latest.csv the newest closed windows', async () => {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  const aggregate = emptyAggregate();
  for (const value of [20, 22]) addValue(aggregate, value);
  const record: SummaryRecord = {
    building: 'de-a',
    windowStartMs: startMs,
    level: 'building',
    id: 'de-a',
    kind: 'window',
    revision: 3,
    final: true,
    offset: -1,
    metrics: { temperature: { unit: 'Cel', aggregate: encodeAggregate(aggregate) } },
  };
  const tail = new UnflushedSummaries(writer.offsets);
  tail.take(record);
  tail.reach(2, 5n);
  const { rows, offsets, closed } = tail;
  await writer.flush({ rows, offsets, closed, zones });
  const csv = String(await store.get('serving/summaries/pt1m/v1/latest.csv')).split('\n');
  expect(csv[1]).toBe(
    'de-a,building,de-a,temperature,Cel,2026-10-24T20:00:00.000Z,2026-10-24T20:01:00.000Z,2,42,21,20,22,1,20.064,20.064,3,true'.replace(
      '20.064,20.064',
      `${figuresOf(aggregate).p50},${figuresOf(aggregate).p95}`,
    ),
  );
  const { current } = await SummarySnapshots.open(store);
  expect(current.offsets).toEqual(new Map([[2, 5n]]));
  const { rows: found } = await current.read({
    building: 'de-a',
    interval: 'PT1M',
    fromMs: startMs,
    toMs: startMs + 1,
  });
  expect(found[0] && figuresOfRow(found[0])).toEqual(figuresOf(aggregate));
  expect(found[0]).toMatchObject({ revision: 3, final: true });
});
