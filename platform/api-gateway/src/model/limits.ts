export interface LimitPolicy {
  /** Requests a subject may make in a window; all at once, if it likes. */
  readonly requests: number;
  readonly windowMs: number;
  /** Subjects kept in mind; beyond that the one longest unseen is forgotten, which starts it anew. */
  readonly subjectsMax: number;
}

export interface Admission {
  readonly isAdmitted: boolean;
  readonly remaining: number;
  /** Until one more is admitted, if none is now; else until all are. */
  readonly resetMs: number;
}

interface Bucket {
  readonly tokens: number;
  readonly at: number;
}

/** A bucket of tokens a subject, refilled evenly. */
export class Limits {
  readonly #policy: LimitPolicy;
  readonly #buckets = new Map<string, Bucket>();

  constructor(policy: LimitPolicy) {
    this.#policy = policy;
  }

  /** `now` in milliseconds of a clock that does not go back. */
  admit(subject: string, now: number): Admission {
    const tokens = this.#tokens(subject, now);
    const isAdmitted = tokens >= 1;
    const left = isAdmitted ? tokens - 1 : tokens;
    this.#buckets.delete(subject);
    this.#buckets.set(subject, { tokens: left, at: now });
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= this.#policy.subjectsMax) break;
      this.#buckets.delete(oldest);
    }
    return { isAdmitted, remaining: Math.floor(left), resetMs: this.#resetMs(left, isAdmitted) };
  }

  /** Whether another would be admitted; takes nothing. */
  isOpen(subject: string, now: number): boolean {
    return this.#tokens(subject, now) >= 1;
  }

  #tokens(subject: string, now: number): number {
    const { requests, windowMs } = this.#policy;
    const { tokens, at } = this.#buckets.get(subject) ?? { tokens: requests, at: now };
    return Math.min(requests, tokens + (Math.max(0, now - at) * requests) / windowMs);
  }

  #resetMs(left: number, isAdmitted: boolean): number {
    const { requests, windowMs } = this.#policy;
    return ((isAdmitted ? requests - left : 1 - left) * windowMs) / requests;
  }
}

/** draft-ietf-httpapi-ratelimit-headers-10. */
export function limitHeaders(policy: LimitPolicy, admission: Admission): Record<string, string> {
  const resetSeconds = Math.ceil(admission.resetMs / 1000);
  return {
    RateLimit: `"default";r=${admission.remaining};t=${resetSeconds}`,
    'RateLimit-Policy': `"default";q=${policy.requests};w=${Math.ceil(policy.windowMs / 1000)}`,
    ...(!admission.isAdmitted && { 'Retry-After': `${Math.max(1, resetSeconds)}` }),
  };
}
