import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { LandingContent, type LandingRecord } from '@domicile/lake/landing-content.ts';
import type { LandingPosition, LandingZone } from '@domicile/lake/landing-zone.ts';
import type { LandingPlan } from '@domicile/lake/model/landing-plan.ts';
import { whileStoreFails } from '@domicile/lake/while-store-fails.ts';
import type { LandedPartition, LanderEvents } from './events.ts';

/** A record with when it was received, Unix milliseconds. */
export interface TimedRecord extends LandingRecord {
  readonly timestampMs: number;
}

export interface PartitionLanderOptions extends LandedPartition {
  readonly country: CountryCode;
  readonly zone: LandingZone;
  readonly position: LandingPosition;
  readonly events: LanderEvents;
  /** The records of this partition from `from` up to `to`, excluded. */
  readonly readRange: (from: bigint, to: bigint) => AsyncIterable<readonly LandingRecord[]>;
  /** Ends retries. */
  readonly signal: AbortSignal;
}

/** What a record takes in memory beside its bytes. */
const recordOverheadBytes = 200;

/** Lands one partition: its records wait here, and are then planned, written and announced in order. */
export class PartitionLander {
  readonly #options: PartitionLanderOptions;
  #next: bigint;
  #waiting: TimedRecord[] = [];
  #bytes = 0;
  #waitingSinceMs: number | undefined;
  #work: Promise<void> = Promise.resolve();
  #fault: PlatformError | undefined;

  constructor(options: PartitionLanderOptions) {
    this.#options = options;
    this.#next = options.position.next;
  }

  get place(): LandedPartition {
    return this.#options;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Why it takes no more, until somebody has looked. */
  get fault(): PlatformError | undefined {
    return this.#fault;
  }

  /** Receipt of the oldest record that waits. */
  get oldestMs(): number | undefined {
    return this.#waiting[0]?.timestampMs;
  }

  isDue(nowMs: number, flushMs: number): boolean {
    return this.#waitingSinceMs !== undefined && nowMs - this.#waitingSinceMs >= flushMs;
  }

  add(record: TimedRecord, nowMs: number): void {
    if (this.#fault || record.offset < this.#next) return;
    this.#waiting.push(record);
    this.#bytes += recordOverheadBytes + (record.value?.length ?? 0);
    this.#waitingSinceMs ??= nowMs;
  }

  /** Does the plans that were found without their manifests. */
  async finish(): Promise<void> {
    return this.#inOrder(async () => {
      for (const plan of this.#options.position.unfinished) await this.#adopt(plan);
    });
  }

  /** Resolves when everything that waited at the call is announced, or the partition has halted. */
  async flush(): Promise<void> {
    return this.#inOrder(async () => {
      const until = this.#waiting.at(-1)?.offset ?? -1n;
      while (this.#waiting.length > 0 && this.#next <= until && !this.#fault)
        await this.#landNext();
    });
  }

  async #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(async () => this.#guarded(work));
    this.#work = done.catch(() => {});
    return done;
  }

  /** What store and stream cannot agree upon halts this partition alone. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== 'OBJECT_MISMATCH') throw error;
      this.#fault = error;
      this.#waiting = [];
      this.#forget(0);
      this.#options.events.halted(this.place, error);
    }
  }

  async #landNext(): Promise<void> {
    const content = this.#contentFrom(this.#next);
    for (const record of this.#waiting) {
      content.add(record);
      if (content.isFull) break;
    }
    const plan = await this.#persistently(async () => this.#options.zone.take(content));
    if (plan.last === content.last && plan.digest === content.digest) {
      await this.#announce(plan, content);
    } else {
      await this.#adopt(plan);
    }
    this.#next = plan.last + 1n;
    const landed = this.#waiting.findIndex(({ offset }) => offset >= this.#next);
    this.#forget(landed < 0 ? this.#waiting.length : landed);
  }

  async #adopt(plan: LandingPlan): Promise<void> {
    const content = await this.#persistently(async () => {
      const found = this.#contentFrom(plan.first);
      for await (const records of this.#options.readRange(plan.first, plan.last + 1n))
        for (const record of records) found.add(record);
      return found;
    });
    await this.#announce(plan, content);
    this.#options.events.planAdopted(this.place);
  }

  async #announce(plan: LandingPlan, content: LandingContent): Promise<void> {
    const { zone, events } = this.#options;
    events.landed(await this.#persistently(async () => zone.complete(plan, content)));
  }

  #contentFrom(first: bigint): LandingContent {
    const { country, stream, partition } = this.#options;
    return new LandingContent({ country, stream, partition, first });
  }

  #forget(count: number): void {
    this.#waiting = this.#waiting.slice(count);
    this.#bytes = this.#waiting.reduce(
      (sum, { value }) => sum + recordOverheadBytes + (value?.length ?? 0),
      0,
    );
    this.#waitingSinceMs = this.#waiting.length === 0 ? undefined : Date.now();
  }

  async #persistently<Value>(step: () => Promise<Value>): Promise<Value> {
    const { signal, events } = this.#options;
    return whileStoreFails({ signal, retried: (error) => events.retried(this.place, error) }, step);
  }
}
