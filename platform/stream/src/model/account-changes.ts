import { type AccountEntry, type AccountRecord, accountWindowMs } from '@domicile/core/account.ts';
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
  reported?: Reported;
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
  /** By device; hardly any has more than one. */
  #changes = new Map<string, Changes[]>();
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get entryCount(): number {
    return this.#count;
  }

  received(device: string, boot: string | null, { seq, atMs }: ReceivedNumber): void {
    const changes = this.#at(device, boot, atMs);
    if (seq === null) changes.unnumbered += 1;
    else addNumber(changes.received, seq);
  }

  /** A whole reading or payload that was not taken in. */
  quarantined({ device, boot, atMs }: AccountPlace, seq: number | null): void {
    const changes = this.#at(device, boot, atMs);
    if (seq === null) changes.unreadable += 1;
    else addNumber(changes.quarantined, seq);
  }

  duplicate({ device, boot, atMs }: AccountPlace): void {
    this.#at(device, boot, atMs).duplicates += 1;
  }

  reported(
    { device, boot, atMs }: AccountPlace,
    report: NonNullable<AccountEntry['reported']>,
  ): void {
    const changes = this.#at(device, boot, atMs);
    changes.reported ??= { next: 0, dropped: [], closed: false };
    changes.reported.next = Math.max(changes.reported.next, report.next);
    changes.reported.closed ||= report.closed;
    addRanges(changes.reported.dropped, report.dropped);
  }

  add(entry: AccountEntry): void {
    const { device, boot, windowStartMs } = entry;
    const changes = this.#at(device, boot, windowStartMs);
    addRanges(changes.received, entry.received);
    addRanges(changes.quarantined, entry.quarantined);
    changes.duplicates += entry.duplicates;
    changes.unnumbered += entry.unnumbered;
    changes.unreadable += entry.unreadable;
    if (entry.reported) this.reported({ device, boot, atMs: windowStartMs }, entry.reported);
  }

  /** As they are now: to be written down before anything else is added. */
  entries(): AccountEntry[] {
    const entries: AccountEntry[] = [];
    for (const changes of this.#changes.values()) for (const one of changes) entries.push(one);
    return entries;
  }

  /** Everything as records of the `account` stream; afterwards it is empty. */
  drain(building: string): AccountRecord[] {
    const entries = this.entries();
    this.#changes = new Map();
    this.#count = 0;
    const records: AccountRecord[] = [];
    for (let from = 0; from < entries.length; from += entriesPerRecordMax)
      records.push({ building, entries: entries.slice(from, from + entriesPerRecordMax) });
    return records;
  }

  #at(device: string, boot: string | null, atMs: number): Changes {
    const windowStartMs = Math.floor(atMs / accountWindowMs) * accountWindowMs;
    let ofDevice = this.#changes.get(device);
    if (ofDevice === undefined) this.#changes.set(device, (ofDevice = []));
    for (const one of ofDevice)
      if (one.boot === boot && one.windowStartMs === windowStartMs) return one;
    const changes: Changes = {
      device,
      boot,
      windowStartMs,
      received: [],
      quarantined: [],
      duplicates: 0,
      unnumbered: 0,
      unreadable: 0,
    };
    ofDevice.push(changes);
    this.#count += 1;
    return changes;
  }
}

interface ReceivedNumber {
  readonly seq: number | null;
  readonly atMs: number;
}
