import type { Reading } from '@domicile/core/reading.ts';
import { headers, streams } from '@domicile/core/streams.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';

interface Kept {
  readonly offset: bigint;
  readonly building: string;
  readonly value: Buffer;
}

export interface TailReading {
  readonly reading: Reading;
  readonly partition: number;
  readonly offset: bigint;
}

/**
 * What stands in `readings` beyond the landing zone, as it came: bytes, which are read only when somebody asks for their
 * building.
 */
export class Tail {
  readonly #partitions = new Map<number, Kept[]>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  take({ partition, offset, key, value, headers: named }: InputRecord): void {
    if (value === null || key === null) return;
    if (named.get(headers.schema) !== streams.readings.schema) return;
    const kept = this.#partitions.get(partition) ?? [];
    this.#partitions.set(partition, kept);
    kept.push({ offset, building: key.toString(), value });
    this.#bytes += value.length;
  }

  /** Drops what has landed: partition → the first offset that has not. */
  drop(offsets: ReadonlyMap<number, bigint>): void {
    for (const [partition, kept] of this.#partitions) {
      const from = offsets.get(partition) ?? 0n;
      const at = kept.findIndex(({ offset }) => offset >= from);
      const gone = kept.splice(0, at < 0 ? kept.length : at);
      for (const { value } of gone) this.#bytes -= value.length;
    }
  }

  /** The readings of some buildings from `offsets` on, in the order of their partitions. */
  *of(
    buildings: ReadonlySet<string>,
    offsets: ReadonlyMap<number, bigint>,
  ): Generator<TailReading> {
    for (const [partition, kept] of this.#partitions) {
      const from = offsets.get(partition) ?? 0n;
      for (const { offset, building, value } of kept)
        if (offset >= from && buildings.has(building))
          yield { reading: JSON.parse(value.toString()), partition, offset };
    }
  }
}
