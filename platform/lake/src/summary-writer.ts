import { PlatformError } from '@domicile/core/errors.ts';
import { compactionJobs, withoutParts } from './model/summary-compaction.ts';
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
import { forgetBefore, summariesKeptSinceMs } from './model/summary-retention.ts';
import type { StoredRow } from './model/summary-row.ts';
import {
  type CoarseInterval,
  coarseIntervals,
  type SummaryInterval,
  summaryIntervals,
} from './model/summary-windows.ts';
import type { ObjectStore } from './object-store.ts';
import { compact } from './summary-compact.ts';
import { LatestCsv } from './summary-csv.ts';
import { writeSummaryFile } from './summary-files.ts';
import { SummaryParts } from './summary-parts.ts';
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
  /** Building-days, of each interval and file, whose retention has ended. */
  readonly expiredParts: number;
}

export interface SummaryRetention {
  /** As the store's rule on files of summaries says; undefined: for ever. */
  readonly retentionDays?: number | undefined;
  readonly now?: () => number;
}

/** Coarser windows that one flush writes at most; the rest waits for the next one. */
const windowsPerFlushMax = 64;
/** Rows that one flush compacts for each interval; a larger job waits until it is the only one. */
const compactionRowsMax = 200_000;

/** Writes the serving layer of summaries. One at a time: a second one is fenced by the number of the snapshot. */
export class SummaryWriter {
  readonly #store: ObjectStore;
  readonly #parts: SummaryParts;
  readonly #latest = new LatestCsv();
  readonly #retention: SummaryRetention;
  #manifest: SummaryManifest = emptyManifest;

  static async open(store: ObjectStore, retention: SummaryRetention = {}): Promise<SummaryWriter> {
    const writer = new SummaryWriter(store, retention);
    await writer.#findNewest();
    return writer;
  }

  private constructor(store: ObjectStore, retention: SummaryRetention) {
    this.#store = store;
    this.#retention = retention;
    this.#parts = new SummaryParts(store);
  }

  #now(): number {
    return (this.#retention.now ?? Date.now)();
  }

