import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import { expect, test } from 'vitest';
import { comparisonRows } from './comparison.ts';
import { Correlation } from './correlation.ts';
import { MergedFigures } from './merged-figures.ts';

function rowOf(...values: number[]) {
  const aggregate = emptyAggregate();
  for (const value of values) addValue(aggregate, value);
  return { unit: 'W', base: encodeAggregate(aggregate), late: null };
}

test('metrics are joined by window and id; what has no partner is left out', () => {
  const correlation = new Correlation();
  const side = (id: string, values: number[], from = 0) =>
    values.map((avg, index) => ({ windowStartMs: from + index, id, avg }));
  correlation.add([...side('r1', [1, 2]), ...side('r2', [5])], side('r1', [10, 20]));
  correlation.add(side('r1', [3, 4], 2), side('r1', [30], 2));
  expect(correlation.rows({ building: 'de-1', level: 'room', x: 'a', y: 'b' })).toEqual([
    {
      building: 'de-1',
      level: 'room',
      id: 'r1',
      x: 'a',
      y: 'b',
      windows: 3,
      correlation: expect.closeTo(1, 12),
      slope: expect.closeTo(10, 12),
      intercept: expect.closeTo(0, 10),
    },
  ]);
});

test('figures merge exactly, base and late together', () => {
  const merged = new MergedFigures<{ hour: number }>();
  merged.add({ hour: 7 }, rowOf(1, 2));
  merged.add({ hour: 7 }, { ...rowOf(3), late: rowOf(10).base });
  merged.add({ hour: 8 }, rowOf(5));
  expect([...merged.groups()]).toMatchObject([
    { key: { hour: 7 }, figures: { count: 4, avg: 4, min: 1, max: 10 } },
    { key: { hour: 8 }, figures: { count: 1, avg: 5 } },
  ]);
});

test('buildings are ranked by average, metric by metric', () => {
  const merged = new MergedFigures<{ metric: string; building: string; name: string | null }>();
  merged.add({ metric: 'power', building: 'de-1', name: null }, rowOf(10));
  merged.add({ metric: 'power', building: 'de-2', name: 'Two' }, rowOf(40));
  merged.add({ metric: 'power', building: 'de-3', name: null }, rowOf(10));
  merged.add({ metric: 'co2', building: 'de-1', name: null }, rowOf(400));
  const rows = comparisonRows(merged.groups());
  expect(
    rows.map(({ metric, rank, building, deviation }) => [metric, rank, building, deviation]),
  ).toEqual([
    ['power', 1, 'de-2', 20],
    ['power', 2, 'de-1', -10],
    ['power', 3, 'de-3', -10],
    ['co2', 1, 'de-1', 0],
  ]);
});
