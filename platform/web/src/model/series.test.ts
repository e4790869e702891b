import { expect, test } from 'vitest';
import type { SummaryRow } from './answers.ts';
import { extentOf, lonePoints, newestRevisions, seriesOf } from './series.ts';

const minuteMs = 60_000;
const start = Date.parse('2026-11-24T07:00:00Z');

function row(minute: number, given: Partial<SummaryRow> = {}): SummaryRow {
  return {
    windowStart: new Date(start + minute * minuteMs).toISOString(),
    windowEnd: new Date(start + (minute + 1) * minuteMs).toISOString(),
    level: 'room',
    id: 'r101',
    metric: 'temperature',
    unit: 'Cel',
    count: 6,
    avg: 20 + minute,
    min: 19,
    max: 22,
    revision: 1,
    final: true,
    ...given,
  };
}

test('of a window the highest revision is shown, whatever came first', () => {
  const rows = [row(1, { revision: 5, avg: 9 }), row(0), row(1, { revision: 4, avg: 8 })];
  expect(newestRevisions(rows).map(({ avg }) => avg)).toEqual([20, 9]);
});

test('of equal revisions the one that came later is shown', () => {
  const rows = [row(0, { avg: 1 }), row(0, { avg: 2 })];
  expect(newestRevisions(rows).map(({ avg }) => avg)).toEqual([2]);
});

test('a missing window is a gap in the line', () => {
  const series = seriesOf([row(3), row(0), row(1)]);
  expect(series.avg).toEqual([20, 21, null, 23]);
  expect(series.min[2]).toBeNull();
  expect(series.starts.map((seconds) => (seconds * 1000 - start) / minuteMs)).toEqual([0, 1, 2, 3]);
});

test('a window without values is a gap as well', () => {
  expect(seriesOf([row(0), row(1, { count: 0, avg: null, min: null, max: null })]).avg).toEqual([
    20,
    null,
  ]);
});

test('averages over a range weigh by how many values they stand for', () => {
  const rows = [row(0, { count: 1, avg: 10, min: 9 }), row(1, { count: 3, avg: 20, max: 30 })];
  expect(extentOf(rows)).toEqual({ count: 4, avg: 17.5, min: 9, max: 30 });
  expect(extentOf([])).toBeUndefined();
});

test('points that no line passes through are known', () => {
  expect(lonePoints([1, null, 2, 3, null, null, 4])).toEqual([0, 6]);
  expect(lonePoints([])).toEqual([]);
});
