import type { SummaryRecord } from '@domicile/core/summary.ts';
import { expect, test } from 'vitest';
import { SummaryTail } from './summary-tail.ts';

const start = Date.UTC(2026, 10, 23, 7);

function record(more: Partial<SummaryRecord>): SummaryRecord {
  return {
    building: 'de-1',
    windowStartMs: start,
    level: 'building',
    id: 'de-1',
    kind: 'window',
    revision: 0,
    final: false,
    offset: -1,
    metrics: {},
    ...more,
  };
}

test('of a window the highest revision is kept, of partials each', () => {
  const tail = new SummaryTail();
  tail.take(record({ revision: 2 }), 0, 7n);
  tail.take(record({ revision: 1 }), 0, 8n);
  tail.take(record({ kind: 'partial', offset: 3 }), 0, 9n);
  tail.take(record({ kind: 'partial', offset: 4 }), 0, 10n);
  expect(tail.recordsOf('de-1').map(({ kind, revision }) => [kind, revision])).toEqual([
    ['window', 2],
    ['partial', 0],
    ['partial', 0],
  ]);
  expect(tail.windows).toBe(3);
  const versionAt = (fromMs: number, toMs: number) => tail.versionOf('de-1', { fromMs, toMs });
  expect(versionAt(start, start + 1)).toBe('10');
  expect(versionAt(start + 1, start + 2)).toBe('-1');
  expect(versionAt(start - 90_000_001, start - 90_000_000)).toBe('-1');
  expect(versionAt(start - 3_600_000, start - 1_800_000)).toBe('10');
});

test('what a snapshot includes is dropped, partition by partition', () => {
  const tail = new SummaryTail();
  tail.take(record({}), 0, 7n);
  tail.take(record({ building: 'de-2', id: 'de-2' }), 1, 7n);
  tail.drop(new Map([[0, 8n]]));
  expect([tail.recordsOf('de-1').length, tail.recordsOf('de-2').length]).toEqual([0, 1]);
  tail.drop(new Map([[1, 7n]]));
  expect(tail.windows).toBe(1);
});

test('it tells up to where windows have closed, also after they were dropped', () => {
  const tail = new SummaryTail();
  expect(tail.throughMsOf('de-1')).toBeUndefined();
  tail.take(record({}), 0, 6n);
  expect(tail.throughMsOf('de-1')).toBeUndefined();
  tail.take(record({ final: true, revision: 1 }), 0, 7n);
  tail.take(record({ level: 'room', id: 'r', final: true, windowStartMs: start + 60_000 }), 0, 8n);
  tail.drop(new Map([[0, 100n]]));
  expect(tail.throughMsOf('de-1')).toBe(start + 60_000);
});
