import { type Level, levels } from '@domicile/core/summary.ts';
import type { ParquetQueryFilter } from 'hyparquet';
import type { SummaryFile, SummaryPart } from './model/summary-manifest.ts';
import type { StoredRow } from './model/summary-row.ts';
import type { ObjectStore } from './object-store.ts';
import { ParquetCache } from './parquet-cache.ts';
import type { ParquetFile, ReadValue } from './parquet/read-parquet.ts';
import { msOf, rowOf, type StoredCells, summaryColumns } from './summary-cells.ts';

/** Which rows of a part are wanted. */
export interface RowFilter {
  readonly level?: Level;
  readonly id?: string;
  readonly metric?: string;
  /** Windows that start in [fromMs, toMs). */
  readonly fromMs: number;
  readonly toMs: number;
}

type Columns = ReadonlyMap<string, readonly ReadValue[]>;

const names = summaryColumns.map(({ name }) => name);
/** What a row is made of. */
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

/** Parts up to this size are decoded once and kept. */
const keptPartRowsMax = 2_500;

/** Reads the parts of files of summaries. New ones, which everybody asks for, are kept decoded. */
export class SummaryParts {
  readonly #files: ParquetCache;
  readonly #keptRowsMax: number;
  readonly #kept = new Map<string, { columns: Promise<Columns>; rows: number }>();
  #keptRows = 0;

  constructor(store: ObjectStore, keptRowsMax = 80_000) {
    this.#files = new ParquetCache(store);
    this.#keptRowsMax = keptRowsMax;
  }

  async rows(file: SummaryFile, part: SummaryPart, filter: RowFilter): Promise<StoredRow[]> {
    const found: StoredRow[] = [];
    for (const { columns, start, end } of await this.#pieces(file, part, readColumns, filter)) {
      const all = names.map((name) => columns.get(name));
      for (const index of wantedIn(columns, { filter, start, end }))
        // The building stands in the part; its column is not read.
        found.push(rowOf(all.map((one) => (one ? (one[index] ?? null) : part.building))));
    }
    return found;
  }

  /** The rows of one level whose windows begin in [fromMs, toMs), as they stand. */
  async cells(
    file: SummaryFile,
    part: SummaryPart,
    filter: { readonly level: Level; readonly fromMs: number; readonly toMs: number },
  ): Promise<StoredCells[]> {
    const found: StoredCells[] = [];
    for (const { columns, start, end } of await this.#pieces(file, part, names, filter)) {
      const all = names.map((name) => columns.get(name) ?? []);
      for (const index of wantedIn(columns, { filter, start, end }))
        found.push(all.map((column) => column[index] ?? null));
    }
    return found;
  }

  /** Columns, and where in them the level's rows stand. */
  async #pieces(
    file: SummaryFile,
    part: SummaryPart,
    wanted: readonly string[],
    filter: RowFilter,
  ): Promise<Piece[]> {
    const { start, end } = rangeOf(part, filter);
    if (start === end) return [];
    const open = await this.#files.open(file);
    if (part.rows[4] - part.rows[0] > keptPartRowsMax) {
      const columns = await open.read(wanted, { start, end, where: whereOf(filter) });
      return [{ columns, start: 0, end: columns.get('window_start')?.length ?? 0 }];
    }
    const pieces: Piece[] = [];
    for (const group of open.groups) {
      if (group.start >= end || group.end <= start) continue;
      pieces.push({
        columns: await this.#decoded(open, { key: file.key, group, wanted }),
        start: Math.max(start, group.start) - group.start,
        end: Math.min(end, group.end) - group.start,
      });
    }
    return pieces;
  }

  /** A row group often holds parts of several buildings, which are asked for one after the other. */
  #decoded(
    open: ParquetFile,
    of: { key: string; group: { start: number; end: number }; wanted: readonly string[] },
  ): Promise<Columns> {
    const { group, wanted } = of;
    const key = `${of.key} ${group.start} ${wanted.length}`;
    const found = this.#kept.get(key);
    if (found) {
      this.#kept.delete(key);
      this.#kept.set(key, found);
      return found.columns;
    }
    const columns = open.read(wanted, group);
    this.#keep(key, { columns, rows: group.end - group.start });
    columns.catch(() => this.#drop(key));
    return columns;
  }

  #keep(key: string, kept: { columns: Promise<Columns>; rows: number }): void {
    this.#kept.set(key, kept);
    this.#keptRows += kept.rows;
    for (const oldest of this.#kept.keys()) {
      if (this.#keptRows <= this.#keptRowsMax || oldest === key) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#keptRows -= this.#kept.get(key)?.rows ?? 0;
    this.#kept.delete(key);
  }
}

interface Piece {
  readonly columns: Columns;
  readonly start: number;
  readonly end: number;
}

function* wantedIn(
  columns: Columns,
  of: { readonly filter: RowFilter; readonly start: number; readonly end: number },
): Generator<number> {
  const { id, metric, fromMs, toMs } = of.filter;
  const column = (name: string) => columns.get(name) ?? [];
  const [starts, ids, metrics] = [column('window_start'), column('id'), column('metric')];
  for (let index = of.start; index < of.end; index += 1) {
    const windowStartMs = msOf(starts[index]);
    const isWanted =
      windowStartMs >= fromMs &&
      windowStartMs < toMs &&
      (id === undefined || ids[index] === id) &&
      (metric === undefined || metrics[index] === metric);
    if (isWanted) yield index;
  }
}

/** Where the rows of the level stand in the file. */
function rangeOf({ rows }: SummaryPart, { level }: RowFilter) {
  if (level === undefined) return { start: rows[0], end: rows[4] };
  const at = levels.indexOf(level);
  return { start: rows[at] ?? 0, end: rows[at + 1] ?? 0 };
}

/** By the bounds of row groups. */
function whereOf({ id, metric, fromMs, toMs }: RowFilter): ParquetQueryFilter {
  return {
    window_start: { $gte: BigInt(fromMs) * 1000n, $lt: BigInt(toMs) * 1000n },
    ...(id !== undefined && { id: { $eq: id } }),
    ...(metric !== undefined && { metric: { $eq: metric } }),
  };
}
