import type { ObjectStore } from './object-store.ts';

/** How many readings of a building are in the landing zone, by the minute in which they were measured. */
export interface LandedCounts {
  /** Of the minutes in [fromMs, toMs). */
  readonly landed: number;
  readonly byMinute: ReadonlyMap<number, number>;
  /** When the manifests were last compared with the objects that are there, Unix milliseconds; null: never. */
  readonly verifiedAtMs: number | null;
}

/**
 * Reads `serving/account/landed/v1/`, which the lander's auditor keeps: the reader needs no right to the landing zone.
 * A landed object that is gone or altered no longer counts.
 */
export type ReadLandedCounts = (
  store: ObjectStore,
  of: { building: string; fromMs: number; toMs: number },
) => Promise<LandedCounts>;
