import type { SummaryRow } from './answers.ts';
import { figureText, shareWords, summaryFigure } from './figures.ts';
import type { Choice } from './plan.ts';
import { extentOf, type Series } from './series.ts';
import { clockTime, dayAndTime, shortDay } from './time.ts';
import type { Span } from './window.ts';

/** What a chart shows, kept together so that a chart never wears another one's title. */
export interface Shown {
  readonly choice: Choice;
  readonly span: Span;
  readonly rows: readonly SummaryRow[];
  readonly zone: string;
}

/** The whole chart in a sentence. */
export function overallWords({ rows, choice }: Shown): string {
  const extent = extentOf(rows);
  if (!extent) return 'No values';
  return `Over the whole range: ${figureWords(extent, choice.metric, rows[0]?.unit ?? null)}`;
}

/** One point of the chart in a sentence. */
export function pointWords({ choice, zone, span }: Shown, series: Series, index: number): string {
  const row = series.rows[index];
  const start = (series.starts[index] ?? 0) * 1000;
  if (!row) return `${dayAndTime(start, zone)}: nothing was measured`;
  const day = span.interval === 'P1D';
  const until = clockTime(Date.parse(row.windowEnd), zone);
  const when = day ? shortDay(start, zone) : `${dayAndTime(start, zone)}–${until}`;
  return `${when}: ${figureWords(row, choice.metric, row.unit)}${row.final ? '' : ', still open'}`;
}

interface Figures {
  readonly avg: number | null;
  readonly min: number | null;
  readonly max: number | null;
}

function figureWords({ avg, min, max }: Figures, metric: string, unit: string | null): string {
  const text = (value: number | null) => figureText(summaryFigure(value, metric, unit));
  const share = shareWords(metric);
  if (share !== '') return `${text(avg)} ${share}`;
  return `average ${text(avg)}, lowest ${text(min)}, highest ${text(max)}`;
}
