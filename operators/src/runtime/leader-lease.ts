import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import { isCode } from './kube-client.ts';
import type { Kind, Kube, KubeObject } from './kube.ts';
import type { Leadership } from './leadership.ts';

export interface LeaseOptions {
  /** Of its own: no queue before it, and a short limit of time. */
  readonly kube: Kube;
  readonly namespace: string;
  readonly name: string;
  /** No other process ever has it. */
  readonly identity: string;
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly troubled?: (error: unknown) => void;
}

/** From taking the lease to losing it or giving it back (by disposing). */
export interface Term extends Leadership, AsyncDisposable {
  /** Aborts, with `FENCED`, when another may lead. */
  readonly lost: AbortSignal;
  /** Grows with every change of the leader. */
  readonly number: number;
}

export const leaseKind: Kind = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};

/** Of the lease: so long after it asked for its last renewal the leader has effects. The rest is for what is on its way. */
const validPart = 2 / 3;
const releaseMsMax = 2_000;

const specSchema = z.object({
  holderIdentity: z.string().nullish(),
  leaseDurationSeconds: z.number().nullish(),
  renewTime: z.string().nullish(),
  leaseTransitions: z.number().nullish(),
});

interface Seen {
  readonly holder: string;
  readonly leaseMs: number;
  readonly transitions: number;
  readonly version: string;
}

/**
 * Who leads, by a Lease of the API server. No clocks of two machines are compared: another's lease has run out when it was not
 * renewed for its length while we looked; our own, two thirds of its length after we asked for its last renewal.
 */
export class LeaderLease {
  readonly #options: LeaseOptions;
  #watched: { readonly version: string; readonly since: number } | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Resolves as soon as this process leads. Rejects only when the signal aborts. */
  async acquire(signal: AbortSignal): Promise<Term> {
    const { renewMs, troubled } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      try {
        const term = await this.#tryAcquire();
        if (term !== undefined) return term;
      } catch (error) {
        if (!isCode(error, 'CONFLICT')) troubled?.(error);
      }
      // Not all at once.
      await sleep(renewMs * (0.8 + Math.random() * 0.4), undefined, { signal });
    }
  }

  async #tryAcquire(): Promise<Term | undefined> {
    const { kube, namespace, name, identity, leaseMs } = this.#options;
    const askedAt = leaseClock.now();
    const live = await kube.get(leaseKind, { namespace, name });
    const time = microTime();
    const claim = { holderIdentity: identity, acquireTime: time, renewTime: time };
    const leaseDurationSeconds = Math.ceil(leaseMs / 1_000);
    if (live === undefined) {
      const spec = { ...claim, leaseDurationSeconds, leaseTransitions: 0 };
      const metadata = { namespace, name };
      const made = await kube.create(leaseKind, { ...leaseHead, metadata, spec });
      return new HeldTerm(this.#options, seenOf(made), askedAt);
    }
    const seen = seenOf(live);
    if (seen.holder !== '' && seen.holder !== identity && !this.#hasRunOut(seen)) return undefined;
    const patch = {
      metadata: { resourceVersion: seen.version },
      spec: { ...claim, leaseDurationSeconds, leaseTransitions: seen.transitions + 1 },
    };
    const taken = await kube.patch(leaseKind, { namespace, name }, patch);
    return new HeldTerm(this.#options, seenOf(taken), askedAt);
  }

  #hasRunOut({ version, leaseMs }: Seen): boolean {
    const now = performance.now();
    if (this.#watched?.version !== version) this.#watched = { version, since: now };
    return now - this.#watched.since > leaseMs;
  }
}

const leaseHead = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };

class HeldTerm implements Term {
  readonly number: number;
  readonly #options: LeaseOptions;
  readonly #lost = new AbortController();
  readonly #stop = new AbortController();
  readonly #renewing: Promise<void>;
  #version: string;
  #validUntil: number;

