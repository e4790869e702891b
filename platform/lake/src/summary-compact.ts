import { levels } from '@domicile/core/summary.ts';
import type { CompactionJob } from './model/summary-compaction.ts';
import type { SummaryFile } from './model/summary-manifest.ts';
import { compareTexts, mergeMinutes, newerOf } from './model/summary-row.ts';
import type { SummaryInterval } from './model/summary-windows.ts';
import type { ObjectStore } from './object-store.ts';
import { mergeCells, placeOf, type StoredCells } from './summary-cells.ts';
import { bucketMs, bucketOf, SummaryFileBuilder } from './summary-files.ts';
import type { SummaryParts } from './summary-parts.ts';

export interface Compaction {
  readonly store: ObjectStore;
  readonly parts: SummaryParts;
  readonly interval: SummaryInterval;
  /** Of the new file, without its digest. */
  readonly name: string;
}

/** Merges the parts of jobs into one file, a few hours of one level at a time. */
export async function compact(
  { store, parts, interval, name }: Compaction,
  jobs: readonly CompactionJob[],
): Promise<SummaryFile> {
  // A whole day is read for long.
  const isDay = jobs.every((job) => job.isDay);
  const builder = new SummaryFileBuilder(isDay ? 'ZSTD' : 'SNAPPY');
  const ordered = jobs.toSorted(
    (a, b) => compareTexts(a.building, b.building) || a.dayMs - b.dayMs,
  );
  const merge = interval === 'PT1M' ? mergeMinutes : newerOf;
  for (const job of ordered) {
    for (const slice of slicesOf(job)) {
      builder.append(await mergedSlice(parts, job, slice, merge));
    }
  }
  const file = await builder.finish(store, name);
  return isDay ? { ...file, parts: file.parts.map((part) => ({ ...part, isDay })) } : file;
}

/** The levels and buckets of a job, in the order of a file. */
function slicesOf({ parts }: CompactionJob) {
  const toMs = Math.max(...parts.map(({ part }) => part.toMs)) + 1;
  const starts: number[] = [];
  for (
    let at = bucketOf(Math.min(...parts.map(({ part }) => part.fromMs)));
    at < toMs;
    at += bucketMs
  )
    starts.push(at);
  return levels.flatMap((level) =>
    starts.map((fromMs) => ({ level, fromMs, toMs: fromMs + bucketMs })),
  );
}

async function mergedSlice(
  parts: SummaryParts,
  job: CompactionJob,
  slice: Parameters<SummaryParts['cells']>[2],
  merge: Parameters<typeof mergeCells>[2],
): Promise<StoredCells[]> {
  const rows = new Map<string, StoredCells>();
  for (const { file, part } of job.parts)
    for (const cells of await parts.cells(file, part, slice)) take(rows, cells, merge);
  return inOrder(rows);
}

function take(
  rows: Map<string, StoredCells>,
  cells: StoredCells,
  merge: Parameters<typeof mergeCells>[2],
): void {
  const { id, metric, windowStartMs } = placeOf(cells);
  const key = `${id} ${metric} ${`${windowStartMs}`.padStart(16, '0')}`;
  const present = rows.get(key);
  rows.set(key, present ? mergeCells(present, cells, merge) : cells);
}

/** By id, metric and window. A blank sorts before all that ids and names are made of, so keys sort as their parts do. */
function inOrder(rows: ReadonlyMap<string, StoredCells>): StoredCells[] {
  return [...rows].toSorted(([a], [b]) => compareTexts(a, b)).map(([, cells]) => cells);
}
