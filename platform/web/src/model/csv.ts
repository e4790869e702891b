import type { SummaryRow } from './answers.ts';
import { newestRevisions } from './series.ts';

const columns = [
  'windowStart',
  'windowEnd',
  'level',
  'id',
  'metric',
  'unit',
  'count',
  'avg',
  'min',
  'max',
  'p50',
  'p95',
] as const satisfies readonly (keyof SummaryRow)[];

/** The rows of a chart as RFC 4180 text, full figures, times in UTC. */
export function csvOf(rows: readonly SummaryRow[]): string {
  const lines = newestRevisions(rows).map((row) => columns.map((name) => cell(row[name])));
  return [columns, ...lines].map((line) => `${line.join(',')}\r\n`).join('');
}

function cell(value: string | number | null | undefined): string {
  const text = `${value ?? ''}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
