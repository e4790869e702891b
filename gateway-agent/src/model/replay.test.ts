import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseRecording, replayRun, rowAt, stretchOf, valueAt } from './replay.ts';

const folder = join(import.meta.dirname, '../../../examples/occupancy');
const files = ['datatest.txt', 'datatraining.txt', 'datatest2.txt'];
const recording = parseRecording(files.map((file) => readFileSync(join(folder, file), 'utf8')));

test('the recordings are read whole, quoted or not, one after the other', () => {
  expect(recording['Temperature']).toHaveLength(20_560);
  expect(recording['Temperature']?.[0]).toBe(23.7);
  expect(recording['CO2']?.[1]).toBe(760.4);
  expect(recording['Temperature']?.[2665]).toBe(23.18);
  expect(recording['Temperature']?.[2665 + 8143]).toBe(21.76);
  for (const column of ['Temperature', 'Humidity', 'Light', 'CO2', 'Occupancy'])
    expect(recording[column]?.every((value) => Number.isFinite(value))).toBe(true);
});

const timing = { everyMs: 10_000, speed: 6, rowMs: 60_000 };

test('at six times its pace a row a minute is a row every 10 s, and the recording goes round', () => {
  expect([0, 1, 2].map((tick) => rowAt(tick, 5, 100, timing))).toEqual([5, 6, 7]);
  expect(rowAt(99, 5, 100, timing)).toBe(4);
  expect([0, 5, 6].map((tick) => rowAt(tick, 0, 100, { ...timing, speed: 1 }))).toEqual([0, 0, 1]);
});

test('rooms of a building get stretches far apart, and buildings begin elsewhere', () => {
  const starts = Array.from({ length: 25 }, (_, room) => stretchOf('de-7f3k', room, 25, 20_560));
  const sorted = starts.toSorted((left, right) => left - right);
  for (const [place, start] of sorted.slice(1).entries())
    expect(start - (sorted[place] ?? 0)).toBeGreaterThan(800);
  expect(stretchOf('us-4k2m', 0, 25, 20_560)).not.toBe(starts[0]);
});

test('a value is a number, a state, or whether the state changed', () => {
  const columns = {
    Occupancy: Float64Array.of(0, 0, 1, 1),
    T: Float64Array.of(31.13333333, Number.NaN),
  };
  expect(valueAt(columns, 0, { column: 'T', as: 'number' })).toBe(31.1333);
  expect(valueAt(columns, 1, { column: 'T', as: 'number' })).toBeUndefined();
  expect(valueAt(columns, 0, { column: 'none', as: 'number' })).toBeUndefined();
  expect(valueAt(columns, 2, { column: 'Occupancy', as: 'boolean' })).toBe(true);
  const change = { column: 'Occupancy', as: 'change' } as const;
  expect([0, 1, 2, 3].map((row) => valueAt(columns, row, change))).toEqual([
    true,
    false,
    true,
    false,
  ]);
});

test('a first start begins in the past, a restart where the store ends, a late one anew', () => {
  const at = { nowTick: 1000, historyTicks: 100 };
  expect(replayRun(undefined, at)).toEqual({ boot: 'replay-900', firstTick: 900, nextTick: 900 });
  expect(replayRun({ boot: 'replay-900', next: 57 }, at)).toEqual({
    boot: 'replay-900',
    firstTick: 900,
    nextTick: 957,
  });
  expect(replayRun({ boot: 'replay-100', next: 57 }, at)).toMatchObject({ boot: 'replay-900' });
  expect(replayRun({ boot: 'own-run', next: 57 }, at)).toMatchObject({ boot: 'replay-900' });
});
