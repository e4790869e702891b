import type { AccountSource } from '../model/account.ts';
import type { DropOrder } from '../model/dropped.ts';
import type { DeviceNumbers } from '../model/numbering.ts';
import type { Ranges } from '../model/ranges.ts';
import type { PreparedReading } from '../model/reading.ts';
import type { Lane, StoredRecord } from '../model/record.ts';

/** One reading to be kept. */
export interface Entry {
  readonly device: string;
  readonly lane: Lane;
  readonly reading: PreparedReading;
}

export interface ReadLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
}

export interface ReadPart {
  readonly records: readonly StoredRecord[];
  /** Where the next part begins. What is missing between was unreadable or is gone, and is accounted for. */
  readonly next: number;
}

/**
 * What the building's readings wait in until the cell has them. Order of calls: `append` any number of times;
 * `read` and `sent` from the uplink; dispose last. Nothing that is unsent is ever deleted, except by a policy or an
 * operator, and then it is in the account.
 */
export interface Store extends AsyncDisposable {
  /** The agent's run: the store's id. */
  readonly boot: string;
  /** One after the newest record. */
  readonly next: number;
  /** What the cell has not acked. */
  readonly unsent: Ranges;
  readonly bytes: number;
  /** About when the oldest unsent record came, ms since 1970; undefined if there is none or nobody knows. */
  readonly oldestUnsentAtMs: number | undefined;
  /**
   * Numbers and keeps entries, all or none, in the order of the calls; resolves when they are on disk. Throws `STORE_FULL`
   * (retriable) when there is no room, `RATE_LIMITED` when too much waits for the disk.
   */
  append(entries: readonly Entry[]): Promise<void>;
  /** Records from `from` below `to`, in order. Throws what the disk throws. */
  read(from: number, to: number, limits: ReadLimits): Promise<ReadPart>;
  /** The cell has acked these records, or they need not go. Kept lazily: forgetting it sends them once more. */
  sent(indices: readonly number[]): void;
  /** As `sent`, for all of a range. */
  sentUpTo(from: number, to: number): void;
  /** Whether an order drops this record; if so it counts as sent, and stands in the account. */
  dropIfOrdered(record: StoredRecord): boolean;
  /** Orders that numbers be dropped when their turn to be sent comes; resolves when the order is on disk. Of the run that the device is in. */
  order(order: Omit<DropOrder, 'boot'>): Promise<void>;
  /** How far a device's readings were numbered, on disk. */
  numbersOf(device: string): DeviceNumbers;
  /** What the account is made of; `told` when the cell has it. */
  account(atMs: number): AccountSource;
  told(account: AccountSource): void;
  /** Another store of this agent is empty: what it numbered and dropped is told by this one from now on. Resolves when on disk. */
  adopt(account: AccountSource): Promise<void>;
  /** Writes down what the cell acked so far; false if the disk has no room for it. */
  checkpoint(): Promise<boolean>;
}

/** What the store tells while it works. */
export interface StoreListener {
  /** Records are on disk. Called in their order. */
  appended(records: readonly StoredRecord[]): void;
  /** A device began a run, or something was dropped: the cell should hear of it soon. */
  accountChanged(): void;
}
