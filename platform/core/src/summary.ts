import {
  type Aggregate,
  decodeAggregate,
  type EncodedAggregate,
  mergeEncodedInto,
} from './aggregate.ts';

export const levels = ['building', 'floor', 'room', 'device'] as const;
export type Level = (typeof levels)[number];

export function isLevel(text: string): text is Level {
  return levels.some((level) => level === text);
}

/** The stream knows windows of one minute; everything coarser merges them. */
export const windowMs = 60_000;

/**
 * A record of the `summaries` stream: one window of one building, floor, room or device, with all of its numeric metrics.
 *
 * `window`: the whole window so far; a higher `revision` replaces a lower one, and `final` says that the window has closed.
 * `partial`: late readings that came after the window's state was given up. Every partial of a window counts once, told
 * apart by `offset`, and is merged with the window's highest revision.
 */
export interface SummaryRecord {
  readonly building: string;
  /** Unix milliseconds, a multiple of `windowMs`. */
  readonly windowStartMs: number;
  readonly level: Level;
  /** Of the device, room, floor or building. */
  readonly id: string;
  readonly kind: 'window' | 'partial';
  readonly revision: number;
  readonly final: boolean;
  /** Of a partial: the offset in `readings` of its first reading. -1 for a window. */
  readonly offset: number;
  readonly metrics: Readonly<Record<string, MetricSummary>>;
}

export interface MetricSummary {
  readonly unit: string;
  readonly aggregate: EncodedAggregate;
}

/** One window of one thing, as merged from its records so far. */
export interface MergedWindow {
  revision: number;
  final: boolean;
  window: Readonly<Record<string, MetricSummary>>;
  /** By offset, so that a repeated record counts once. */
  readonly partials: Map<number, Readonly<Record<string, MetricSummary>>>;
}

export function emptyWindow(): MergedWindow {
  return { revision: -1, final: false, window: {}, partials: new Map() };
}

/** Takes a record into its window, in place. Any order and any repetition gives the same. */
export function takeRecord(merged: MergedWindow, record: SummaryRecord): void {
  if (record.kind === 'partial') {
    merged.partials.set(record.offset, record.metrics);
    merged.final = true;
  } else if (record.revision > merged.revision) {
    merged.revision = record.revision;
    merged.final ||= record.final;
    merged.window = record.metrics;
  }
}

/** The metrics of a merged window: name → unit and aggregate. */
export function metricsOf(
  merged: MergedWindow,
): Map<string, { readonly unit: string; readonly aggregate: Aggregate }> {
  const found = new Map<string, { unit: string; aggregate: Aggregate }>();
  for (const metrics of [merged.window, ...merged.partials.values()]) {
    for (const [metric, { unit, aggregate }] of Object.entries(metrics)) {
      const present = found.get(metric);
      if (present) mergeEncodedInto(present.aggregate, aggregate);
      else found.set(metric, { unit, aggregate: decodeAggregate(aggregate) });
    }
  }
  return found;
}

/** Grows with every record that changed the window: what a client compares. */
export function revisionOf({ revision, partials }: MergedWindow): number {
  return Math.max(revision, 0) + partials.size;
}
