import type { Subscription } from '@domicile/mqtt/owner.ts';
import type { Cursor } from '../model/messages/cursor.ts';
import type { FeedMessage } from './feed.ts';
import type { PartitionTail } from './partition-tail.ts';

/** Who takes messages out of the log: a session, or the members of a share group together. */
export interface Taker {
  /** Its readings by the key of their place. */
  readonly readings: ReadonlyMap<string, Reading>;
  /** Its entries that the topic matches, wherever they begin. */
  entriesOf(topic: string): readonly Entry[];
  /**
   * Gives a message for these entries, which all begin before it. `full`: nothing was taken, and the taker calls
   * `LogTails.goOn` when it may be tried again.
   */
  take(
    reading: Reading,
    message: FeedMessage,
    entries: readonly Entry[],
  ): 'taken' | 'full' | 'skipped';
  /** What stood between the offsets is no longer there. */
  missed(reading: Reading, from: number, to: number): void;
}

/** One filter of a taker. */
export interface Entry {
  readonly taker: Taker;
  subscription: Subscription;
  /** By place, the first offset that it takes; a place that is not named: from the beginning. */
  readonly from: Map<string, number>;
  /** By place: what is retained counts as such if it stands before this; the rest comes as any other message. */
  retainedBefore: ReadonlyMap<string, number>;
}

/** One taker on one partition. */
export interface Reading {
  readonly taker: Taker;
  readonly tail: PartitionTail;
  readonly cursor: Cursor;
  /** Gets what comes, as it comes; else it has its own place in the log. */
  isLive: boolean;
  /** What is sent at most once and stands before it is left out: its taker was away. */
  quietBefore: number;
}

/** Whether the entry takes what stands there. */
export function begins({ from }: Entry, place: string, offset: number): boolean {
  return (from.get(place) ?? 0) <= offset;
}
