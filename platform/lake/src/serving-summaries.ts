import type { EncodedAggregate, Figures } from '@domicile/core/aggregate.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import type { Level, SummaryRecord } from '@domicile/core/summary.ts';
import {
  emptyManifest,
  offsetsOf,
  parsePointer,
  parseSummaryManifest,
  summaryFolder,
  type SummaryManifest,
  summarySnapshotKey,
} from './model/summary-manifest.ts';
import { summariesKeptSinceMs } from './model/summary-retention.ts';
import { figuresOfStored, mergedOf, type StoredRow } from './model/summary-row.ts';
import { type SummaryInterval, windowAt, windowsIn } from './model/summary-windows.ts';
import type { ObjectStore } from './object-store.ts';
import { SummaryParts } from './summary-parts.ts';
import { SummaryReader } from './summary-reader.ts';

/** One metric of one thing in one window, as far as snapshot and tail know. */
export interface SummaryRow {
  /** Unix milliseconds. A day of a zone has 23, 24 or 25 hours. */
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly level: Level;
  readonly id: string;
  readonly metric: string;
  readonly unit: string;
  /** Of the windows themselves: their highest revisions. Null if only late readings are known. */
  readonly base: EncodedAggregate | null;
  /** Of what came after the windows' state was given up, merged. Base and late together are the answer: `figuresOfRow`. */
  readonly late: EncodedAggregate | null;
  /** Grows with every change of the row. */
  readonly revision: number;
  readonly final: boolean;
}

export interface SummaryQuery {
  readonly interval: SummaryInterval;
  readonly building: string;
  /** Rows whose window starts in [fromMs, toMs), as far as its retention has not ended. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly level?: Level;
  readonly id?: string;
  readonly metric?: string;
  /** The building's zone (IANA), for P1D; UTC otherwise. */
  readonly timeZone?: string;
  /**
   * Records of this building from the `summaries` stream at and after `offsets`. They are merged in exactly, at every
   * interval; older ones and repeats do no harm, so a follower may lag behind `refresh`.
   */
  readonly tail?: readonly SummaryRecord[];
  /** Answers end with the last whole window within it; default and maximum `rowsMax`. */
  readonly rowsMax?: number;
}

export interface SummaryAnswer {
  /** By window, level (building, floor, room, device), id, metric. */
  readonly rows: readonly SummaryRow[];
  /** Ask again from here for the rest; null if this is all. */
  readonly nextFromMs: number | null;
}

/** Of one answer; a single window with more than that is answered whole. */
export const rowsMax = 50_000;

/** The serving layer of summaries at one instant. */
export interface SummarySnapshot {
  readonly number: number;
  /** Partition of `summaries` → the first offset that it does not include. */
  readonly offsets: ReadonlyMap<number, bigint>;
  read(query: SummaryQuery): Promise<SummaryAnswer>;
}

/**
 * The serving layer of summaries, all intervals at the same instant.
 *
 *     const snapshots = await SummarySnapshots.open(store);   // before the first flush: number 0, no rows, no offsets
 *     follow `summaries` from `snapshots.current.offsets` (a partition that is absent: earliest), keep the records;
 *     await snapshots.refresh();                              // every few seconds: true if there is a newer one
 *     drop from the tail what lies below `snapshots.current.offsets`;
 *     await snapshots.current.read({ interval, building, fromMs, toMs, level, tail: tailOf(building) });
 *
 * ETag: `current.number` and whatever tells the tail's state.
 */
export class SummarySnapshots {
  readonly #store: ObjectStore;
  readonly #parts: SummaryParts;
  readonly #now: () => number;
  #current: SummarySnapshot;

  static async open(store: ObjectStore, now: () => number = Date.now): Promise<SummarySnapshots> {
    const snapshots = new SummarySnapshots({ store, parts: new SummaryParts(store), now });
    await snapshots.refresh();
    return snapshots;
  }

  private constructor(of: { store: ObjectStore; parts: SummaryParts; now: () => number }) {
    this.#store = of.store;
    this.#parts = of.parts;
    this.#now = of.now;
    this.#current = this.#snapshotOf(emptyManifest);
  }

  get current(): SummarySnapshot {
    return this.#current;
  }

  /** Follows the pointer; true if `current` has changed. A snapshot that was handed out stays readable, if need be by a newer one. */
  async refresh(): Promise<boolean> {
    const newer = await this.#after(this.#current.number);
    if (newer) this.#current = newer;
    return newer !== undefined;
  }

