import { createHash } from 'node:crypto';
import type { EncodedAggregate } from '@domicile/core/aggregate.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { type Level, levels } from '@domicile/core/summary.ts';
import type { SummaryFile, SummaryPart } from './model/summary-manifest.ts';
import {
  compareTexts,
  figuresOfStored,
  type LatePart,
  type StoredRow,
} from './model/summary-row.ts';
import type { ObjectStore } from './object-store.ts';
import type { ColumnSpec } from './parquet/columns.ts';
import type { ParquetFile, ReadValue } from './parquet/read-parquet.ts';
import { writeParquet } from './parquet/write-parquet.ts';

const utf8 = { type: 'utf8', nullable: false } as const;
const double = { type: 'double', nullable: false } as const;
const whole = { type: 'int64', nullable: false } as const;

/** Times are UTC, figures as the API gives them; `base` and `late` are aggregates as JSON, for exact merging. */
export const summaryColumns: readonly ColumnSpec[] = [
  { name: 'building', ...utf8 },
  { name: 'level', ...utf8 },
  { name: 'id', ...utf8 },
  { name: 'metric', ...utf8 },
  { name: 'unit', ...utf8 },
  { name: 'window_start', type: 'timestamp', nullable: false },
  { name: 'window_end', type: 'timestamp', nullable: false },
  { name: 'count', ...whole },
  { name: 'sum', ...double },
  { name: 'avg', ...double },
  { name: 'min', ...double },
  { name: 'max', ...double },
  { name: 'stddev', ...double },
  { name: 'p50', ...double },
  { name: 'p95', ...double },
  { name: 'revision', ...whole },
  { name: 'is_final', type: 'int32', nullable: false },
  { name: 'version', ...whole },
  { name: 'base', ...utf8, nullable: true, unbounded: true },
  { name: 'late', ...utf8, nullable: true, unbounded: true },
];

const dayMs = 86_400_000;
/** Rows of a thing stand together for so long, then comes the next thing: a page of time reads little beside. */
const bucketMs = 3 * 3_600_000;
/** Small groups, so that one thing's rows are read without the others. */
const rowGroupRows = 4_096;

export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / dayMs) * dayMs;
}

function compareStored(a: StoredRow, b: StoredRow): number {
  return (
    compareTexts(a.building, b.building) ||
    dayOf(a.windowStartMs) - dayOf(b.windowStartMs) ||
    levels.indexOf(a.level) - levels.indexOf(b.level) ||
    Math.floor(a.windowStartMs / bucketMs) - Math.floor(b.windowStartMs / bucketMs) ||
    compareTexts(a.id, b.id) ||
    compareTexts(a.metric, b.metric) ||
    a.windowStartMs - b.windowStartMs
  );
}

/** Writes rows, one for each key, as one file `{folder}{name}-{digest}.parquet`. At least one row. */
export async function writeSummaryFile(
  store: ObjectStore,
  name: string,
  unsorted: readonly StoredRow[],
): Promise<SummaryFile> {
  const rows = unsorted.toSorted(compareStored);
  const content = writeParquet({
    columns: summaryColumns,
    values: valuesOf(rows),
    rowGroupSizes: [rowGroupRows],
  });
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 16);
  const key = `${name}-${digest}.parquet`;
  // One that is there already has the same bytes: its name says so.
  await store.createOnly(key, content);
  return { key, bytes: content.length, parts: partsOf(rows) };
}

type Cell = string | number | null;

function valuesOf(rows: readonly StoredRow[]): ReadonlyMap<string, Cell[]> {
  const values = new Map<string, Cell[]>(summaryColumns.map(({ name }) => [name, []]));
  const columns = [...values.values()];
  for (const row of rows) {
    const { count, sum, avg, min, max, stddev, p50, p95 } = figuresOfStored(row);
    const cells = [
      row.building,
      row.level,
      row.id,
      row.metric,
      row.unit,
      row.windowStartMs * 1000,
      row.windowEndMs * 1000,
      count,
      sum,
      avg,
      min,
      max,
      stddev,
      p50,
      p95,
      row.revision,
      row.final ? 1 : 0,
      row.version,
      row.base && JSON.stringify(row.base),
      row.late.length === 0 ? null : JSON.stringify(row.late),
    ];
    for (let index = 0; index < cells.length; index += 1)
      columns[index]?.push(cells[index] ?? null);
  }
  return values;
}

