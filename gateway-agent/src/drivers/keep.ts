import { setTimeout as wait } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import type { DriverHost, Taken } from './driver.ts';

/** After a refusal the same readings are tried again. */
const retryMs = 1000;

/**
 * Keeps what can wait: what the store refuses is tried again until it is kept, and nothing more is read meanwhile. What it
 * never takes is counted and given up. Throws `AbortError` when `signal` aborts.
 */
export async function keepPatiently(
  { name, host }: { readonly name: string; readonly host: DriverHost },
  taken: readonly Taken[],
  signal: AbortSignal,
): Promise<void> {
  while (taken.length > 0) {
    try {
      await host.take(taken);
      host.events.readingTaken(name, taken.length);
      return;
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      host.events.readingRefused(name, error.code.toLowerCase().replaceAll('_', '-'));
      if (!error.decision.retriable) return;
      await wait(retryMs, undefined, { signal });
    }
  }
}
