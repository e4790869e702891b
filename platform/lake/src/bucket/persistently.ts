import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import type { StoreOutage } from './store-outage.ts';

export interface Persistence {
  /** How often a call is made at most. */
  readonly attemptsMax: number;
  /** Between the first two; doubled each time. */
  readonly delayMs: number;
  readonly delayMsMax: number;
  /** How long one attempt may take. */
  readonly attemptTimeoutMs: number;
  /** For a service, which waits until its right is given back: a refusal is then `UPSTREAM_UNAVAILABLE`. */
  readonly isRefusalPassing?: boolean;
  /** Is told how each attempt went. */
  readonly outage?: StoreOutage;
}

export const bucketPersistence: Persistence = {
  attemptsMax: 5,
  delayMs: 200,
  delayMsMax: 5_000,
  attemptTimeoutMs: 30_000,
};

/**
 * Tries `work` until it answers, while what it throws is retriable and attempts are left. It is told whether an attempt before
 * failed, which may have been carried out all the same.
 */
export async function persistently<Value>(
  persistence: Persistence,
  work: (isRepeated: boolean) => Promise<Value>,
): Promise<Value> {
  const { attemptsMax, delayMs, delayMsMax, attemptTimeoutMs, outage } = persistence;
  for (let attempt = 1; ; attempt += 1) {
    const request = outage?.begin() ?? 0;
    try {
      const value = await within(attemptTimeoutMs, work(attempt > 1));
      outage?.answered(request);
      return value;
    } catch (thrown) {
      const error = persistence.isRefusalPassing === true ? passing(thrown) : thrown;
      if (!(error instanceof PlatformError)) throw error;
      if (!error.decision.retriable) outage?.answered(request);
      else outage?.failed(request, error);
      if (!error.decision.retriable || attempt >= attemptsMax) throw error;
    }
    const waitMs = Math.min(delayMsMax, delayMs * 2 ** (attempt - 1));
    await sleep(waitMs * (0.5 + Math.random() / 2));
  }
}

function passing(error: unknown): unknown {
  if (!(error instanceof PlatformError) || error.code !== 'FORBIDDEN') return error;
  return new PlatformError('UPSTREAM_UNAVAILABLE', error.message, { cause: error });
}

async function within<Value>(timeoutMs: number, work: Promise<Value>): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      late.reject(
        new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot reach the store: it does not answer'),
      ),
    timeoutMs,
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
