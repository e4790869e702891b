import { expect, test } from 'vitest';
import type { LatestRow } from './answers.ts';
import { heatOf, heatRange, pointKey, roomValues, withNewest } from './latest.ts';

function row(given: Partial<LatestRow>): LatestRow {
  return {
    device: 'r101-air',
    room: 'r101',
    metric: 'temperature',
    value: 20,
    unit: 'Cel',
    measuredAt: '2026-11-24T07:00:00Z',
    ...given,
  };
}

test('later measured wins over later received', () => {
  const newer = row({ value: 21, measuredAt: '2026-11-24T07:00:10Z' });
  const points = withNewest(withNewest(new Map(), [newer]), [row({})]);
  expect(points.get(pointKey(newer))?.value).toBe(21);
});

test('offsets are compared as instants, not as text', () => {
  const earlier = row({ measuredAt: '2026-11-24T08:30:00+02:00' });
  const points = withNewest(new Map(), [row({ value: 21 }), earlier]);
  expect(points.get(pointKey(earlier))?.value).toBe(21);
});

test('a room shows the newest of its devices, and nothing where nothing is known', () => {
  const points = withNewest(new Map(), [
    row({}),
    row({ device: 'r101-thermostat', value: 22, measuredAt: '2026-11-24T07:01:00Z' }),
    row({ metric: 'co2', value: 600 }),
  ]);
  const values = roomValues(points, ['r101', 'r102'], 'temperature');
  expect(values.map(({ row: newest }) => newest?.value)).toEqual([22, undefined]);
});

test('heat goes from the lowest to the highest value shown', () => {
  const values = [10, 20, 30].map((value) => ({ room: 'r', row: row({ value }) }));
  const range = heatRange(values);
  expect(range).toEqual({ low: 10, high: 30 });
  expect([10, 20, 30].map((value) => heatOf(value, range))).toEqual([0, 0.5, 1]);
});

test('values that do not differ have no range, and half the heat', () => {
  expect(heatRange([{ room: 'r', row: row({}) }])).toBeUndefined();
  expect(heatRange([])).toBeUndefined();
  expect(heatOf(5, undefined)).toBe(0.5);
});
