import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  addValue,
  decodeAggregate,
  emptyAggregate,
  encodeAggregate,
  figuresOf,
  mergeEncodedInto,
  type Aggregate,
} from '@domicile/core/aggregate.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import { must } from '@domicile/core/invariants.ts';
import { type Level, type SummaryRecord, windowMs } from '@domicile/core/summary.ts';
import { LandingContent } from '@domicile/lake/landing-content.ts';
import { LandingZone } from '@domicile/lake/landing-zone.ts';
import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import type { SummaryInterval } from '@domicile/lake/model/summary-windows.ts';
import { UnflushedSummaries } from '@domicile/lake/model/unflushed-summaries.ts';
import {
  type SummaryQuery,
  type SummaryRow,
  type SummarySnapshot,
  SummarySnapshots,
} from '@domicile/lake/serving-summaries.ts';
import { SummaryWriter } from '@domicile/lake/summary-writer.ts';
import {
  dice,
  type Measured,
  shuffled,
  SimulatedTask,
  testBuilding,
} from '@domicile/stream/model/simulation.ts';
import { expect, test } from 'vitest';
import { queryLanding } from './support/independent-lake.ts';

// Promise 6. Three buildings in three zones, 50 hours over the change to daylight-saving time; five seeds. Refine and windows
// are the task's own fold, run without Kafka so that two days pass in seconds; the serving layer and the landing zone
// are written and read by their own code; DuckDB reads the same Parquet.

const hourMs = 3_600_000;
const startMs = Date.UTC(2026, 2, 28, 12);
const hours = 50;
const endMs = startMs + hours * hourMs;
const everyMs = 240_000;
const zones = {
  'de-berlin': 'Europe/Berlin',
  'de-london': 'Europe/London',
  'de-far': 'Asia/Kathmandu',
};
const buildings: BuildingRecord[] = Object.entries(zones).map(([id, timeZone]) => ({
  ...testBuilding(id, startMs + 17 * hourMs + 12_345),
  timeZone,
}));
const intervals: readonly SummaryInterval[] = ['PT1M', 'PT15M', 'PT1H', 'P1D'];
const seeds = [1, 2, 3, 4, 5];
type Roll = () => number;

function history(roll: Roll): Measured[] {
  return buildings.flatMap(({ id: building, devices }) =>
    devices.slice(0, 4).flatMap(({ id: device }) =>
      Array.from({ length: (hours * hourMs) / everyMs }, (_, index): Measured => {
        const perBoot = 75; // five hours: a device that restarts now and then
        return {
          building,
          device,
          boot: `b${Math.floor(index / perBoot)}`,
          seq: index % perBoot,
          atMs: startMs + index * everyMs + Math.floor(roll() * 200_000),
          values: {
            temperature: Math.round((15 + roll() * 15) * 100) / 100,
            heating: roll() < 0.5,
            ...(roll() < 0.05 && { mode: 'eco' }),
          },
        };
      }),
    ),
  );
}

const byTime = (measured: readonly Measured[]) => measured.toSorted((a, b) => a.atMs - b.atMs);

const orders: Record<string, (measured: readonly Measured[], roll: Roll) => Measured[]> = {
  'in order': byTime,
  shuffled,
  repeated: (measured, roll) =>
    shuffled(
      measured.flatMap((one) => (roll() < 0.3 ? [one, one] : [one])),
      roll,
    ),
  // One building was cut off for a day: live goes on at once, the day comes beside it.
  'with a backlog of one day': (measured) => {
    const isLate = ({ building, atMs }: Measured) =>
      building === 'de-london' && atMs > startMs + 10 * hourMs && atMs < startMs + 34 * hourMs;
    const live = byTime(measured.filter((one) => !isLate(one)));
    const late = byTime(measured.filter(isLate));
    const back = live.findIndex(({ atMs }) => atMs > startMs + 34 * hourMs);
    return [
      ...live.slice(0, back),
      ...live.slice(back).flatMap((one) => [one, ...late.splice(0, 3)]),
      ...late,
    ];
  },
};

/** Cut into commits at random, received at or after they were measured, with a tick at the end that closes all. */
function run(sent: readonly Measured[], roll: Roll): SimulatedTask {
  const task = new SimulatedTask(buildings);
  let receivedAtMs = startMs;
  for (let from = 0; from < sent.length;) {
    const batch = sent.slice(from, from + 1 + Math.floor(roll() * 400));
    from += batch.length;
    for (const { atMs } of batch) receivedAtMs = Math.max(receivedAtMs, atMs + 200);
    task.commit(batch, receivedAtMs);
  }
  task.commit([{ tick: true }], Math.max(receivedAtMs, endMs) + hourMs);
  return task;
}

