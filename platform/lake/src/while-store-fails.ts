import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';

/** Between the first two attempts; doubled each time. */
const delayMsMin = 250;
const delayMsMax = 10_000;

export interface WhileStoreFails {
  /** Ends the waiting: the step is then given up. */
  readonly signal: AbortSignal;
  readonly retried: (error: unknown) => void;
}

/** Does a step until the store lets it be done. What may not pass by itself is thrown, and `FENCED` with it. */
export async function whileStoreFails<Value>(
  { signal, retried }: WhileStoreFails,
  step: () => Promise<Value>,
): Promise<Value> {
  for (let delayMs = delayMsMin; ; delayMs = Math.min(delayMs * 2, delayMsMax)) {
    signal.throwIfAborted();
    try {
      return await step();
    } catch (error) {
      const isPassing = error instanceof PlatformError && error.decision.retriable;
      if (!isPassing || error.code === 'FENCED') throw error;
      retried(error);
    }
    await sleep(delayMs, undefined, { signal });
  }
}
