import { createHash } from 'node:crypto';
import { levels } from '@domicile/core/summary.ts';
import type { SummaryFile, SummaryPart } from './model/summary-manifest.ts';
import { compareTexts, type StoredRow } from './model/summary-row.ts';
import type { ObjectStore } from './object-store.ts';
import type { ReadValue } from './parquet/read-parquet.ts';
import { ParquetBuilder, type ParquetCodec } from './parquet/write-parquet.ts';
import { cellsOf, placeOf, type StoredCells, summaryColumns } from './summary-cells.ts';

const dayMs = 86_400_000;
/** Rows of a thing stand together for so long, then comes the next thing: a page of time reads little beside. */
export const bucketMs = 3 * 3_600_000;
/** Small groups, so that one thing's rows are read without the others. */
const rowGroupRows = 4_096;

export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / dayMs) * dayMs;
}

/** When the bucket begins that holds a window. */
export function bucketOf(timeMs: number): number {
  return Math.floor(timeMs / bucketMs) * bucketMs;
}

function compareStored(a: StoredRow, b: StoredRow): number {
  return (
    compareTexts(a.building, b.building) ||
    dayOf(a.windowStartMs) - dayOf(b.windowStartMs) ||
    levels.indexOf(a.level) - levels.indexOf(b.level) ||
    bucketOf(a.windowStartMs) - bucketOf(b.windowStartMs) ||
    compareTexts(a.id, b.id) ||
    compareTexts(a.metric, b.metric) ||
    a.windowStartMs - b.windowStartMs
  );
}

/** Writes rows, one for each key, as one file `{name}-{digest}.parquet`. At least one row. */
export async function writeSummaryFile(
  store: ObjectStore,
  name: string,
  rows: readonly StoredRow[],
): Promise<SummaryFile> {
  const builder = new SummaryFileBuilder('SNAPPY');
  builder.append(rows.toSorted(compareStored).map(cellsOf));
  return builder.finish(store, name);
}

/** A file of summaries in steps. */
export class SummaryFileBuilder {
  readonly #parquet: ParquetBuilder;
  readonly #parts: SummaryPart[] = [];
  #waiting: StoredCells[] = [];
  #count = 0;

  constructor(codec: ParquetCodec) {
    this.#parquet = new ParquetBuilder(summaryColumns, {}, codec);
  }

  /** Rows by building, day, level, bucket, id, metric and window. */
  append(rows: readonly StoredCells[]): void {
    for (const cells of rows) {
      this.#note(cells);
      this.#waiting.push(cells);
      if (this.#waiting.length >= rowGroupRows) this.#writeGroup();
    }
  }

  #writeGroup(): void {
    if (this.#waiting.length === 0) return;
    const values = summaryColumns.map(({ name }, index): [string, ReadValue[]] => [
      name,
      this.#waiting.map((cells) => cells[index] ?? null),
    ]);
    this.#parquet.append(new Map(values), [rowGroupRows]);
    this.#waiting = [];
  }

  async finish(store: ObjectStore, name: string): Promise<SummaryFile> {
    this.#writeGroup();
    const content = this.#parquet.finish();
    const digest = createHash('sha256').update(content).digest('hex').slice(0, 16);
    const key = `${name}-${digest}.parquet`;
    // One that is there already has the same bytes: its name says so.
    await store.createOnly(key, content);
    return { key, bytes: content.length, parts: this.#parts };
  }

  #note(cells: StoredCells): void {
    const { building, level, windowStartMs } = placeOf(cells);
    const day = dayOf(windowStartMs);
    let part = this.#parts.at(-1);
    if (part?.building !== building || part.dayMs !== day) {
      const at = this.#count;
      const [fromMs, toMs] = [windowStartMs, windowStartMs];
      part = { building, dayMs: day, fromMs, toMs, rows: [at, at, at, at, at] };
      this.#parts.push(part);
    }
    this.#count += 1;
    part.fromMs = Math.min(part.fromMs, windowStartMs);
    part.toMs = Math.max(part.toMs, windowStartMs);
    for (let at = levels.indexOf(level) + 1; at < part.rows.length; at += 1)
      part.rows[at] = this.#count;
  }
}
