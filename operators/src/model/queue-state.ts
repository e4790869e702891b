export interface QueueLimits {
  /** Keys worked on at once. */
  readonly concurrency: number;
  readonly perSecond: number;
  readonly burst: number;
  /** Pause after the first failure of a key; doubled with each one that follows. */
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** A change cuts a pause short, but to no less than this. */
  readonly changedPauseMs: number;
  /** From the end of one look at a key to the next one at least, so that many changes are one look; absent: none. */
  readonly restMs?: number;
}

/** Changes go before looks that are due anyway. */
export type Urgency = 'change' | 'resync';

export type Result =
  | { readonly kind: 'done' }
  | { readonly kind: 'again'; readonly afterMs: number }
  | { readonly kind: 'failed' };

export interface Taken {
  readonly key: string;
  /** How long it stood in the queue after it was due. */
  readonly waitedMs: number;
}

/** A resync that stood so much longer than a change goes before it. */
const resyncWaitMsMax = 30_000;
/** Above it rests are forgotten, which costs a look. */
const restsMax = 10_000;
/** 2^30 times the first pause is above every limit. */
const doublingsMax = 30;

/**
 * Which key is worked on when: each once at a time; one that is added meanwhile is looked at once more, however often it was
 * added; none is lost. Times in milliseconds of any one clock, random numbers from 0 to 1.
 */
export class QueueState {
  readonly #limits: QueueLimits;
  readonly #random: () => number;
  /** In their order, with the time since when they are due. */
  readonly #ready = { change: new Map<string, number>(), resync: new Map<string, number>() };
  readonly #later = new Map<string, { readonly at: number; readonly isPause: boolean }>();
  readonly #running = new Map<string, { dirty: Urgency | undefined }>();
  readonly #rests = new Map<string, number>();
  readonly #failures = new Map<string, { readonly count: number; readonly notBefore: number }>();
  /** When the next key may be taken had all been taken at the steady rate. */
  #nextAt = Number.NEGATIVE_INFINITY;

  constructor(limits: QueueLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Due and not yet taken. */
  get depth(): number {
    return this.#ready.change.size + this.#ready.resync.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Waiting for their time. */
  get later(): number {
    return this.#later.size;
  }

  failuresOf(key: string): number {
    return this.#failures.get(key)?.count ?? 0;
  }

  add(key: string, urgency: Urgency, now: number): void {
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.dirty = running.dirty === 'change' ? 'change' : urgency;
      return;
    }
    if (this.#ready.change.has(key)) return;
    const later = this.#later.get(key);
    if (later?.isPause === true) {
      if (urgency === 'change') this.#endPause(key, later.at, now);
      return;
    }
    const restsUntil = this.#rests.get(key) ?? now;
    if (now < restsUntil)
      this.#later.set(key, { at: Math.min(later?.at ?? restsUntil, restsUntil), isPause: false });
    else {
      this.#later.delete(key);
      this.#makeReady(key, urgency, now);
    }
  }

  /** The next key to work on, which is then running until it is finished. */
  take(now: number): Taken | undefined {
    this.#wake(now);
    if (this.#running.size >= this.#limits.concurrency || now < this.#tokenAt(now))
      return undefined;
    const urgency = this.#nextUrgency();
    if (urgency === undefined) return undefined;
    const [[key, since] = []] = this.#ready[urgency];
    if (key === undefined || since === undefined) return undefined;
    this.#ready[urgency].delete(key);
    this.#rests.delete(key);
    this.#running.set(key, { dirty: undefined });
    this.#nextAt = this.#tokenAt(now) + 1_000 / this.#limits.perSecond;
    return { key, waitedMs: Math.max(0, now - since) };
  }

  finish(key: string, result: Result, now: number): void {
    const dirty = this.#running.get(key)?.dirty;
    this.#running.delete(key);
    if (result.kind === 'failed') {
      this.#pause(key, dirty !== undefined, now);
      return;
    }
    this.#failures.delete(key);
    const { restMs = 0 } = this.#limits;
    if (restMs > 0) this.#rest(key, now + restMs);
    if (dirty !== undefined && restMs === 0) this.#makeReady(key, dirty, now);
    else if (dirty !== undefined) this.#later.set(key, { at: now + restMs, isPause: false });
    else if (result.kind === 'again')
      this.#later.set(key, { at: now + Math.max(restMs, result.afterMs), isPause: false });
  }

  /** Until `take` may have something; undefined: not before something is added or finished. */
  waitMs(now: number): number | undefined {
    if (this.#running.size >= this.#limits.concurrency) return undefined;
    const tokenMs = Math.max(0, this.#tokenAt(now) - now);
    if (this.depth > 0) return tokenMs;
    if (this.#later.size === 0) return undefined;
    let first = Number.POSITIVE_INFINITY;
    for (const { at } of this.#later.values()) first = Math.min(first, at);
    return Math.max(tokenMs, first - now);
  }

  #rest(key: string, until: number): void {
    if (this.#rests.size >= restsMax) this.#rests.clear();
    this.#rests.set(key, until);
  }

  #pause(key: string, isDirty: boolean, now: number): void {
    const { backoffMsMin, backoffMsMax, changedPauseMs } = this.#limits;
    const count = this.failuresOf(key) + 1;
    const whole = Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(count - 1, doublingsMax));
    const pauseMs = whole * (0.5 + this.#random() / 2);
    const notBefore = now + Math.min(pauseMs, changedPauseMs);
    this.#failures.set(key, { count, notBefore });
    this.#later.set(key, { at: isDirty ? notBefore : now + pauseMs, isPause: true });
  }

  #endPause(key: string, at: number, now: number): void {
    const notBefore = this.#failures.get(key)?.notBefore ?? now;
    if (notBefore <= now) {
      this.#later.delete(key);
      this.#makeReady(key, 'change', now);
    } else this.#later.set(key, { at: Math.min(at, notBefore), isPause: true });
  }

  #makeReady(key: string, urgency: Urgency, since: number): void {
    if (urgency === 'change') this.#ready.resync.delete(key);
    else if (this.#ready.resync.has(key)) return;
    this.#ready[urgency].set(key, since);
  }

  /** What is due becomes ready, the earliest first. */
  #wake(now: number): void {
    const due = [...this.#later].filter(([, { at }]) => at <= now);
    for (const [key, { at }] of due.toSorted(([, a], [, b]) => a.at - b.at)) {
      this.#later.delete(key);
      this.#makeReady(key, 'change', at);
    }
  }

  #nextUrgency(): Urgency | undefined {
    const [[, change] = []] = this.#ready.change;
    const [[, resync] = []] = this.#ready.resync;
    if (change === undefined) return resync === undefined ? undefined : 'resync';
    if (resync === undefined) return 'change';
    return resync + resyncWaitMsMax < change ? 'resync' : 'change';
  }

  /** When the next key may be taken. What was not used lies there, up to the burst. */
  #tokenAt(now: number): number {
    const { burst, perSecond } = this.#limits;
    return Math.max(this.#nextAt, now - ((burst - 1) * 1_000) / perSecond);
  }
}
