import { encodeAggregate } from '@domicile/core/aggregate.ts';
import { isNewer, type LatestPoint } from '@domicile/core/latest.ts';
import { describe, expect, test } from 'vitest';
import { addNumber, addRanges, countOf, type NumberRanges } from './number-ranges.ts';
import { PartitionState, type Told } from './partition-state.ts';
import {
  accountEntries,
  dice,
  lastLatest,
  type Measured,
  mergedSummaries,
  mergedWindows,
  passed,
  recomputed,
  type Sent,
  shuffled,
  SimulatedTask,
  testBuilding,
} from './simulation.ts';

const startMs = Date.UTC(2026, 2, 29, 0, 50);
const minuteMs = 60_000;
const buildings = ['de-a', 'de-b'].map((id) => testBuilding(id, startMs + 7 * minuteMs + 12_345));
const seeds = Array.from({ length: 4 }, (_, index) => index + 1);

/** Twenty minutes of two buildings; devices restart now and then. */
function history(random: () => number): Measured[] {
  return buildings.flatMap(({ id: building, devices }) =>
    devices.flatMap(({ id: device }) => historyOf(building, device, random)),
  );
}

function historyOf(building: string, device: string, random: () => number): Measured[] {
  const measured: Measured[] = [];
  let boot = 0;
  let seq = 0;
  for (let atMs = startMs; atMs < startMs + 20 * minuteMs; atMs += 10_000) {
    if (random() < 0.02) {
      boot += 1;
      seq = 0;
    }
    const values = {
      temperature: Math.round(random() * 300) / 10,
      heating: random() < 0.5,
      ...(random() < 0.1 && { mode: 'eco' }),
    };
    const jitterMs = Math.floor(random() * 9_000);
    measured.push({ building, device, boot: `b${boot}`, seq, atMs: atMs + jitterMs, values });
    seq += 1;
  }
  return measured;
}

type Arrangement = (measured: readonly Measured[], random: () => number) => Measured[];

const byTime: Arrangement = (measured) => measured.toSorted((a, b) => a.atMs - b.atMs);
const arrangements: Record<string, Arrangement> = {
  'in order': byTime,
  shuffled: (measured, random) => shuffled(measured, random),
  repeated: (measured, random) =>
    byTime(measured, random).flatMap((one) => (random() < 0.3 ? [one, one] : [one])),
  'with a backlog': (measured, random) => {
    const isLate = (one: Measured) => one.building === 'de-b' && one.seq % 2 === 0;
    const live = byTime(measured, random).filter((one) => !isLate(one));
    const late = byTime(measured, random).filter(isLate);
    return live
      .flatMap((one, index) => (index < live.length / 2 ? [one] : [one, ...late.splice(0, 3)]))
      .concat(late);
  },
};

/** Sends everything, cut into commits at random, with the receipt at or after the measurement and ticks between. */
function run(sent: readonly Measured[], random: () => number): SimulatedTask {
  const task = new SimulatedTask(buildings);
  let receivedAtMs = startMs;
  for (let from = 0; from < sent.length;) {
    const size = 1 + Math.floor(random() * 60);
    const batch: Sent[] = sent.slice(from, from + size);
    from += size;
    for (const one of batch)
      if ('atMs' in one) receivedAtMs = Math.max(receivedAtMs, one.atMs + 200);
    task.commit(random() < 0.3 ? [...batch, { tick: true }] : batch, receivedAtMs);
  }
  for (const minutes of [5, 30]) task.commit([{ tick: true }], receivedAtMs + minutes * minuteMs);
  return task;
}

