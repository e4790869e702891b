import { PlatformError } from '@domicile/core/errors.ts';
import { type CompactionJob, compactionJobs, withoutParts } from './model/summary-compaction.ts';
import {
  coarseManifest,
  emptyBuilding,
  emptyManifest,
  offsetsOf,
  parsePointer,
  parseSummaryManifest,
  type SummaryBuilding,
  type SummaryFile,
  summaryFolder,
  type SummaryManifest,
  summarySnapshotKey,
} from './model/summary-manifest.ts';
import { dueWindows, takeZone, touch, written } from './model/summary-pending.ts';
import { mergeMinutes, newerOf, type StoredRow, takeRow } from './model/summary-row.ts';
import {
  type CoarseInterval,
  coarseIntervals,
  type SummaryInterval,
  summaryIntervals,
} from './model/summary-windows.ts';
import type { ObjectStore } from './object-store.ts';
import { ParquetCache } from './parquet-cache.ts';
import { LatestCsv } from './summary-csv.ts';
import { readPart, writeSummaryFile } from './summary-files.ts';
import { SummaryReader } from './summary-reader.ts';

/** What a flush adds to the newest snapshot. */
export interface SummaryFlush {
  /** Of minutes, one for each `rowKey` of a building. */
  readonly rows: readonly StoredRow[];
  /** Partition of `summaries` → the first offset that is not included. */
  readonly offsets: ReadonlyMap<number, bigint>;
  /** Building → up to where its windows have closed, Unix milliseconds. */
  readonly closed: ReadonlyMap<string, number>;
  /** Building → zone of its days. */
  readonly zones: ReadonlyMap<string, string>;
}

export interface FlushReport {
  readonly number: number;
  readonly rows: number;
  /** Coarser windows written, and how many still wait. */
  readonly merged: number;
  readonly pending: number;
  readonly compactedRows: number;
}

/** Coarser windows that one flush writes at most; the rest waits for the next one. */
const windowsPerFlushMax = 64;
/** Rows that one flush compacts at most for each interval. */
const compactionRowsMax = 150_000;

/** Writes the serving layer of summaries. One at a time: a second one is fenced by the number of the snapshot. */
export class SummaryWriter {
  readonly #store: ObjectStore;
  readonly #files: ParquetCache;
  readonly #latest = new LatestCsv();
  #manifest: SummaryManifest = emptyManifest;

  static async open(store: ObjectStore): Promise<SummaryWriter> {
    const writer = new SummaryWriter(store);
    await writer.#findNewest();
    return writer;
  }

  private constructor(store: ObjectStore) {
    this.#store = store;
    this.#files = new ParquetCache(store);
  }

