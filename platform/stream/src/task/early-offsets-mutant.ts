import type { PartitionProcessor } from '@domicile/kafka/exactly-once-task.ts';
import type { InputRecord, OutputRecord } from '@domicile/kafka/records.ts';

/**
 * A mutant: it breaks "acked means kept" so that its test can be seen to fail. Each transaction commits the positions of
 * its own records and the outputs of the records before: what is held when the process dies was committed and never
 * processed.
 */
export class EarlyOffsetsMutant implements PartitionProcessor {
  readonly #inner: PartitionProcessor;
  #held: readonly InputRecord[] = [];

  constructor(inner: PartitionProcessor) {
    this.#inner = inner;
  }

  first(records: readonly InputRecord[]): readonly OutputRecord[] {
    const before = this.#held;
    this.#held = records;
    return this.#inner.first(before);
  }

  complete(...args: Parameters<PartitionProcessor['complete']>): readonly OutputRecord[] {
    return this.#inner.complete(...args);
  }

  committed(): void {
    this.#inner.committed();
  }

  close(): void {
    this.#inner.close();
  }
}