describe.each(Object.keys(arrangements))('readings that come %s', (name) => {
  test.each(seeds)('give what a plain recomputation gives (seed %i)', (seed) => {
    const random = dice(seed);
    const measured = history(random);
    const sent = arrangements[name]?.(measured, random) ?? [];
    const task = run(sent, random);

    const merged = mergedSummaries(task.told);
    const expected = recomputed(measured, buildings);
    expect([...merged.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
    const encoded = (aggregates: typeof merged) =>
      Object.fromEntries([...aggregates].map(([key, one]) => [key, encodeAggregate(one)]));
    expect(encoded(merged)).toEqual(encoded(expected));

    const open = [...mergedWindows(task.told)].filter(([, { final }]) => !final);
    expect(open).toEqual([]);

    const entries = accountEntries(task.told);
    const numbers = new Map<string, NumberRanges>();
    for (const { device, boot, received } of entries) {
      const ranges = numbers.get(`${device} ${boot}`) ?? [];
      numbers.set(`${device} ${boot}`, ranges);
      addRanges(ranges, received);
    }
    const sentNumbers = new Map<string, NumberRanges>();
    for (const { device, boot, seq } of measured) {
      const ranges = sentNumbers.get(`${device} ${boot}`) ?? [];
      sentNumbers.set(`${device} ${boot}`, ranges);
      addNumber(ranges, seq);
    }
    expect(numbers).toEqual(sentNumbers);
    const duplicates = entries.reduce((sum, entry) => sum + entry.duplicates, 0);
    expect(duplicates).toBe(sent.length - measured.length);
    expect(entries.reduce((sum, { received }) => sum + countOf(received), 0)).toBe(measured.length);
    expect(task.quarantined).toEqual([]);
  });

  test.each(seeds)('leave the newest value by event time (seed %i)', (seed) => {
    const random = dice(seed);
    const task = run(arrangements[name]?.(history(random), random) ?? [], random);
    const newest = new Map<string, LatestPoint>();
    for (const { reading, offset } of task.readings) {
      for (const [metric, value] of Object.entries(reading.values)) {
        const { building, device, measuredAtMs, receivedAtMs, units } = reading;
        const unit = units[metric] ?? '';
        const point = { value, unit, measuredAtMs, receivedAtMs, offset };
        const key = `${building}/${device}/${metric}`;
        if (isNewer(point, newest.get(key))) newest.set(key, point);
      }
    }
    const told = new Map<string, LatestPoint>();
    for (const [key, { points }] of lastLatest(task.told))
      for (const [metric, point] of Object.entries(points)) told.set(`${key}/${metric}`, point);
    expect(told).toEqual(newest);
  });

  test.each(seeds)('give the same state when taken over anywhere (seed %i)', (seed) => {
    const random = dice(seed);
    const sent = arrangements[name]?.(history(random), random) ?? [];
    const task = run(sent, random);
    const cutAt = Math.floor(random() * task.journals.length);

    const former = new PartitionState();
    const replay = (state: PartitionState, journals: typeof task.journals) =>
      journals.map((journal) => {
        const readings = passed(task.readingsOf(journal));
        state.takeNumbers(readings);
        return passed(state.fold(passed(journal), readings));
      });
    replay(former, task.journals.slice(0, cutAt));
    const successor = PartitionState.decode(passed(former.encode()));
    const told = replay(successor, task.journals.slice(cutAt));
    expect(canonical(successor)).toEqual(canonical(task.state));
    expect(told.map(sorted)).toEqual(task.told.slice(cutAt).map(sorted));
  });
});

test('nothing is kept or told of a building that was erased, and all of the others (also taken over)', () => {
  const random = dice(7);
  const task = run(byTime(history(random), random), random);
  const before = canonical(task.state);
  const nowMs = startMs + 60 * minuteMs;
  const journal = {
    commit: task.state.commit + 1,
    inputs: {},
    readings: [],
    recordMs: nowMs,
    tickMs: nowMs,
    account: [],
    strangers: [],
    forgotten: ['de-a', 'de-unheard-of'],
    snapshot: null,
  };
  const successor = PartitionState.decode(passed(task.state.encode()));
  const told = task.state.fold(passed(journal), []);
  expect(before.buildings.map(([id]) => id)).toEqual(['de-a', 'de-b']);
  expect(canonical(task.state).buildings.map(([id]) => id)).toEqual(['de-b']);
  expect(JSON.stringify(task.state.encode())).not.toContain('de-a');
  expect(JSON.stringify(told)).not.toContain('de-a');
  expect([task.state.holds('de-a'), task.state.holds('de-b')]).toEqual([false, true]);
  successor.fold(passed(journal), []);
  expect(canonical(successor)).toEqual(canonical(task.state));
});

function canonical(state: PartitionState) {
  const { buildings: known, ...rest } = passed(state.encode());
  return { ...rest, buildings: known.toSorted(([a], [b]) => (a < b ? -1 : 1)) };
}

/** What one commit tells has no order. */
function sorted({ summaries, latest, account }: Told): string[] {
  return [...summaries, ...latest, ...account].map((record) => JSON.stringify(record)).toSorted();
}
