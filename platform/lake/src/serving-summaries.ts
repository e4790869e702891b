import type { Figures } from '@domicile/core/aggregate.ts';
import type { EncodedAggregate } from '@domicile/core/aggregate.ts';
import type { Level, SummaryRecord } from '@domicile/core/summary.ts';
import type { ObjectStore } from './object-store.ts';

export const summaryIntervals = ['PT1M', 'PT15M', 'PT1H', 'P1D'] as const;
export type SummaryInterval = (typeof summaryIntervals)[number];

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
  /** Rows whose window starts in [fromMs, toMs). */
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

/**
 * The serving layer of summaries at one snapshot, all intervals of the same instant.
 *
 *     const snapshots = await SummarySnapshots.open(store);   // before the first flush: number 0, no rows, no offsets
 *     follow `summaries` from `snapshots.current.offsets` (a partition that is absent: earliest), keep the records;
 *     await snapshots.refresh();                              // every few seconds: true if there is a newer one
 *     drop from the tail what lies below `snapshots.current.offsets`;
 *     await snapshots.current.read({ interval, building, fromMs, toMs, level, tail: tailOf(building) });
 *
 * ETag: `current.number` and whatever tells the tail's state.
 */
export interface SummarySnapshot {
  readonly number: number;
  /** Partition of `summaries` → the first offset that it does not include. */
  readonly offsets: ReadonlyMap<number, bigint>;
  read(query: SummaryQuery): Promise<SummaryAnswer>;
}

export interface SummarySnapshots {
  readonly current: SummarySnapshot;
  /** Follows the pointer; true if `current` has changed. A snapshot that was handed out stays readable. */
  refresh(): Promise<boolean>;
}

export type OpenSummarySnapshots = (store: ObjectStore) => Promise<SummarySnapshots>;
export type FiguresOfRow = (row: SummaryRow) => Figures;
