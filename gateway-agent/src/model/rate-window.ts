/** How much came lately, in buckets of equal length: bounded memory, whatever comes. */
export class RateWindow {
  readonly #bucketMs: number;
  readonly #amounts: number[];
  #bucket = 0;
  #total = 0;
  #firstMs: number | undefined;

  constructor({ windowMs, buckets }: { readonly windowMs: number; readonly buckets: number }) {
    this.#bucketMs = windowMs / buckets;
    this.#amounts = Array.from({ length: buckets }, () => 0);
  }

  /** All that ever came. */
  get total(): number {
    return this.#total;
  }

  add(amount: number, nowMs: number): void {
    this.#firstMs ??= nowMs;
    this.#turnTo(nowMs);
    const at = this.#bucket % this.#amounts.length;
    this.#amounts[at] = (this.#amounts[at] ?? 0) + amount;
    this.#total += amount;
  }

  /** Over the window, or over the time since the first if that is less. */
  perSecond(nowMs: number): number {
    if (this.#firstMs === undefined) return 0;
    this.#turnTo(nowMs);
    const windowMs = this.#bucketMs * this.#amounts.length;
    const overMs = Math.min(windowMs, Math.max(this.#bucketMs, nowMs - this.#firstMs));
    return (this.#amounts.reduce((sum, one) => sum + one, 0) * 1000) / overMs;
  }

  /** A clock that goes back changes nothing until it has caught up. */
  #turnTo(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs);
    if (bucket <= this.#bucket) return;
    const passed = Math.min(bucket - this.#bucket, this.#amounts.length);
    for (let index = bucket - passed + 1; index <= bucket; index++)
      this.#amounts[index % this.#amounts.length] = 0;
    this.#bucket = bucket;
  }
}
