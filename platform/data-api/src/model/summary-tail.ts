import { type SummaryRecord, windowMs } from '@domicile/core/summary.ts';
import type { Period } from './period.ts';

/** The day on which clocks are set back. */
const longestWindowMs = 25 * 3_600_000;

interface Kept {
  readonly record: SummaryRecord;
  readonly partition: number;
  readonly offset: bigint;
}

interface BuildingTail {
  /** By window, or by window and partial. */
  readonly kept: Map<string, Kept>;
  /** The end of the newest closed window of the whole building. */
  throughMs: number | undefined;
}

/**
 * What the `summaries` stream says beyond the newest snapshot. Of a window only its highest revision is kept, so the tail
 * is bounded by windows, not by records.
 */
export class SummaryTail {
  readonly #buildings = new Map<string, BuildingTail>();
  #windows = 0;

  /** How many windows and partials it holds. */
  get windows(): number {
    return this.#windows;
  }

  take(record: SummaryRecord, partition: number, offset: bigint): void {
    const tail = this.#tailOf(record.building);
    const { level, id, windowStartMs, kind, revision } = record;
    const end = kind === 'partial' ? record.offset : -1;
    const key = `${windowStartMs} ${level} ${id} ${end}`;
    const present = tail.kept.get(key);
    if (!present || kind === 'partial' || revision >= present.record.revision) {
      if (!present) this.#windows += 1;
      tail.kept.set(key, { record, partition, offset });
    }
    const endMs = windowStartMs + windowMs;
    if (level === 'building' && record.final && endMs > (tail.throughMs ?? 0))
      tail.throughMs = endMs;
  }

  /** Drops what a snapshot includes: partition → the first offset that it does not include. */
  drop(offsets: ReadonlyMap<number, bigint>): void {
    for (const { kept } of this.#buildings.values()) {
      for (const [key, { partition, offset }] of kept) {
        if (offset >= (offsets.get(partition) ?? 0n)) continue;
        kept.delete(key);
        this.#windows -= 1;
      }
    }
  }

  recordsOf(building: string): SummaryRecord[] {
    const kept = this.#buildings.get(building)?.kept.values() ?? [];
    return [...kept].map(({ record }) => record);
  }

  /** Changes with every record that may change windows that begin in a period, however long they are. */
  versionOf(building: string, { fromMs, toMs }: Period): string {
    let newest = -1n;
    for (const { record, offset } of this.#buildings.get(building)?.kept.values() ?? [])
      if (
        offset > newest &&
        record.windowStartMs >= fromMs &&
        record.windowStartMs < toMs + longestWindowMs
      )
        newest = offset;
    return `${newest}`;
  }

  /** Up to where in event time the building's windows have closed, as far as the tail knows. */
  throughMsOf(building: string): number | undefined {
    return this.#buildings.get(building)?.throughMs;
  }

  #tailOf(building: string): BuildingTail {
    const present = this.#buildings.get(building);
    if (present) return present;
    const tail = { kept: new Map<string, Kept>(), throughMs: undefined };
    this.#buildings.set(building, tail);
    return tail;
  }
}
