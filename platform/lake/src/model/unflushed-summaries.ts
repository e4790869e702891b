import { type SummaryRecord, windowMs } from '@domicile/core/summary.ts';
import { mergeMinutes, rowsOfRecord, type StoredRow, takeRow } from './summary-row.ts';

/** Windows of a building close by time, so a closed one says that all before it have closed. */
export function closesBuilding({ kind, level, final }: SummaryRecord): boolean {
  return kind === 'window' && level === 'building' && final;
}

/** What the `summaries` stream said since the last flush. */
export class UnflushedSummaries {
  readonly #rows = new Map<string, Map<string, StoredRow>>();
  readonly #offsets: Map<number, bigint>;
  readonly #closed = new Map<string, number>();
  #count = 0;

  /** From where on it is followed. */
  constructor(offsets: ReadonlyMap<number, bigint>) {
    this.#offsets = new Map(offsets);
  }

  /** Rows that it holds. */
  get count(): number {
    return this.#count;
  }

  get rows(): StoredRow[] {
    return [...this.#rows.values()].flatMap((rows) => [...rows.values()]);
  }

  get offsets(): ReadonlyMap<number, bigint> {
    return this.#offsets;
  }

  get closed(): ReadonlyMap<string, number> {
    return this.#closed;
  }

  take(record: SummaryRecord): void {
    const { building, windowStartMs } = record;
    let rows = this.#rows.get(building);
    if (rows === undefined) {
      rows = new Map();
      this.#rows.set(building, rows);
    }
    const before = rows.size;
    for (const row of rowsOfRecord(record)) takeRow(rows, row, mergeMinutes);
    this.#count += rows.size - before;
    if (closesBuilding(record)) {
      const endMs = windowStartMs + windowMs;
      this.#closed.set(building, Math.max(this.#closed.get(building) ?? endMs, endMs));
    }
  }

  /** Everything below `offset` of the partition has been taken. */
  reach(partition: number, offset: bigint): void {
    this.#offsets.set(partition, offset);
  }
}
