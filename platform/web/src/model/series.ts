import type { SummaryRow } from './answers.ts';

/** Rows of one point and metric as the columns of a chart; a missing window is a gap, not a bridge. */
export interface Series {
  /** Starts of windows, seconds since 1970. */
  readonly starts: readonly number[];
  readonly avg: readonly (number | null)[];
  readonly min: readonly (number | null)[];
  readonly max: readonly (number | null)[];
  /** The row behind each point; undefined in a gap. */
  readonly rows: readonly (SummaryRow | undefined)[];
}

/** By window, the highest revision; of equal ones the later in the list. Sorted by time. */
export function newestRevisions(rows: readonly SummaryRow[]): SummaryRow[] {
  const newest = new Map<string, SummaryRow>();
  for (const row of rows) {
    const known = newest.get(row.windowStart);
    if (!known || known.revision <= row.revision) newest.set(row.windowStart, row);
  }
  return [...newest.values()].toSorted(
    (a, b) => Date.parse(a.windowStart) - Date.parse(b.windowStart),
  );
}

export function seriesOf(rows: readonly SummaryRow[]): Series {
  const points: { start: number; row: SummaryRow | undefined }[] = [];
  let expected: number | undefined;
  for (const row of newestRevisions(rows)) {
    const start = Date.parse(row.windowStart);
    if (expected !== undefined && start > expected)
      points.push({ start: expected, row: undefined });
    points.push({ start, row });
    expected = Date.parse(row.windowEnd);
  }
  return {
    starts: points.map(({ start }) => start / 1000),
    avg: points.map(({ row }) => row?.avg ?? null),
    min: points.map(({ row }) => row?.min ?? null),
    max: points.map(({ row }) => row?.max ?? null),
    rows: points.map(({ row }) => row),
  };
}

export interface Extent {
  readonly count: number;
  readonly avg: number;
  readonly min: number;
  readonly max: number;
}

/** Over all windows: averages weigh by how many values they stand for. Undefined without any value. */
export function extentOf(rows: readonly SummaryRow[]): Extent | undefined {
  const full = newestRevisions(rows).filter(({ count, avg }) => count > 0 && avg !== null);
  if (full.length === 0) return undefined;
  const count = full.reduce((sum, row) => sum + row.count, 0);
  return {
    count,
    avg: full.reduce((sum, row) => sum + (row.avg ?? 0) * row.count, 0) / count,
    min: Math.min(...full.map(({ min }) => min ?? Infinity)),
    max: Math.max(...full.map(({ max }) => max ?? -Infinity)),
  };
}

/** Points without a neighbour: no line passes through them, so they need a dot to be seen. */
export function lonePoints(values: ArrayLike<number | null | undefined>): number[] {
  const has = (index: number) => values[index] !== null && values[index] !== undefined;
  return Array.from({ length: values.length }, (_, index) => index).filter(
    (index) => has(index) && !has(index - 1) && !has(index + 1),
  );
}
