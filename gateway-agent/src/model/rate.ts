/** Senders that are remembered; beyond, the one that was longest silent is forgotten. */
const sendersMax = 10_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/** A rate per sender: so many a second, and after a pause a second's worth (at least one) at once. */
export class Rates {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Milliseconds until the sender may send; 0 if now, and then it counts. */
  waitMs(sender: string, nowMs: number): number {
    const full = Math.max(1, this.#perSecond);
    const bucket = this.#buckets.get(sender) ?? { tokens: full, atMs: nowMs };
    const gained = (Math.max(0, nowMs - bucket.atMs) * this.#perSecond) / 1000;
    const tokens = Math.min(full, bucket.tokens + gained);
    const may = tokens >= 1;
    this.#buckets.delete(sender);
    this.#buckets.set(sender, { tokens: may ? tokens - 1 : tokens, atMs: nowMs });
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= sendersMax) break;
      this.#buckets.delete(oldest);
    }
    return may ? 0 : Math.ceil(((1 - tokens) * 1000) / this.#perSecond);
  }
}