  get offsets(): Map<number, bigint> {
    return offsetsOf(this.#manifest);
  }

  /** The newest snapshot of this writer that all pointers name. */
  get published(): SummaryManifest {
    return this.#manifest;
  }

  /**
   * Makes the next snapshot. If it throws something retriable the same flush may be tried again.
   * Throws `FENCED` if another writer made that snapshot, and `STATE_LOST` if the one before is gone, and the serving layer with
   * it: what opens anew begins at the beginning of the stream.
   */
  async flush(flush: SummaryFlush): Promise<FlushReport> {
    await this.#requireBefore();
    const draft = structuredClone(this.#manifest);
    draft.number += 1;
    for (const [partition, offset] of flush.offsets) draft.offsets[`${partition}`] = `${offset}`;
    const { retentionDays } = this.#retention;
    draft.retentionDays = retentionDays;
    const sinceMs = summariesKeptSinceMs(retentionDays, this.#now());
    const rows = flush.rows.filter(({ windowStartMs }) => windowStartMs >= sinceMs);
    if (rows.length > 0) draft.files.PT1M.push(await this.#write(draft, 'PT1M', rows));
    noteChanges(draft, { ...flush, rows });
    const expiredParts = forgetBefore(draft, sinceMs);
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
    return { number, rows: rows.length, merged, pending, compactedRows, expiredParts };
  }

  async #requireBefore(): Promise<void> {
    const { number } = this.#manifest;
    if (number === 0 || (await this.#store.head(summarySnapshotKey('PT1M', number)))) return;
    if ((await this.#pointedNumber()) > number)
      throw new PlatformError('FENCED', 'Cannot write a snapshot: another writer has gone on');
    throw new PlatformError('STATE_LOST', 'Cannot write a snapshot: the one before it is gone');
  }

  async #write(
    draft: SummaryManifest,
    interval: SummaryInterval,
    rows: readonly StoredRow[],
  ): Promise<SummaryFile> {
    return writeSummaryFile(this.#store, nameOf(draft, interval), rows);
  }

  async #mergeDue(
    draft: SummaryManifest,
    interval: CoarseInterval,
    windowsMax: number,
  ): Promise<number> {
    const reader = new SummaryReader(draft, this.#parts);
    const rows: StoredRow[] = [];
    const done: { building: SummaryBuilding; startMs: number }[] = [];
    for (const [id, building] of Object.entries(draft.buildings)) {
      const windows = dueWindows(building, interval).slice(0, windowsMax - done.length);
      const zone = building.zone ?? 'UTC';
      for (const row of await reader.merge({ interval, building: id, windows, zone }))
        rows.push(row);
      for (const { startMs } of windows) done.push({ building, startMs });
    }
    if (rows.length > 0) draft.files[interval].push(await this.#write(draft, interval, rows));
    for (const { building, startMs } of done) written(building, interval, startMs);
    return done.length;
  }

  async #compact(draft: SummaryManifest, interval: SummaryInterval): Promise<number> {
    const jobs = compactionJobs(draft, interval, compactionRowsMax);
    const files: SummaryFile[] = [];
    const [store, parts] = [this.#store, this.#parts];
    const days = jobs.filter(({ isDay }) => isDay);
    const others = jobs.filter(({ isDay }) => !isDay);
    for (const some of [...days.map((job) => [job]), others]) {
      if (some.length === 0) continue;
      const name = nameOf(draft, interval);
      files.push(await compact({ store, parts, interval, name }, some));
    }
    const merged = new Set(jobs.flatMap((job) => job.parts.map(({ part }) => part)));
    if (merged.size > 0)
      draft.files[interval] = [...withoutParts(draft.files[interval], merged), ...files];
    return jobs.reduce((sum, { rows }) => sum + rows, 0);
  }

  async #commit(draft: SummaryManifest): Promise<void> {
    const content = Buffer.from(JSON.stringify(draft));
    const key = summarySnapshotKey('PT1M', draft.number);
    if (!(await this.#store.createOnly(key, content))) {
      // A step that was tried again may meet itself.
      if (!(await this.#store.get(key))?.equals(content))
        throw new PlatformError('FENCED', 'Cannot write a snapshot: another writer has made it');
    }
    // Where a later writer has pruned, the number was free again: then the one before is gone too.
    await this.#requireBefore();
    await this.#publish(draft);
    this.#manifest = draft;
  }

  async #publish(manifest: SummaryManifest): Promise<void> {
    const { number } = manifest;
    for (const interval of coarseIntervals) {
      const content = Buffer.from(JSON.stringify(coarseManifest(manifest, interval)));
      await this.#store.createOnly(summarySnapshotKey(interval, number), content);
    }
    const reader = new SummaryReader(manifest, this.#parts);
    const keptSinceMs = summariesKeptSinceMs(manifest.retentionDays, this.#now());
    for (const interval of summaryIntervals) {
      const folder = summaryFolder(interval);
      const csv = await this.#latest.render(interval, { manifest, reader, keptSinceMs });
      await this.#store.replacePointer(`${folder}latest.csv`, Buffer.from(csv));
      const pointer = { number, snapshot: summarySnapshotKey(interval, number) };
      await this.#store.replacePointer(
        `${folder}latest.json`,
        Buffer.from(JSON.stringify(pointer)),
      );
    }
  }

  async #pointedNumber(): Promise<number> {
    const pointer = await this.#store.get(`${summaryFolder('PT1M')}latest.json`);
    return pointer ? parsePointer(pointer).number : 0;
  }

  /** The pointer may lag behind a writer that was killed. */
  async #findNewest(): Promise<void> {
    let number = await this.#pointedNumber();
    while (await this.#store.head(summarySnapshotKey('PT1M', number + 1))) number += 1;
    if (number === 0) return;
    const content = await this.#store.get(summarySnapshotKey('PT1M', number));
    if (!content)
      throw new PlatformError('OBJECT_MISMATCH', 'Cannot go on: the newest snapshot is gone');
    this.#manifest = parseSummaryManifest(content);
    await this.#publish(this.#manifest);
  }
}

/** Without its digest. */
function nameOf({ number }: SummaryManifest, interval: SummaryInterval): string {
  return `${summaryFolder(interval)}data/${`${number}`.padStart(20, '0')}`;
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
