import type { SummaryRecord } from '@domicile/core/summary.ts';
import { UnflushedSummaries } from '@domicile/lake/model/unflushed-summaries.ts';
import type { SummaryFlush } from '@domicile/lake/summary-writer.ts';

export interface HeldSummariesOptions {
  /** From where on `summaries` is followed. */
  readonly offsets: ReadonlyMap<number, bigint>;
  /** Makes a snapshot; it is called again only when it has resolved, and never after it has thrown. */
  readonly write: (flush: SummaryFlush) => Promise<void>;
}

/** What was read and is in no snapshot yet. */
export class HeldSummaries {
  readonly #write: HeldSummariesOptions['write'];
  readonly #zones = new Map<string, string>();
  #held: UnflushedSummaries;
  #hasChanged = false;
  #work: Promise<void> = Promise.resolve();
  #hasFailed = false;

  constructor({ offsets, write }: HeldSummariesOptions) {
    this.#write = write;
    this.#held = new UnflushedSummaries(offsets);
  }

  /** Rows. */
  get count(): number {
    return this.#held.count;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** What a record at `offset` says; nothing if it was refused. */
  take(at: { partition: number; offset: bigint }, summary: SummaryRecord | undefined): void {
    if (summary) this.#held.take(summary);
    this.#held.reach(at.partition, at.offset + 1n);
    this.#hasChanged = true;
  }

  takeZone(building: string, zone: string): void {
    if (this.#zones.get(building) === zone) return;
    this.#zones.set(building, zone);
    this.#hasChanged = true;
  }

  /**
   * Resolves when everything that was held at the call is in a snapshot. Throws what `write` threw, then and ever after: what is read
   * later would stand in a snapshot that is said to hold what was lost with the failed one.
   */
  async flush(): Promise<void> {
    const done = this.#work.then(async () => this.#flushOnce());
    done.catch(() => {
      this.#hasFailed = true;
    });
    this.#work = done;
    return done;
  }

  async #flushOnce(): Promise<void> {
    if (!this.#hasChanged) return;
    const held = this.#held;
    this.#held = new UnflushedSummaries(held.offsets);
    this.#hasChanged = false;
    const { rows, offsets, closed } = held;
    await this.#write({ rows, offsets, closed, zones: new Map(this.#zones) });
  }
}