/** Interval, building, window, level, id and metric → figures and sketch, as a text. */
type Answers = Map<string, string>;

/** Written by the serving builder's writer in some flushes, the last part left to the stream's tail. */
async function served(summaries: readonly SummaryRecord[], roll: Roll): Promise<Answers> {
  const store = new MemoryObjectStore();
  const writer = await SummaryWriter.open(store);
  const zonesOf = new Map(Object.entries(zones));
  let tail = new UnflushedSummaries(writer.offsets);
  let kept: SummaryRecord[] = [];
  for (const [offset, record] of summaries.entries()) {
    tail.take(record);
    kept.push(record);
    tail.reach(0, BigInt(offset + 1));
    if (roll() > 3 / summaries.length) continue;
    const { rows, offsets, closed } = tail;
    await writer.flush({ rows, offsets, closed, zones: zonesOf });
    tail = new UnflushedSummaries(writer.offsets);
    kept = [];
  }
  return answersOf(await SummarySnapshots.open(store), kept);
}

async function answersOf(
  { current }: SummarySnapshots,
  tail: readonly SummaryRecord[],
): Promise<Answers> {
  const answers: Answers = new Map();
  for (const { id: building, timeZone } of buildings) {
    const own = tail.filter((record) => record.building === building);
    for (const interval of intervals) {
      for (const row of await allRows(current, { interval, building, timeZone, tail: own }))
        answers.set(`${interval} ${building} ${keyOf(row)}`, textOf(row));
    }
  }
  return answers;
}

type Question = Pick<SummaryQuery, 'interval' | 'building' | 'timeZone' | 'tail'>;

async function allRows(snapshot: SummarySnapshot, question: Question): Promise<SummaryRow[]> {
  const all: SummaryRow[] = [];
  const toMs = endMs + 24 * hourMs;
  for (let fromMs: number | null = startMs - 24 * hourMs; fromMs !== null;) {
    const { rows, nextFromMs } = await snapshot.read({ ...question, fromMs, toMs });
    for (const row of rows) all.push(row);
    fromMs = nextFromMs;
  }
  return all;
}

const keyOf = ({ windowStartMs, windowEndMs, level, id, metric }: SummaryRow) =>
  [windowStartMs, windowEndMs, level, id, metric].join(' ');

function aggregateOf({ base, late }: SummaryRow): Aggregate {
  const aggregate = base === null ? emptyAggregate() : decodeAggregate(base);
  if (late !== null) mergeEncodedInto(aggregate, late);
  return aggregate;
}

function textOf(row: SummaryRow): string {
  const aggregate = aggregateOf(row);
  return JSON.stringify([row.unit, figuresOf(aggregate), encodeAggregate(aggregate)]);
}

/** Keys on which two answers differ. */
function differences(a: Answers, b: Answers): string[] {
  const keys = new Set([...a.keys(), ...b.keys()]);
  return [...keys].filter((key) => a.get(key) !== b.get(key));
}

/** The landing zone of a run, in a folder, by the lander's own code. */
async function land(task: SimulatedTask, dir: string): Promise<void> {
  const store = new MemoryObjectStore();
  const zone = new LandingZone({ store, country: 'DE', stream: 'readings' });
  let content: LandingContent | undefined;
  const finish = async (full: LandingContent): Promise<void> => {
    const plan = await zone.take(full);
    const { files } = await zone.complete(plan, full);
    for (const { path } of files) {
      await mkdir(dirname(join(dir, path)), { recursive: true });
      await writeFile(join(dir, path), must(await store.get(path), 'a landed file is there'));
    }
  };
  for (const { reading, offset } of task.readings) {
    content ??= new LandingContent({
      country: 'DE',
      stream: 'readings',
      partition: 0,
      first: BigInt(offset),
    });
    content.add({ offset: BigInt(offset), value: Buffer.from(JSON.stringify(reading)) });
    if (!content.isFull) continue;
    await finish(content);
    content = undefined;
  }
  if (content !== undefined) await finish(content);
}