  constructor(options: LeaseOptions, seen: Seen, askedAt: number) {
    this.#options = options;
    this.number = seen.transitions;
    this.#version = seen.version;
    this.#validUntil = askedAt + options.leaseMs * validPart;
    this.#renewing = this.#renew();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  readonly stillLeads = (): boolean =>
    !this.#lost.signal.aborted && leaseClock.now() < this.#validUntil;

  readonly assert = (doing: string): void => {
    if (this.stillLeads()) return;
    this.#lose();
    throw new PlatformError('FENCED', `Cannot ${doing}: another process may lead by now`);
  };

  /** Gives the lease back, if it is still ours. */
  async [Symbol.asyncDispose](): Promise<void> {
    const isOurs = this.stillLeads();
    this.#stop.abort();
    await this.#renewing;
    const mayRelease = isOurs && this.stillLeads();
    // Before it is given back: from then on another may lead, long before the answer is here.
    this.#lose();
    if (mayRelease)
      await Promise.race([this.#release(), sleep(releaseMsMax, undefined, { ref: false })]);
  }

  async #renew(): Promise<void> {
    const { renewMs, troubled } = this.#options;
    while (!this.#stop.signal.aborted) {
      const remainingMs = Math.max(0, this.#validUntil - leaseClock.now());
      const waitMs = Math.min(renewMs, remainingMs + 1);
      await sleep(waitMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      if (this.#stop.signal.aborted) return;
      if (!this.stillLeads()) {
        this.#lose();
        return;
      }
      try {
        await this.#renewOnce();
      } catch (error) {
        troubled?.(error);
        if (isCode(error, 'FENCED')) this.#lose();
      }
    }
  }

  async #renewOnce(): Promise<void> {
    const { kube, namespace, name, identity, leaseMs } = this.#options;
    const askedAt = leaseClock.now();
    const spec = { holderIdentity: identity, renewTime: microTime() };
    const patch = { metadata: { resourceVersion: this.#version }, spec };
    try {
      const renewed = await kube.patch(leaseKind, { namespace, name }, patch);
      this.#version = seenOf(renewed).version;
      this.#validUntil = askedAt + leaseMs * validPart;
    } catch (error) {
      if (!isCode(error, 'CONFLICT') && !isCode(error, 'NOT_FOUND')) throw error;
      // Somebody else wrote it, or a renewal of ours whose answer was lost.
      const live = await kube.get(leaseKind, { namespace, name });
      const seen = live && seenOf(live);
      if (seen?.holder !== identity || seen.transitions !== this.number)
        throw new PlatformError('FENCED', 'Cannot renew the lease: another process has it', {
          cause: error,
        });
      this.#version = seen.version;
    }
  }

  async #release(): Promise<void> {
    const { kube, namespace, name, troubled } = this.#options;
    const spec = { holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() };
    const patch = { metadata: { resourceVersion: this.#version }, spec };
    await kube.patch(leaseKind, { namespace, name }, patch).catch((error: unknown) => {
      troubled?.(error);
    });
  }

  #lose(): void {
    if (this.#lost.signal.aborted) return;
    this.#lost.abort(new PlatformError('FENCED', 'Cannot go on: this process leads no more'));
  }
}

function seenOf({ metadata, spec }: KubeObject): Seen {
  const parsed = specSchema.safeParse(spec);
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = parsed.success
    ? parsed.data
    : {};
  return {
    holder: holderIdentity ?? '',
    leaseMs: (leaseDurationSeconds ?? 1) * 1_000,
    transitions: leaseTransitions ?? 0,
    version: metadata.resourceVersion ?? '',
  };
}

/** With the six digits that the API server wants. */
export function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}

/**
 * Goes on while a machine sleeps, which the monotonic clock does not: by whichever of two clocks has moved further. A wall clock
 * that is set forward costs the lease early, which is safe.
 */
class LeaseClock {
  #steady = performance.now();
  #wall = Date.now();
  #elapsed = 0;

  now(): number {
    const steady = performance.now();
    const wall = Date.now();
    const steadyMs = steady - this.#steady;
    const wallMs = wall - this.#wall;
    this.#elapsed += wallMs > steadyMs + wallSlackMs ? wallMs : steadyMs;
    this.#steady = steady;
    this.#wall = wall;
    return this.#elapsed;
  }
}

const wallSlackMs = 1_000;
const leaseClock = new LeaseClock();
