import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 50;

/** Resolves when `condition` holds; throws with `what` when it does not within the time. */
export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !(await condition()); await sleep(pollMs)) {
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`);
  }
}
