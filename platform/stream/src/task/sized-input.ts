import type { InputTopic } from '@domicile/kafka/exactly-once-task.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';

/** What a record may hold; so large each is thought to be until some have been seen. */
const recordBytesMax = 262_144;
/** How much of what was thought before stays when records turn out smaller. Larger ones are believed at once. */
const inertia = 0.7;

export interface SizedInputOptions {
  readonly name: string;
  /** Of `recordsMax`: the most that a commit takes, however small they are. */
  readonly shareMax: number;
  readonly recordsMax: number;
  /** About what a commit takes in payloads, so that it is done well before its transaction times out. */
  readonly bytesMax: number;
}

/**
 * An input of which a commit takes as many records as their size lately allows: one record holds a single reading or a
 * thousand.
 */
export class SizedInput implements InputTopic {
  readonly name: string;
  readonly #options: SizedInputOptions;
  #recordBytes = recordBytesMax;

  constructor(options: SizedInputOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get share(): number {
    const { shareMax, bytesMax, recordsMax } = this.#options;
    return Math.min(shareMax, Math.max(1, bytesMax / this.#recordBytes) / recordsMax);
  }

  /** Notes what a commit took, of this input and of others. */
  took(records: readonly InputRecord[]): void {
    let bytes = 0;
    let count = 0;
    for (const { topic, value } of records) {
      if (topic !== this.name) continue;
      bytes += value?.length ?? 0;
      count += 1;
    }
    if (count === 0) return;
    const seen = Math.max(1, bytes / count);
    this.#recordBytes =
      seen > this.#recordBytes ? seen : inertia * this.#recordBytes + (1 - inertia) * seen;
  }

  /** After a commit that was given up, perhaps because it was too large. */
  forget(): void {
    this.#recordBytes = recordBytesMax;
  }
}
