import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import type { SummaryFlush } from '@domicile/lake/summary-writer.ts';
import { expect, test } from 'vitest';
import { HeldSummaries } from './held-summaries.ts';

function windowOf(minute: number): SummaryRecord {
  const aggregate = emptyAggregate();
  addValue(aggregate, minute);
  return {
    building: 'de-one',
    windowStartMs: minute * 60_000,
    level: 'building',
    id: 'de-one',
    kind: 'window',
    revision: 0,
    final: true,
    offset: -1,
    metrics: { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } },
  };
}

function open(write: (flush: SummaryFlush) => Promise<void>) {
  const held = new HeldSummaries({ offsets: new Map(), write });
  const take = (minute: number) =>
    held.take({ partition: 0, offset: BigInt(minute) }, windowOf(minute));
  return { held, take };
}

test('what is read while a snapshot is made stands in the next one', async () => {
  const flushes: SummaryFlush[] = [];
  const first = Promise.withResolvers<void>();
  const { held, take } = open(async (flush) => {
    flushes.push(flush);
    if (flushes.length === 1) await first.promise;
  });
  held.takeZone('de-one', 'Europe/Berlin');
  take(0);
  const flushed = held.flush();
  await expect.poll(() => flushes.length).toBe(1);
  take(1);
  const next = held.flush();
  expect(flushes).toHaveLength(1);
  first.resolve();
  await Promise.all([flushed, next, held.flush()]);
  expect(flushes.map(({ rows, offsets }) => [rows.length, offsets.get(0)])).toEqual([
    [1, 1n],
    [1, 2n],
  ]);
  expect(flushes[1]?.zones.get('de-one')).toBe('Europe/Berlin');
});

test('no snapshot is made behind one that failed: it would be said to hold what was lost', async () => {
  let count = 0;
  const { held, take } = open(async () => {
    count += 1;
    if (count === 1) throw new Error('an object is not what it was');
  });
  take(0);
  const failed = held.flush();
  take(1);
  await expect(held.flush()).rejects.toThrow('not what it was');
  await expect(failed).rejects.toThrow('not what it was');
  take(2);
  await expect(held.flush()).rejects.toThrow('not what it was');
  expect([count, held.hasFailed]).toEqual([1, true]);
});
