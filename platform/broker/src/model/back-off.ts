export interface BackOffOptions {
  /** Failures in a row that cost nothing. */
  readonly failuresFree: number;
  /** The wait after the first failure that costs; it doubles with each further one. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** A key without a failure for so long begins anew. */
  readonly forgetMs: number;
  /** Keys remembered; above it the oldest is forgotten. */
  readonly keysMax: number;
}

interface Failures {
  readonly count: number;
  readonly lastMs: number;
}

/** Who failed again and again has to wait, longer each time. */
export class BackOff {
  readonly #options: BackOffOptions;
  readonly #failures = new Map<string, Failures>();

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#failures.size;
  }

  /** Milliseconds that this key still has to wait; 0: it may try. */
  waitMs(key: string, nowMs: number): number {
    const known = this.#known(key, nowMs);
    if (!known) return 0;
    const { failuresFree, firstMs, maxMs } = this.#options;
    const costly = known.count - failuresFree;
    if (costly <= 0) return 0;
    const waitMs = Math.min(maxMs, firstMs * 2 ** (costly - 1));
    return Math.max(0, known.lastMs + waitMs - nowMs);
  }

  failed(key: string, nowMs: number): void {
    const count = (this.#known(key, nowMs)?.count ?? 0) + 1;
    // Behind the others again, so that the first is always the one that was quiet longest.
    this.#failures.delete(key);
    this.#failures.set(key, { count, lastMs: nowMs });
    if (this.#failures.size <= this.#options.keysMax) return;
    const [oldest] = this.#failures.keys();
    if (oldest !== undefined) this.#failures.delete(oldest);
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }

  #known(key: string, nowMs: number): Failures | undefined {
    const known = this.#failures.get(key);
    if (!known || nowMs - known.lastMs < this.#options.forgetMs) return known;
    this.#failures.delete(key);
    return undefined;
  }
}
