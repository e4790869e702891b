/** How many wrong passwords are borne in a window of time. */
export interface AttemptLimits {
  readonly perUserAndAddress: number;
  readonly perUser: number;
  readonly perAddress: number;
  readonly windowMs: number;
  /** Keys kept in mind; beyond that the oldest is forgotten. */
  readonly keysMax: number;
}

export const attemptLimits: AttemptLimits = {
  perUserAndAddress: 5,
  perUser: 50,
  perAddress: 30,
  windowMs: 15 * 60_000,
  keysMax: 30_000,
};

interface Count {
  readonly failures: number;
  readonly until: number;
}

/** Counts failed log-ins by user, by address and by both, so that neither can be guessed at will. */
export class Attempts {
  readonly #limits: AttemptLimits;
  readonly #counts = new Map<string, Count>();

  constructor(limits: AttemptLimits = attemptLimits) {
    this.#limits = limits;
  }

  /** Milliseconds until another attempt is heard; 0 is at once. `now` in milliseconds. */
  waitMs(user: string, address: string, now: number): number {
    const waits = this.#keys(user, address).map(([key, max]) => {
      const count = this.#counts.get(key);
      return count && count.failures >= max ? Math.max(0, count.until - now) : 0;
    });
    return Math.max(...waits);
  }

  failed(user: string, address: string, now: number): void {
    for (const [key] of this.#keys(user, address)) {
      const count = this.#counts.get(key);
      const isOpen = count !== undefined && count.until > now;
      this.#counts.delete(key);
      this.#counts.set(key, {
        failures: (isOpen ? count.failures : 0) + 1,
        until: isOpen ? count.until : now + this.#limits.windowMs,
      });
    }
    for (const key of this.#counts.keys()) {
      if (this.#counts.size <= this.#limits.keysMax) break;
      this.#counts.delete(key);
    }
  }

  /**
   * The right password clears what stood against this user from this address, and takes back what was counted for it in
   * advance: many who log in rightly behind one address lock nobody out.
   */
  succeeded(user: string, address: string): void {
    for (const [key] of this.#keys(user, address)) {
      const count = this.#counts.get(key);
      if (key === this.#both(user, address)) this.#counts.delete(key);
      else if (count) this.#counts.set(key, { ...count, failures: count.failures - 1 });
    }
  }

  #both(user: string, address: string): string {
    return JSON.stringify([user, address]);
  }

  #keys(user: string, address: string): (readonly [string, number])[] {
    return [
      [this.#both(user, address), this.#limits.perUserAndAddress],
      [JSON.stringify([user]), this.#limits.perUser],
      [JSON.stringify([null, address]), this.#limits.perAddress],
    ];
  }
}
