/** What waits for a time. Its owner leaves `bucket` alone. */
export interface Waiting {
  bucket: number | undefined;
}

/**
 * Finds what is due without looking at what is not: items stand in buckets of time, so a tick costs by what falls due.
 * An item falls due up to one bucket late, never early.
 */
export class Deadlines<Item extends Waiting> {
  readonly #bucketMs: number;
  readonly #buckets = new Map<number, Set<Item>>();
  #doneTo: number;

  constructor(bucketMs: number, nowMs: number) {
    this.#bucketMs = bucketMs;
    this.#doneTo = Math.floor(nowMs / bucketMs);
  }

  /** In place of its time before; `Infinity` takes it off. */
  set(item: Item, atMs: number): void {
    this.delete(item);
    if (atMs === Infinity) return;
    const bucket = Math.max(Math.ceil(atMs / this.#bucketMs), this.#doneTo + 1);
    const items = this.#buckets.get(bucket);
    if (items) items.add(item);
    else this.#buckets.set(bucket, new Set([item]));
    item.bucket = bucket;
  }

  delete(item: Item): void {
    if (item.bucket === undefined) return;
    const items = this.#buckets.get(item.bucket);
    items?.delete(item);
    if (items?.size === 0) this.#buckets.delete(item.bucket);
    item.bucket = undefined;
  }

  /** Takes off and gives what is due. */
  due(nowMs: number): readonly Item[] {
    const last = Math.floor(nowMs / this.#bucketMs);
    const found: Item[] = [];
    for (const bucket of this.#between(last)) {
      for (const item of this.#buckets.get(bucket) ?? []) {
        item.bucket = undefined;
        found.push(item);
      }
      this.#buckets.delete(bucket);
    }
    this.#doneTo = Math.max(this.#doneTo, last);
    return found;
  }

  /** After a jump of the clock there are fewer buckets than steps. */
  #between(last: number): readonly number[] {
    const steps = last - this.#doneTo;
    return steps <= this.#buckets.size
      ? Array.from({ length: Math.max(0, steps) }, (_, index) => this.#doneTo + 1 + index)
      : [...this.#buckets.keys()].filter((bucket) => bucket <= last).toSorted((a, b) => a - b);
  }
}
