import { setTimeout as sleep } from 'node:timers/promises';

/** How a process that hangs is told from one that works. What it waits for is no matter: a cell without Kafka lives. */
export interface Liveness {
  readonly everyMs: number;
  readonly answerTimeoutMs: number;
  /** Checks in a row without an answer. */
  readonly missedMax: number;
  /** The same until it has answered once. */
  readonly missedAtStartMax: number;
}

/** Half a minute at least, and a minute at most; two to four at the start, for slow machines. */
export const livenessDefault: Liveness = {
  everyMs: 5_000,
  answerTimeoutMs: 5_000,
  missedMax: 6,
  missedAtStartMax: 24,
};

/** Of one process, until `signal` tells of its end. */
export class Life {
  readonly signal: AbortSignal;
  isUp = false;
  missed = 0;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  answered(): void {
    this.isUp = true;
    this.missed = 0;
  }
}

/** Resolves with what to tell once a process no longer answers at its admin port; undefined when it ends first. */
export async function untilSilent(
  adminPort: number,
  life: Life,
  { everyMs, answerTimeoutMs, missedMax, missedAtStartMax }: Liveness,
): Promise<string | undefined> {
  const { signal } = life;
  const bearable = () => (life.isUp ? missedMax : missedAtStartMax);
  while (life.missed < bearable()) {
    await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return undefined;
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]);
    if (await answers(adminPort, bounded)) life.answered();
    else life.missed += 1;
  }
  return signal.aborted ? undefined : `no answer to ${bearable()} checks in a row`;
}

async function answers(adminPort: number, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/livez`, { signal });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}
