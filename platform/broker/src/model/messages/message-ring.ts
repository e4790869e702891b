export interface RingEntry {
  readonly offset: number;
  readonly bytes: number;
}

export interface RingBounds {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/** The newest messages of a partition, for readers that are a little behind. */
export class MessageRing<Entry extends RingEntry> {
  readonly #bounds: RingBounds;
  #entries: Entry[] = [];
  /** Entries before it are dropped; they are cut off now and then. */
  #first = 0;
  #bytes = 0;
  #from: number;
  #next: number;

  constructor(next: number, bounds: RingBounds) {
    this.#bounds = bounds;
    this.#from = next;
    this.#next = next;
  }

  /** From this offset on nothing is missing. */
  get from(): number {
    return this.#from;
  }

  /** Behind the last offset that was seen. */
  get next(): number {
    return this.#next;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
    this.reach(entry.offset + 1);
    while (this.#isOver()) this.#drop();
    if (this.#first > this.#bounds.entriesMax) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  /** What lies before `offset` is seen, whether it was a message or not. */
  reach(offset: number): void {
    if (offset > this.#next) this.#next = offset;
  }

  /** The first entry at `offset` or behind it. */
  since(offset: number): Entry | undefined {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.offset ?? Infinity) < offset) low = middle + 1;
      else high = middle;
    }
    return this.#entries[low];
  }

  #isOver(): boolean {
    const count = this.#entries.length - this.#first;
    return count > this.#bounds.entriesMax || (this.#bytes > this.#bounds.bytesMax && count > 0);
  }

  #drop(): void {
    const dropped = this.#entries[this.#first];
    this.#first += 1;
    if (!dropped) return;
    this.#bytes -= dropped.bytes;
    this.#from = dropped.offset + 1;
  }
}
