import { type QueueLimits, QueueState, type Result, type Urgency } from '../model/queue-state.ts';

export interface QueueObserver {
  added(depth: number): void;
  taken(waitedMs: number, depth: number): void;
  finished(workedMs: number): void;
  retried(): void;
}

export interface WorkQueueOptions {
  readonly limits: QueueLimits;
  /** Never throws. */
  readonly work: (key: string) => Promise<Result>;
  readonly observer?: QueueObserver;
  readonly random?: () => number;
}

/** A long timer is set anew, as Node's end at 24 days. */
const timerMsMax = 60_000;

/** Works on keys by the rules of `QueueState`. Disposing takes no more and waits for what was begun. */
export class WorkQueue implements AsyncDisposable {
  readonly #options: WorkQueueOptions;
  readonly #state: QueueState;
  readonly #running = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#state = new QueueState(options.limits, options.random ?? Math.random);
  }

  get depth(): number {
    return this.#state.depth;
  }

  /** Nothing is due, nothing is being worked on; what waits for a later time is not counted. */
  get isIdle(): boolean {
    return this.#state.depth === 0 && this.#state.running === 0;
  }

  add(key: string, urgency: Urgency): void {
    if (this.#isStopped) return;
    this.#state.add(key, urgency, performance.now());
    this.#options.observer?.added(this.#state.depth);
    this.#plan();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** One timer at a time; also what can be taken now is taken by it, so that a burst of adds is one step. */
  #plan(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    const waitMs = this.#state.waitMs(performance.now());
    if (waitMs !== undefined)
      this.#timer = setTimeout(() => this.#run(), Math.min(Math.ceil(waitMs), timerMsMax));
  }

  #run(): void {
    if (this.#isStopped) return;
    for (;;) {
      const taken = this.#state.take(performance.now());
      if (taken === undefined) break;
      this.#options.observer?.taken(taken.waitedMs, this.#state.depth);
      const running = this.#work(taken.key).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
    this.#plan();
  }

  async #work(key: string): Promise<void> {
    const began = performance.now();
    const result = await this.#options.work(key);
    const now = performance.now();
    this.#options.observer?.finished(now - began);
    if (result.kind === 'failed') this.#options.observer?.retried();
    this.#state.finish(key, result, now);
    this.#plan();
  }
}
