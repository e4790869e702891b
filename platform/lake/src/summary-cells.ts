import type { EncodedAggregate } from '@domicile/core/aggregate.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { levels } from '@domicile/core/summary.ts';
import { figuresOfStored, type LatePart, type StoredRow } from './model/summary-row.ts';
import type { ColumnSpec } from './parquet/columns.ts';
import type { ReadValue } from './parquet/read-parquet.ts';

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

/** A row as it stands in a file: a value for each column, in their order. */
export type StoredCells = readonly ReadValue[];

export function cellsOf(row: StoredRow): StoredCells {
  const { count, sum, avg, min, max, stddev, p50, p95 } = figuresOfStored(row);
  return [
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
}

const columnIndex = new Map(summaryColumns.map(({ name }, index) => [name, index]));

function cellIn(cells: StoredCells, name: string): ReadValue {
  return cells[columnIndex.get(name) ?? -1] ?? null;
}

export function placeOf(cells: StoredCells) {
  const level = levels.find((one) => one === cellIn(cells, 'level'));
  if (level === undefined)
    throw new PlatformError('OBJECT_MISMATCH', 'Cannot read a file of summaries');
  return {
    building: `${cellIn(cells, 'building')}`,
    level,
    id: `${cellIn(cells, 'id')}`,
    metric: `${cellIn(cells, 'metric')}`,
    windowStartMs: msOf(cellIn(cells, 'window_start')),
  };
}

export function rowOf(cells: StoredCells): StoredRow {
  const [base, late] = [cellIn(cells, 'base'), cellIn(cells, 'late')];
  return {
    ...placeOf(cells),
    unit: `${cellIn(cells, 'unit')}`,
    windowEndMs: msOf(cellIn(cells, 'window_end')),
    base: base === null ? null : parseAggregate(JSON.parse(`${base}`)),
    version: Number(cellIn(cells, 'version')),
    late: late === null ? [] : parseLate(JSON.parse(`${late}`)),
    revision: Number(cellIn(cells, 'revision')),
    final: Number(cellIn(cells, 'is_final')) === 1,
  };
}

/** One row of two of the same key, without looking into aggregates that stay as they are. */
export function mergeCells(
  a: StoredCells,
  b: StoredCells,
  merge: (a: StoredRow, b: StoredRow) => StoredRow,
): StoredCells {
  return cellsOf(merge(rowOf(a), rowOf(b)));
}

export function msOf(micros: ReadValue | undefined): number {
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
