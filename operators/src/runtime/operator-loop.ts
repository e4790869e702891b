import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import type { OperatorEvents } from '../events.ts';
import type { Controller } from './controller.ts';
import type { Informers } from './informers.ts';
import type { LeaderLease, Term } from './leader-lease.ts';

export interface OperatorLoopOptions {
  readonly informers: Informers;
  readonly controllers: readonly Controller[];
  readonly lease: LeaderLease;
  readonly leaseName: string;
  readonly events: OperatorEvents;
  /** Whoever asks whether to go on gets the term that holds. */
  readonly setTerm: (term: Term | undefined) => void;
}

const syncCheckMs = 50;
/** What was begun may end by itself for so long after a stop, and then so long again when it is told to. */
const drainMsMax = 10_000;
const abortMsMax = 10_000;

/**
 * Watches, waits for its turn, and works while it leads; then waits again. Ends when the signal aborts and what was begun is
 * finished. Throws `UPSTREAM_UNAVAILABLE` if that does not end in its time: the process has to.
 */
export async function runOperator(
  options: OperatorLoopOptions,
  signal: AbortSignal,
): Promise<void> {
  const { informers, lease, leaseName, events } = options;
  const watching = new AbortController();
  const watches = informers.all.map((informer) => informer.run(watching.signal));
  try {
    while (informers.unsynced.length > 0) await sleep(syncCheckMs, undefined, { signal });
    while (!signal.aborted) {
      events.waiting(leaseName);
      await leadOnce(options, await lease.acquire(signal), signal);
    }
  } catch (error) {
    if (!signal.aborted || error instanceof PlatformError) throw error;
  } finally {
    watching.abort();
    await Promise.all(watches);
  }
}

async function leadOnce(
  { controllers, leaseName, events, setTerm }: OperatorLoopOptions,
  term: Term,
  signal: AbortSignal,
): Promise<void> {
  setTerm(term);
  events.leading(leaseName, term.number);
  const stop = new AbortController();
  const working = controllers.map((controller) => controller.lead(term, stop.signal));
  await aborted(AbortSignal.any([signal, term.lost]));
  const wasLost = term.lost.aborted;
  const ended = Promise.all(working.map((one) => one[Symbol.asyncDispose]()));
  // The lease is renewed while they finish.
  if (!(await endsWithin(ended, term.lost.aborted ? 0 : drainMsMax))) stop.abort();
  const hasEnded = await endsWithin(ended, abortMsMax);
  await term[Symbol.asyncDispose]();
  setTerm(undefined);
  events.leadEnded(leaseName, wasLost);
  if (!hasEnded)
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Cannot end what was begun within ${abortMsMax} ms of being told to: the process ends`,
    );
}

/** Whether it ended in that time; it is not waited for any longer. Throws what it threw. */
export async function endsWithin(ended: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(ms, false, { signal: timer.signal }).catch(() => false);
  const isEnded = await Promise.race([ended.then(() => true), late]);
  timer.abort();
  return isEnded;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