  get offsets(): Map<number, bigint> {
    return offsetsOf(this.#manifest);
  }

  /**
   * Makes the next snapshot. If it throws something retriable the same flush may be tried again.
   * Throws `FENCED` if another writer made that snapshot.
   */
  async flush(flush: SummaryFlush): Promise<FlushReport> {
    const draft = structuredClone(this.#manifest);
    draft.number += 1;
    for (const [partition, offset] of flush.offsets) draft.offsets[`${partition}`] = `${offset}`;
    if (flush.rows.length > 0) draft.files.PT1M.push(await this.#write(draft, 'PT1M', flush.rows));
    noteChanges(draft, flush);
    let merged = 0;
    for (const interval of coarseIntervals)
      merged += await this.#mergeDue(draft, interval, windowsPerFlushMax - merged);
    let compactedRows = 0;
    for (const interval of summaryIntervals) compactedRows += await this.#compact(draft, interval);
    await this.#commit(draft);
    const pending = Object.values(draft.buildings).reduce(
      (sum, building) => sum + coarseIntervals.flatMap((one) => building.pending[one]).length,
      0,
    );
    const { number } = draft;
    return { number, rows: flush.rows.length, merged, pending, compactedRows };
  }

  async #write(
    draft: SummaryManifest,
    interval: SummaryInterval,
    rows: readonly StoredRow[],
  ): Promise<SummaryFile> {
    const name = `${summaryFolder(interval)}data/${`${draft.number}`.padStart(20, '0')}`;
    return writeSummaryFile(this.#store, name, rows);
  }

  async #mergeDue(
    draft: SummaryManifest,
    interval: CoarseInterval,
    windowsMax: number,
  ): Promise<number> {
    const reader = new SummaryReader(draft, this.#files);
    const rows: StoredRow[] = [];
    const done: { building: SummaryBuilding; startMs: number }[] = [];
    for (const [id, building] of Object.entries(draft.buildings)) {
      for (const window of dueWindows(building, interval)) {
        if (done.length >= windowsMax) break;
        const zone = building.zone ?? 'UTC';
        rows.push(...(await reader.merge({ interval, building: id, window, zone })));
        done.push({ building, startMs: window.startMs });
      }
    }
    if (rows.length > 0) draft.files[interval].push(await this.#write(draft, interval, rows));
    for (const { building, startMs } of done) written(building, interval, startMs);
    return done.length;
  }

  async #compact(draft: SummaryManifest, interval: SummaryInterval): Promise<number> {
    const jobs = compactionJobs(draft, interval, compactionRowsMax);
    const together: StoredRow[] = [];
    const files: SummaryFile[] = [];
    for (const job of jobs) {
      const rows = await this.#mergedRows(job, interval);
      if (job.isDay) files.push(await this.#write(draft, interval, rows));
      else together.push(...rows);
    }
    if (together.length > 0) files.push(await this.#write(draft, interval, together));
    const merged = new Set(jobs.flatMap((job) => job.parts.map(({ part }) => part)));
    if (merged.size > 0)
      draft.files[interval] = [...withoutParts(draft.files[interval], merged), ...files];
    return jobs.reduce((sum, { rows }) => sum + rows, 0);
  }

  async #mergedRows(job: CompactionJob, interval: SummaryInterval): Promise<StoredRow[]> {
    const rows = new Map<string, StoredRow>();
    const merge = interval === 'PT1M' ? mergeMinutes : newerOf;
    for (const { file, part } of job.parts) {
      const open = await this.#files.open(file);
      const all = { fromMs: part.fromMs, toMs: part.toMs + 1 };
      for (const row of await readPart(open, part, all)) takeRow(rows, row, merge);
    }
    return [...rows.values()];
  }

  async #commit(draft: SummaryManifest): Promise<void> {
    const content = Buffer.from(JSON.stringify(draft));
    const key = summarySnapshotKey('PT1M', draft.number);
    if (!(await this.#store.createOnly(key, content))) {
      // A step that was tried again may meet itself.
      if (!(await this.#store.get(key))?.equals(content))
        throw new PlatformError('FENCED', 'Cannot write a snapshot: another writer has made it');
    }
    await this.#publish(draft);
    this.#manifest = draft;
  }

  async #publish(manifest: SummaryManifest): Promise<void> {
    const { number } = manifest;
    for (const interval of coarseIntervals) {
      const content = Buffer.from(JSON.stringify(coarseManifest(manifest, interval)));
      await this.#store.createOnly(summarySnapshotKey(interval, number), content);
    }
    const reader = new SummaryReader(manifest, this.#files);
    for (const interval of summaryIntervals) {
      const folder = summaryFolder(interval);
      const csv = await this.#latest.render(interval, manifest, reader);
      await this.#store.replacePointer(`${folder}latest.csv`, Buffer.from(csv));
      const pointer = { number, snapshot: summarySnapshotKey(interval, number) };
      await this.#store.replacePointer(
        `${folder}latest.json`,
        Buffer.from(JSON.stringify(pointer)),
      );
    }
  }

  /** The pointer may lag behind a writer that was killed. */
  async #findNewest(): Promise<void> {
    const pointer = await this.#store.get(`${summaryFolder('PT1M')}latest.json`);
    let number = pointer ? parsePointer(pointer).number : 0;
    while (await this.#store.head(summarySnapshotKey('PT1M', number + 1))) number += 1;
    if (number === 0) return;
    const content = await this.#store.get(summarySnapshotKey('PT1M', number));
    if (!content)
      throw new PlatformError('OBJECT_MISMATCH', 'Cannot go on: the newest snapshot is gone');
    this.#manifest = parseSummaryManifest(content);
    await this.#publish(this.#manifest);
  }
}

/** In place. */
function noteChanges(draft: SummaryManifest, { rows, closed, zones }: SummaryFlush): void {
  for (const [id, own] of Map.groupBy(rows, ({ building }) => building)) {
    const building = (draft.buildings[id] ??= emptyBuilding());
    touch(building, new Set(own.map(({ windowStartMs }) => windowStartMs)));
  }
  for (const [id, closedMs] of closed) {
    const building = (draft.buildings[id] ??= emptyBuilding());
    building.closedMs = Math.max(building.closedMs ?? closedMs, closedMs);
  }
  for (const [id, zone] of zones) takeZone(draft, id, zone);
}
