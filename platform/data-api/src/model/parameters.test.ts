import { PlatformError } from '@domicile/core/errors.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { idNames, metricNames, pageShape, periodShape, readQuery } from './parameters.ts';
import { dayMs, periodMsMax } from './period.ts';

const shape = {
  ...periodShape,
  ...pageShape,
  interval: z.enum(['PT1M', 'PT1H']).default('PT1M'),
  metric: metricNames.optional(),
  id: idNames.optional(),
};
const hour = { from: '2026-11-23T07:00:00Z', to: '2026-11-23T09:00:00+01:00' };

function pointersOf(query: unknown, periodMsMaxHere = periodMsMax): string[] {
  try {
    readQuery(shape, query, periodMsMaxHere);
  } catch (error) {
    if (error instanceof PlatformError) return error.faults.map(({ pointer }) => pointer);
    throw error;
  }
  return [];
}

test('a good query is read, with defaults', () => {
  expect(readQuery(shape, { ...hour, metric: ['co2', 'co2,temperature'] })).toEqual({
    from: Date.UTC(2026, 10, 23, 7),
    to: Date.UTC(2026, 10, 23, 8),
    interval: 'PT1M',
    limit: 1000,
    metric: ['co2', 'temperature'],
  });
});

test('every fault is told at once', () => {
  const query = {
    from: 'yesterday',
    to: '2026-02-30T00:00:00Z',
    interval: 'PT7M',
    limit: '0',
    metric: "co2'; drop table readings",
    id: ['../../etc', 'Big'],
    colour: 'red',
  };
  expect(pointersOf(query).toSorted()).toEqual([
    '#/query/colour',
    '#/query/from',
    '#/query/id/0',
    '#/query/id/1',
    '#/query/interval',
    '#/query/limit',
    '#/query/metric/0',
    '#/query/to',
  ]);
});

test('a reversed range is told beside other faults', () => {
  const reversed = { from: hour.to, to: hour.from, interval: 'PT7M' };
  expect(pointersOf(reversed).toSorted()).toEqual(['#/query/interval', '#/query/to']);
  expect(pointersOf({ from: hour.from, to: hour.from })).toEqual(['#/query/to']);
});

test('366 days are the longest range', () => {
  const from = Date.UTC(2026, 0, 1);
  const at = (ms: number) => new Date(ms).toISOString();
  expect(pointersOf({ from: at(from), to: at(from + 366 * dayMs) })).toEqual([]);
  expect(pointersOf({ from: at(from), to: at(from + 366 * dayMs + 1) })).toEqual(['#/query/to']);
});

test('what is missing or named twice is a fault', () => {
  expect(pointersOf({ to: hour.to })).toEqual(['#/query/from']);
  expect(pointersOf({ ...hour, from: [hour.from, hour.from] })).toEqual(['#/query/from']);
});

test.each(['1e3', '-1', ' 7', '1000000000000', '50001', ''])('limit %j is a fault', (limit) => {
  expect(pointersOf({ ...hour, limit })).toEqual(['#/query/limit']);
});
