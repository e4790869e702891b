import {
  type AccountEntry,
  type AccountRecord,
  accountWindowMs,
  type NumberRange,
} from '@domicile/core/account.ts';
import { addNumber, addRanges, type NumberRanges } from './number-ranges.ts';

/** Entries of one record; a record must fit a message. */
const entriesPerRecordMax = 1000;

interface Changes {
  readonly device: string;
  readonly boot: string | null;
  readonly windowStartMs: number;
  readonly received: NumberRanges;
  readonly quarantined: NumberRanges;
  duplicates: number;
  unnumbered: number;
  unreadable: number;
  reported: Reported | undefined;
}

interface Reported {
  next: number;
  readonly dropped: NumberRanges;
  closed: boolean;
}

/** Whose account changes: `boot` null for readings without a number; any time within the window. */
export interface AccountPlace {
  readonly device: string;
  readonly boot: string | null;
  readonly atMs: number;
}

/** What changed in a building's account since it was last told. Adding up is all it does, so order does not matter. */
export class AccountChanges {
  readonly #entries = new Map<string, Changes>();
  /** Readings of a device mostly follow each other in number and window. */
  #last: Changes | undefined;

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  get entryCount(): number {
    return this.#entries.size;
  }

  received(place: AccountPlace, seq: number | null): void {
    const changes = this.#at(place);
    if (seq === null) changes.unnumbered += 1;
    else addNumber(changes.received, seq);
  }

  /** A whole reading or payload that was not taken in. */
  quarantined(place: AccountPlace, seq: number | null): void {
    const changes = this.#at(place);
    if (seq === null) changes.unreadable += 1;
    else addNumber(changes.quarantined, seq);
  }

  duplicate(place: AccountPlace): void {
    this.#at(place).duplicates += 1;
  }

  reported(place: AccountPlace, report: NonNullable<AccountEntry['reported']>): void {
    const changes = this.#at(place);
    changes.reported ??= { next: 0, dropped: [], closed: false };
    changes.reported.next = Math.max(changes.reported.next, report.next);
    changes.reported.closed ||= report.closed;
    addRanges(changes.reported.dropped, report.dropped);
  }

  add(entry: AccountEntry): void {
    const { device, boot, windowStartMs } = entry;
    const place = { device, boot, atMs: windowStartMs };
    const changes = this.#at(place);
    addRanges(changes.received, entry.received);
    addRanges(changes.quarantined, entry.quarantined);
    changes.duplicates += entry.duplicates;
    changes.unnumbered += entry.unnumbered;
    changes.unreadable += entry.unreadable;
    if (entry.reported) this.reported(place, entry.reported);
  }

  entries(): AccountEntry[] {
    return [...this.#entries.values()].map(entryOf);
  }

  /** Everything as records of the `account` stream; afterwards it is empty. */
  drain(building: string): AccountRecord[] {
    const entries = this.entries();
    this.#entries.clear();
    this.#last = undefined;
    const records: AccountRecord[] = [];
    for (let from = 0; from < entries.length; from += entriesPerRecordMax)
      records.push({ building, entries: entries.slice(from, from + entriesPerRecordMax) });
    return records;
  }

  #at({ device, boot, atMs }: AccountPlace): Changes {
    const windowStartMs = Math.floor(atMs / accountWindowMs) * accountWindowMs;
    const last = this.#last;
    if (last?.device === device && last.boot === boot && last.windowStartMs === windowStartMs)
      return last;
    // A boot holds no blank, so the parts cannot be mistaken.
    const key = `${device} ${windowStartMs} ${boot ?? ''}`;
    let changes = this.#entries.get(key);
    if (changes === undefined) {
      const counts = { duplicates: 0, unnumbered: 0, unreadable: 0, reported: undefined };
      changes = { device, boot, windowStartMs, received: [], quarantined: [], ...counts };
      this.#entries.set(key, changes);
    }
    this.#last = changes;
    return changes;
  }
}

function entryOf({ reported, received, quarantined, ...rest }: Changes): AccountEntry {
  return {
    ...rest,
    received: copied(received),
    quarantined: copied(quarantined),
    ...(reported && { reported: { ...reported, dropped: copied(reported.dropped) } }),
  };
}

function copied(ranges: NumberRanges): NumberRange[] {
  return ranges.map(([first, last]) => [first, last]);
}
