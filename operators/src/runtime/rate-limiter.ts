import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';

export interface RateLimits {
  readonly perSecond: number;
  readonly burst: number;
  /** Who would wait longer is refused at once. */
  readonly waitMsMax: number;
}

/** Requests an API server may be told to be spared for, at most. */
const pauseMsMax = 30_000;

/** A token bucket. Turns are given in the order in which they were asked for. */
export class RateLimiter {
  readonly #limits: RateLimits;
  readonly #now: () => number;
  /** When the bucket would be empty had all turns been taken at the steady rate. */
  #nextAt: number;

  constructor(limits: RateLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
    this.#nextAt = now() - this.#burstMs;
  }

  /** Milliseconds until the turn that is now taken. Throws `RATE_LIMITED` if that is too long; then none is taken. */
  reserve(): number {
    const now = this.#now();
    const at = Math.max(this.#nextAt, now - this.#burstMs);
    const waitMs = Math.max(0, at - now);
    if (waitMs > this.#limits.waitMsMax)
      throw new PlatformError(
        'RATE_LIMITED',
        `Cannot ask the API server: more than ${this.#limits.perSecond} requests a second are wanted`,
      );
    this.#nextAt = at + 1_000 / this.#limits.perSecond;
    return waitMs;
  }

  async turn(signal?: AbortSignal): Promise<void> {
    const waitMs = this.reserve();
    if (waitMs > 0) await sleep(waitMs, undefined, signal && { signal });
  }

  /** The other side asks to be spared. */
  pause(ms: number): void {
    const until = this.#now() + Math.min(ms, pauseMsMax);
    this.#nextAt = Math.max(this.#nextAt, until);
  }

  get #burstMs(): number {
    return ((this.#limits.burst - 1) * 1_000) / this.#limits.perSecond;
  }
}