/** Summaries of one minute, computed anew from the rows of the landing zone. */
async function recomputedFrom(lakeDir: string): Promise<SummaryRecord[]> {
  const rows = await queryLanding(
    lakeDir,
    `select building, floor, room, device, metric, unit, epoch_ms(measured_at)::double as at_ms, value from {files} where value is not null`,
  );
  const windows = new Map<
    string,
    {
      of: Omit<SummaryRecord, 'metrics'>;
      metrics: Map<string, { unit: string; aggregate: Aggregate }>;
    }
  >();
  for (const row of rows) {
    const windowStartMs = Math.floor(Number(row['at_ms']) / windowMs) * windowMs;
    const building = String(row['building']);
    const things: [Level, string][] = [
      ['building', building],
      ['floor', String(row['floor'])],
      ['room', String(row['room'])],
      ['device', String(row['device'])],
    ];
    for (const [level, id] of things) {
      const key = [building, windowStartMs, level, id].join(' ');
      let window = windows.get(key);
      if (window === undefined) {
        const state = { kind: 'window', revision: 0, final: true, offset: -1 } as const;
        window = { of: { building, windowStartMs, level, id, ...state }, metrics: new Map() };
        windows.set(key, window);
      }
      const metric = String(row['metric']);
      const summary = window.metrics.get(metric) ?? {
        unit: String(row['unit']),
        aggregate: emptyAggregate(),
      };
      addValue(summary.aggregate, Number(row['value']));
      window.metrics.set(metric, summary);
    }
  }
  return [...windows.values()].map(({ of, metrics }) => ({
    ...of,
    metrics: Object.fromEntries(
      [...metrics].map(([metric, { unit, aggregate }]) => [
        metric,
        { unit, aggregate: encodeAggregate(aggregate) },
      ]),
    ),
  }));
}

test.each(seeds)(
  'seed %d: the same readings give the same summaries',
  { timeout: 180_000 },
  async (seed) => {
    const roll = dice(seed);
    const measured = history(roll);
    const found = new Map<string, Answers>();
    let inOrder: SimulatedTask | undefined;
    for (const [name, arrange] of Object.entries(orders)) {
      const task = run(arrange(measured, roll), roll);
      expect(task.quarantined).toEqual([]);
      expect(task.readings).toHaveLength(measured.length);
      found.set(
        name,
        await served(
          task.told.flatMap(({ summaries }) => [...summaries]),
          roll,
        ),
      );
      inOrder ??= task;
    }
    const reference = must(found.get('in order'), 'it is the first');
    // The day of the change has 23 hours in Berlin and London, and 24 in Kathmandu.
    const days = [...reference.keys()].filter(
      (key) => key.startsWith('P1D') && key.includes(' building '),
    );
    const lengths = new Set(
      days
        .map((key) => key.split(' '))
        .map(([, building, from, to]) => `${building} ${(Number(to) - Number(from)) / hourMs}`),
    );
    expect(lengths).toContain('de-berlin 23');
    expect(lengths).toContain('de-london 23');
    expect(lengths).not.toContain('de-far 23');

    const dir = await mkdtemp(join(tmpdir(), 'same-readings-'));
    try {
      await land(must(inOrder, 'it ran'), dir);
      const recomputed = await recomputedFrom(dir);
      found.set(
        'recomputed',
        await answersOf(await SummarySnapshots.open(new MemoryObjectStore()), recomputed),
      );
      for (const [name, answers] of found)
        expect([name, ...differences(reference, answers)]).toEqual([name]);
      await compareWithDuckDb(dir, reference);
    } finally {
      await rm(dir, { recursive: true });
    }
  },
);

/** Count, min and max as they are, the sum to 1e-12 of it: DuckDB adds doubles in its own order. */
async function compareWithDuckDb(dir: string, answers: Answers): Promise<void> {
  const rows = await queryLanding(
    dir,
    `select building, device, metric, (epoch_ms(measured_at) // ${hourMs})::double as hour, count(*)::int as n, sum(value) as total, min(value) as low, max(value) as high
     from {files} where value is not null group by all`,
  );
  expect(rows.length).toBeGreaterThan(1_000);
  for (const { building, device, metric, hour, n, total, low, high } of rows) {
    const from = Number(hour) * hourMs;
    const key = `PT1H ${building} ${from} ${from + hourMs} device ${device} ${metric}`;
    const [, figures]: [string, { count: number; sum: number; min: number; max: number }] =
      JSON.parse(answers.get(key) ?? '["",{}]');
    expect([key, figures.count, figures.min, figures.max]).toEqual([key, n, low, high]);
    expect(Math.abs(figures.sum - Number(total))).toBeLessThanOrEqual(
      1e-12 * Math.max(1, Math.abs(Number(total))),
    );
  }
}
