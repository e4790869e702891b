import { expect, test } from 'vitest';
import type { SummaryRow } from './answers.ts';
import { seriesOf } from './series.ts';
import { overallWords, pointWords, type Shown } from './shown.ts';

const row: SummaryRow = {
  windowStart: '2026-11-24T07:00:00Z',
  windowEnd: '2026-11-24T07:15:00Z',
  level: 'room',
  id: 'r101',
  metric: 'temperature',
  unit: 'Cel',
  count: 90,
  avg: 21.26,
  min: 20.9,
  max: 21.7,
  revision: 1,
  final: false,
};

function shown(metric: string, rows: readonly SummaryRow[]): Shown {
  const target = { id: 'r101', label: 'Room r101', metrics: [metric] };
  const span = { from: 0, to: 1, interval: 'PT15M' } as const;
  return { choice: { level: 'room', target, metric }, span, rows, zone: 'Europe/Berlin' };
}

test('a point says when and what, in the zone of the building', () => {
  expect(pointWords(shown('temperature', [row]), seriesOf([row]), 0)).toBe(
    'Tue 24 Nov, 08:00–08:15: average 21.3\u00a0°C, lowest 20.9\u00a0°C, highest 21.7\u00a0°C, still open',
  );
});

test('a gap says that nothing was measured', () => {
  const later = { ...row, windowStart: '2026-11-24T08:00:00Z', windowEnd: '2026-11-24T08:15:00Z' };
  expect(pointWords(shown('temperature', [row, later]), seriesOf([row, later]), 1)).toBe(
    'Tue 24 Nov, 08:15: nothing was measured',
  );
});

test('what is either or is told as a share of time', () => {
  const open = { ...row, metric: 'open', unit: '1', avg: 0.25, min: 0, max: 1 };
  expect(overallWords(shown('open', [open]))).toBe(
    'Over the whole range: 25\u00a0% of the time open',
  );
});
