import type { AccountRecord, NumberRange } from '@domicile/core/account.ts';

/** Where the newest snapshot stands. */
export interface SnapshotPlace {
  /** The commit whose effects it holds last. */
  readonly commit: number;
  /** Its parts stand in `state` at this offset or after it. */
  readonly stateFrom: number;
  /** The journal of the commits after it stands at this offset or after it. */
  readonly journalFrom: number;
}

/**
 * What one commit did, beside the readings that it names: with them, the state can be folded again. Nothing in it depends
 * on what the registry said then.
 */
export interface Journal {
  /** From 1 up without a gap. */
  readonly commit: number;
  /** Stream → next offset to read, as committed with it. */
  readonly inputs: Readonly<Record<string, number>>;
  /** Offsets in `readings` of what it took in. */
  readonly readings: readonly NumberRange[];
  /** The newest timestamps of its records and of its ticks; 0 without any. */
  readonly recordMs: number;
  readonly tickMs: number;
  /** Changes of accounts that the readings do not show: repeats, quarantined numbers, reports. */
  readonly account: readonly AccountRecord[];
  /** Devices first heard of that nobody declared. */
  readonly strangers: readonly (readonly [building: string, device: string])[];
  /** Buildings that were erased: nothing of them is kept after it. Absent: none. */
  readonly forgotten?: readonly string[];
  /** The newest snapshot, this commit's own included. */
  readonly snapshot: SnapshotPlace | null;
}

/** Rising offsets as ranges. */
export function offsetRanges(offsets: readonly bigint[]): NumberRange[] {
  const ranges: [number, number][] = [];
  for (const each of offsets) {
    const offset = Number(each);
    const last = ranges.at(-1);
    if (last !== undefined && last[1] + 1 === offset) last[1] = offset;
    else ranges.push([offset, offset]);
  }
  return ranges;
}
