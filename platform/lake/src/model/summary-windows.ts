import { windowMs } from '@domicile/core/summary.ts';
import { localDay, quarterMs, type TimeWindow } from './local-days.ts';

export const summaryIntervals = ['PT1M', 'PT15M', 'PT1H', 'P1D'] as const;
export type SummaryInterval = (typeof summaryIntervals)[number];
export type CoarseInterval = Exclude<SummaryInterval, 'PT1M'>;
export const coarseIntervals = ['PT15M', 'PT1H', 'P1D'] as const satisfies CoarseInterval[];

const hourMs = 3_600_000;
const lengths = { PT1M: windowMs, PT15M: quarterMs, PT1H: hourMs };

/** The window that holds `timeMs`: days are of the zone, the rest UTC. */
export function windowAt(interval: SummaryInterval, timeMs: number, zone: string): TimeWindow {
  if (interval === 'P1D') return localDay(zone, timeMs);
  const length = lengths[interval];
  const startMs = Math.floor(timeMs / length) * length;
  return { startMs, endMs: startMs + length };
}

/** The windows that begin in [fromMs, toMs), by time. */
export function* windowsIn(
  interval: SummaryInterval,
  { startMs: fromMs, endMs: toMs }: TimeWindow,
  zone: string,
): Generator<TimeWindow> {
  let window = windowAt(interval, fromMs, zone);
  if (window.startMs < fromMs) window = windowAt(interval, window.endMs, zone);
  while (window.startMs < toMs) {
    yield window;
    window = windowAt(interval, window.endMs, zone);
  }
}

/** What a window is merged from: the coarsest interval whose windows fill it exactly. */
export function finerOf(interval: CoarseInterval, { startMs, endMs }: TimeWindow): SummaryInterval {
  if (interval === 'PT15M') return 'PT1M';
  if (interval === 'PT1H') return 'PT15M';
  return startMs % hourMs === 0 && endMs % hourMs === 0 ? 'PT1H' : 'PT15M';
}