  async #after(number: number): Promise<SummarySnapshot | undefined> {
    const pointer = await this.#store.get(`${summaryFolder('PT1M')}latest.json`);
    if (!pointer) return undefined;
    const newest = parsePointer(pointer);
    if (newest.number <= number) return undefined;
    const content = await this.#store.get(summarySnapshotKey('PT1M', newest.number));
    return content && this.#snapshotOf(parseSummaryManifest(content));
  }

  #snapshotOf(manifest: SummaryManifest): SummarySnapshot {
    const { number } = manifest;
    const keptSinceMs = () => summariesKeptSinceMs(manifest.retentionDays, this.#now());
    const newer = () => this.#after(number);
    return new StoredSnapshot(manifest, this.#parts, { newer, keptSinceMs });
  }
}

/** What has become of a snapshot. */
interface SnapshotNow {
  /** Undefined if there is none. */
  newer(): Promise<SummarySnapshot | undefined>;
  /** What began before is over, whether or not its files are gone. */
  keptSinceMs(): number;
}

class StoredSnapshot implements SummarySnapshot {
  readonly number: number;
  readonly offsets: ReadonlyMap<number, bigint>;
  readonly #reader: SummaryReader;
  readonly #now: SnapshotNow;

  constructor(manifest: SummaryManifest, parts: SummaryParts, now: SnapshotNow) {
    this.#now = now;
    this.number = manifest.number;
    this.offsets = offsetsOf(manifest);
    this.#reader = new SummaryReader(manifest, parts);
  }

  /** A newer one answers for one whose files were pruned: what the tail says twice does no harm. */
  async read(query: SummaryQuery): Promise<SummaryAnswer> {
    try {
      return await this.#read(query);
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== 'NOT_FOUND') throw error;
      const newer = await this.#now.newer();
      if (!newer) throw error;
      return newer.read(query);
    }
  }

  async #read(query: SummaryQuery): Promise<SummaryAnswer> {
    const { interval, building, toMs, timeZone: zone = 'UTC', tail = [] } = query;
    const limit = Math.min(query.rowsMax ?? rowsMax, rowsMax);
    const rows: StoredRow[] = [];
    const fromMs = Math.max(query.fromMs, this.#now.keptSinceMs());
    let startMs: number | null = fromMs < toMs ? fromMs : null;
    while (startMs !== null && startMs < toMs && rows.length < limit) {
      const endMs = this.#endOfPage(query, startMs, limit - rows.length);
      const { level, id, metric } = query;
      const filter = {
        ...(level !== undefined && { level }),
        ...(id !== undefined && { id }),
        ...(metric !== undefined && { metric }),
      };
      rows.push(
        ...(await this.#reader.read({ interval, building, startMs, endMs, zone, tail, filter })),
      );
      startMs = endMs < toMs ? endMs : null;
    }
    const cut = wholeWindows(rows, limit);
    if (cut < rows.length) startMs = rows[cut]?.windowStartMs ?? startMs;
    return { rows: rows.slice(0, cut).map(summaryRowOf), nextFromMs: startMs };
  }

  /** Where a page of about `rows` rows ends; more windows than that are read in several rounds. */
  #endOfPage(query: SummaryQuery, startMs: number, rows: number): number {
    const { interval, building, toMs, timeZone: zone = 'UTC' } = query;
    const isNarrow = query.id !== undefined || (query.level ?? 'device') === 'building';
    const perWindow = isNarrow ? 1 : this.#reader.rowsPerWindow(interval, building);
    const windows = Math.max(1, Math.ceil(rows / perWindow));
    let endMs = startMs;
    let count = 0;
    for (const window of windowsIn(interval, { startMs, endMs: toMs }, zone)) {
      endMs = window.endMs;
      count += 1;
      if (count >= windows) break;
    }
    return count === 0 || endMs >= toMs ? toMs : windowAt(interval, endMs, zone).startMs;
  }
}

/** How many of the first rows are whole windows within `limit`; at least one window. */
function wholeWindows(rows: readonly StoredRow[], limit: number): number {
  if (rows.length <= limit) return rows.length;
  let cut = limit;
  while (cut > 0 && rows[cut - 1]?.windowStartMs === rows[cut]?.windowStartMs) cut -= 1;
  if (cut > 0) return cut;
  const first = rows[0]?.windowStartMs;
  const end = rows.findIndex(({ windowStartMs }) => windowStartMs !== first);
  return end < 0 ? rows.length : end;
}

function summaryRowOf(row: StoredRow): SummaryRow {
  const { windowStartMs, windowEndMs, level, id, metric, unit, base, revision, final } = row;
  const late = mergedOf(row.late.map(([, aggregate]) => aggregate));
  return { windowStartMs, windowEndMs, level, id, metric, unit, base, late, revision, final };
}

/** The figures of base and late together. */
export function figuresOfRow(row: SummaryRow): Figures {
  const { base, late } = row;
  return figuresOfStored({ base, late: late ? [[-1, late]] : [] });
}
