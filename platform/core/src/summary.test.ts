import { expect, test } from 'vitest';
import { addValue, emptyAggregate, encodeAggregate, figuresOf } from './aggregate.ts';
import { emptyWindow, metricsOf, revisionOf, type SummaryRecord, takeRecord } from './summary.ts';

function record(values: number[], of: Partial<SummaryRecord>): SummaryRecord {
  const aggregate = emptyAggregate();
  for (const value of values) addValue(aggregate, value);
  return {
    building: 'de-a',
    windowStartMs: 0,
    level: 'room',
    id: 'r1',
    kind: 'window',
    revision: 0,
    final: false,
    offset: -1,
    metrics: { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } },
    ...of,
  };
}

const records = [
  record([1], { revision: 0 }),
  record([1, 2], { revision: 1, final: true }),
  record([10], { kind: 'partial', offset: 70 }),
  record([20, 30], { kind: 'partial', offset: 90 }),
];

test('any order and repetition of the records of a window gives the same', () => {
  for (const order of [records, records.toReversed(), [...records, ...records]]) {
    const merged = emptyWindow();
    for (const one of order) takeRecord(merged, one);
    const co2 = metricsOf(merged).get('co2');
    expect(co2 && figuresOf(co2.aggregate)).toMatchObject({ count: 5, sum: 63, min: 1, max: 30 });
    expect(merged.final).toBe(true);
    expect(revisionOf(merged)).toBe(3);
  }
});
