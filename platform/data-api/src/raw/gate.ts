import { PlatformError } from '@domicile/core/errors.ts';

export interface GateOptions {
  /** Pieces of work that run at once; the others wait. */
  readonly runningMax: number;
  /** Those that may wait; beyond it they are refused. */
  readonly waitingMax: number;
  /** For waiting and working together. */
  readonly timeoutMs: number;
}

/** Lets so much heavy work run at once, with a deadline each. */
export class Gate {
  readonly #options: GateOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  /**
   * Runs `work` when there is room. Its signal aborts at the deadline and when the asker has gone. Throws
   * `UPSTREAM_UNAVAILABLE` when too many wait or the deadline passes before it begins.
   */
  async run<Result>(
    gone: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    // Not `AbortSignal.timeout`: whose signal nobody listens to, but asks now and then, may be collected before its time.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(tooLong()), this.#options.timeoutMs);
    try {
      return await this.#entered(AbortSignal.any([gone, late.signal]), work);
    } finally {
      clearTimeout(timer);
    }
  }

  async #entered<Result>(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    await this.#enter(signal);
    try {
      if (signal.aborted) throw tooLong();
      return await work(signal);
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw tooLong();
    if (this.#running < this.#options.runningMax) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= this.#options.waitingMax)
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot query now: too many queries wait');
    const { promise, resolve: enter, reject } = Promise.withResolvers<void>();
    const giveUp = () => {
      const at = this.#waiting.indexOf(enter);
      if (at < 0) return; // its place has been handed over already
      this.#waiting.splice(at, 1);
      reject(tooLong());
    };
    signal.addEventListener('abort', giveUp);
    this.#waiting.push(enter);
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** The place of whoever leaves is handed over. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running -= 1;
  }
}

export function tooLong(cause?: unknown): PlatformError {
  return new PlatformError(
    'UPSTREAM_UNAVAILABLE',
    'Cannot answer in time: ask for a shorter range or fewer buildings',
    cause === undefined ? {} : { cause },
  );
}
