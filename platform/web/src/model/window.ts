import { startOfDay } from './time.ts';

export type Level = 'building' | 'floor' | 'room' | 'device';
export type Interval = 'PT1M' | 'PT15M' | 'PT1H' | 'P1D';
export type RangeName = '1h' | '3h' | '12h' | '24h' | '7d' | '30d' | '90d';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export const levels: readonly Level[] = ['building', 'floor', 'room', 'device'];

/** A day is nominal: days of a zone are 23 to 25 hours long. */
export const intervalMs: Readonly<Record<Interval, number>> = {
  PT1M: minuteMs,
  PT15M: 15 * minuteMs,
  PT1H: hourMs,
  P1D: dayMs,
};

export const intervals: readonly Interval[] = ['PT1M', 'PT15M', 'PT1H', 'P1D'];

export const intervalNames: Readonly<Record<Interval, string>> = {
  PT1M: '1 minute',
  PT15M: '15 minutes',
  PT1H: '1 hour',
  P1D: '1 day',
};

interface Range {
  readonly name: RangeName;
  readonly label: string;
  readonly ms: number;
  readonly interval: Interval;
}

export const ranges: readonly Range[] = [
  { name: '1h', label: '1 hour', ms: hourMs, interval: 'PT1M' },
  { name: '3h', label: '3 hours', ms: 3 * hourMs, interval: 'PT1M' },
  { name: '12h', label: '12 hours', ms: 12 * hourMs, interval: 'PT15M' },
  { name: '24h', label: '24 hours', ms: dayMs, interval: 'PT15M' },
  { name: '7d', label: '7 days', ms: 7 * dayMs, interval: 'PT1H' },
  { name: '30d', label: '30 days', ms: 30 * dayMs, interval: 'PT1H' },
  { name: '90d', label: '90 days', ms: 90 * dayMs, interval: 'P1D' },
];

/** More points than a screen has dots help nobody and cost the cell. */
const windowsMax = 1_500;

export function isLevel(text: string): text is Level {
  return levels.some((level) => level === text);
}

export function isInterval(text: string): text is Interval {
  return Object.hasOwn(intervalMs, text);
}

export function isRangeName(text: string): text is RangeName {
  return ranges.some(({ name }) => name === text);
}

export function rangeOf(name: RangeName): Range {
  const range = ranges.find((one) => one.name === name);
  if (!range) throw new Error(`Unknown range ${name}`);
  return range;
}

/** The intervals that give a range at least four windows and not too many. */
export function intervalsFor(name: RangeName): readonly Interval[] {
  const { ms } = rangeOf(name);
  return intervals.filter((interval) => {
    const windows = ms / intervalMs[interval];
    return windows >= 4 && windows <= windowsMax;
  });
}

export interface Span {
  /** Milliseconds since 1970, half open. */
  readonly from: number;
  readonly to: number;
  readonly interval: Interval;
}

interface Asked {
  readonly range: RangeName;
  readonly interval: Interval | undefined;
  readonly until: number | undefined;
}

/** The whole windows that a view covers; days begin at midnight of the building's zone. */
export function spanOf(asked: Asked, now: number, zone: string): Span {
  const { ms, interval: usual } = rangeOf(asked.range);
  const fits = asked.interval && intervalsFor(asked.range).includes(asked.interval);
  const interval = fits && asked.interval ? asked.interval : usual;
  const end = asked.until ?? now;
  if (interval === 'P1D') {
    // Noon is never cut off by a change of the clocks, so stepping from noon finds each day once.
    const firstNoon = startOfDay(end, zone) + dayMs / 2 - (Math.round(ms / dayMs) - 1) * dayMs;
    const lastNoon = startOfDay(end, zone) + dayMs / 2;
    return {
      from: startOfDay(firstNoon, zone),
      to: startOfDay(lastNoon + dayMs, zone),
      interval,
    };
  }
  const step = intervalMs[interval];
  const to = Math.floor(end / step) * step + step;
  return { from: to - ms, to, interval };
}

/** The view's end after a step of one range; undefined when that reaches the present. */
export function stepped(asked: Asked, direction: -1 | 1, now: number): number | undefined {
  const until = (asked.until ?? now) + direction * rangeOf(asked.range).ms;
  return until >= now ? undefined : until;
}
