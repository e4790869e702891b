import { setTimeout as wait } from 'node:timers/promises';

/** What was not done by then is left to those who find it in the log. */
export async function withinMs(work: Promise<void>, timeoutMs: number): Promise<void> {
  const timer = new AbortController();
  const late = wait(timeoutMs, undefined, { signal: timer.signal });
  await Promise.race([work, late]).catch(() => undefined);
  timer.abort();
}