/** Of rows in the order of the file. */
function partsOf(rows: readonly StoredRow[]): SummaryPart[] {
  const parts: SummaryPart[] = [];
  for (const [index, row] of rows.entries()) {
    const { building, windowStartMs, level } = row;
    const day = dayOf(windowStartMs);
    let part = parts.at(-1);
    if (part?.building !== building || part.dayMs !== day) {
      const bounds: SummaryPart['rows'] = [index, index, index, index, index];
      part = { building, dayMs: day, fromMs: windowStartMs, toMs: windowStartMs, rows: bounds };
      parts.push(part);
    }
    part.fromMs = Math.min(part.fromMs, windowStartMs);
    part.toMs = Math.max(part.toMs, windowStartMs);
    for (let at = levels.indexOf(level) + 1; at < part.rows.length; at += 1)
      part.rows[at] = index + 1;
  }
  return parts;
}

/** Which rows of a part are wanted. */
export interface RowFilter {
  readonly level?: Level;
  readonly id?: string;
  readonly metric?: string;
  /** Windows that start in [fromMs, toMs). */
  readonly fromMs: number;
  readonly toMs: number;
}

const readColumns = [
  'level',
  'id',
  'metric',
  'unit',
  'window_start',
  'window_end',
  'revision',
  'is_final',
  'version',
  'base',
  'late',
];

export async function readPart(
  file: ParquetFile,
  part: SummaryPart,
  filter: RowFilter,
): Promise<StoredRow[]> {
  const at = filter.level === undefined ? 0 : levels.indexOf(filter.level);
  const start = part.rows[at] ?? 0;
  const end = part.rows[filter.level === undefined ? 4 : at + 1] ?? 0;
  if (start === end) return [];
  const { id, metric, fromMs, toMs } = filter;
  const columns = await file.read(readColumns, {
    start,
    end,
    where: {
      window_start: { $gte: BigInt(fromMs) * 1000n, $lt: BigInt(toMs) * 1000n },
      ...(id !== undefined && { id: { $eq: id } }),
      ...(metric !== undefined && { metric: { $eq: metric } }),
    },
  });
  const column = (name: string) => columns.get(name) ?? [];
  const [starts, ids, metrics] = [column('window_start'), column('id'), column('metric')];
  const rows: StoredRow[] = [];
  for (const [index, micros] of starts.entries()) {
    const windowStartMs = msOf(micros);
    const isWanted =
      windowStartMs >= fromMs &&
      windowStartMs < toMs &&
      (id === undefined || ids[index] === id) &&
      (metric === undefined || metrics[index] === metric);
    if (isWanted) rows.push(rowAt(columns, index, part.building));
  }
  return rows;
}

function rowAt(
  columns: ReadonlyMap<string, ReadValue[]>,
  index: number,
  building: string,
): StoredRow {
  const cell = (name: string) => columns.get(name)?.[index] ?? null;
  const text = (name: string) => `${cell(name)}`;
  const [base, late] = [cell('base'), cell('late')];
  const level = levels.find((one) => one === cell('level'));
  if (level === undefined)
    throw new PlatformError('OBJECT_MISMATCH', 'Cannot read a file of summaries');
  return {
    building,
    level,
    id: text('id'),
    metric: text('metric'),
    unit: text('unit'),
    windowStartMs: msOf(cell('window_start')),
    windowEndMs: msOf(cell('window_end')),
    base: base === null ? null : parseAggregate(JSON.parse(`${base}`)),
    version: Number(cell('version')),
    late: late === null ? [] : parseLate(JSON.parse(`${late}`)),
    revision: Number(cell('revision')),
    final: Number(cell('is_final')) === 1,
  };
}

function msOf(micros: ReadValue | undefined): number {
  return Number(micros) / 1000;
}

function parseAggregate(value: unknown): EncodedAggregate {
  if (isAggregate(value)) return value;
  throw new PlatformError('OBJECT_MISMATCH', 'Cannot read an aggregate of the serving layer');
}

function isAggregate(value: unknown): value is EncodedAggregate {
  return (
    Array.isArray(value) &&
    value.length === 6 &&
    value.slice(0, 3).every((part) => typeof part === 'number') &&
    value.slice(3).every((part) => Array.isArray(part))
  );
}

function parseLate(value: unknown): LatePart[] {
  if (!Array.isArray(value)) throw new PlatformError('OBJECT_MISMATCH', 'Cannot read late parts');
  return value.map((part: unknown) => {
    const [offset, aggregate]: unknown[] = Array.isArray(part) ? part : [];
    return [Number(offset), parseAggregate(aggregate)];
  });
}
