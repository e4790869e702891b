import {
  type Aggregate,
  decodeAggregate,
  emptyAggregate,
  type EncodedAggregate,
  encodeAggregate,
  type Figures,
  figuresOf,
  mergeEncodedInto,
} from '@domicile/core/aggregate.ts';
import { type Level, levels, type SummaryRecord, windowMs } from '@domicile/core/summary.ts';
import type { TimeWindow } from './local-days.ts';

/** Late readings, told apart by the offset of their first one in `readings`. */
export type LatePart = readonly [offset: number, aggregate: EncodedAggregate];

/** One metric of one thing in one window, as it is kept. */
export interface StoredRow {
  readonly building: string;
  readonly level: Level;
  readonly id: string;
  readonly metric: string;
  readonly unit: string;
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly base: EncodedAggregate | null;
  /**
   * Of a minute: the revision of `base`, -1 without one. Of a coarser window: the number of the snapshot that wrote it;
   * then the highest replaces the whole row.
   */
  readonly version: number;
  /** By offset. Of a coarser window: one part at most, merged. */
  readonly late: readonly LatePart[];
  readonly revision: number;
  readonly final: boolean;
}

/** Of one building. */
export function seriesKey({ level, id, metric }: StoredRow): string {
  return `${level} ${id} ${metric}`;
}

export function rowKey(row: StoredRow): string {
  return `${row.windowStartMs} ${seriesKey(row)}`;
}

export function rowsOfRecord(record: SummaryRecord): StoredRow[] {
  const { building, level, id, windowStartMs, kind, revision, offset } = record;
  return Object.entries(record.metrics).map(([metric, { unit, aggregate }]) => {
    const window = { windowStartMs, windowEndMs: windowStartMs + windowMs };
    const row = { building, level, id, metric, unit, ...window };
    return kind === 'partial'
      ? { ...row, base: null, version: -1, late: [[offset, aggregate]], revision: 1, final: true }
      : { ...row, base: aggregate, version: revision, late: [], revision, final: record.final };
  });
}

/** Of two rows of one minute, in any order and repetition. */
export function mergeMinutes(a: StoredRow, b: StoredRow): StoredRow {
  const newer = b.version > a.version ? b : a;
  const late = mergeLate(a.late, b.late);
  const revision = Math.max(newer.version, 0) + late.length;
  return { ...newer, late, revision, final: a.final || b.final };
}

function mergeLate(a: readonly LatePart[], b: readonly LatePart[]): readonly LatePart[] {
  if (b.length === 0) return a;
  if (a.length === 0) return b;
  const parts = new Map([...a, ...b].map((part) => [part[0], part]));
  return [...parts.values()].toSorted(([x], [y]) => x - y);
}

export function newerOf(a: StoredRow, b: StoredRow): StoredRow {
  return b.version > a.version ? b : a;
}

/** Merges `row` into rows by `rowKey`. */
export function takeRow(
  rows: Map<string, StoredRow>,
  row: StoredRow,
  merge: (a: StoredRow, b: StoredRow) => StoredRow,
): void {
  const key = rowKey(row);
  const present = rows.get(key);
  rows.set(key, present ? merge(present, row) : row);
}

/** The rows of one coarser window, from the merged rows of finer windows that fill it. `final` if all of them are. */
export function coarsen(
  rows: Iterable<StoredRow>,
  window: TimeWindow,
  version: number,
): StoredRow[] {
  const series = new Map<string, StoredRow[]>();
  for (const row of rows) {
    const key = seriesKey(row);
    const found = series.get(key);
    if (found) found.push(row);
    else series.set(key, [row]);
  }
  return [...series.values()].flatMap((found) => {
    const newest = found.toSorted((a, b) => a.windowStartMs - b.windowStartMs).at(-1);
    if (!newest) return [];
    const late = mergedOf(found.flatMap((row) => row.late.map(([, aggregate]) => aggregate)));
    return {
      ...newest,
      windowStartMs: window.startMs,
      windowEndMs: window.endMs,
      base: mergedOf(found.flatMap(({ base }) => (base ? [base] : []))),
      late: late ? [[-1, late] as const] : [],
      version,
      revision: found.reduce((sum, row) => sum + row.revision + 1, 0),
      final: found.every((row) => row.final),
    };
  });
}

/** Null of nothing. */
export function mergedOf(parts: readonly EncodedAggregate[]): EncodedAggregate | null {
  const [first] = parts;
  if (first === undefined) return null;
  if (parts.length === 1) return first;
  const merged = emptyAggregate();
  for (const part of parts) mergeEncodedInto(merged, part);
  return encodeAggregate(merged);
}

export function figuresOfStored({ base, late }: Pick<StoredRow, 'base' | 'late'>): Figures {
  const merged: Aggregate = base ? decodeAggregate(base) : emptyAggregate();
  for (const [, aggregate] of late) mergeEncodedInto(merged, aggregate);
  return figuresOf(merged);
}

/** By window, level, id, metric. */
export function compareRows(a: StoredRow, b: StoredRow): number {
  return (
    a.windowStartMs - b.windowStartMs ||
    levels.indexOf(a.level) - levels.indexOf(b.level) ||
    compareTexts(a.id, b.id) ||
    compareTexts(a.metric, b.metric)
  );
}

export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
