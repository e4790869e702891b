import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import { unlessAborted } from '@domicile/runtime/unless-aborted.ts';
import type { Readiness } from './readiness.ts';

export interface KafkaWatchOptions {
  /** Asks Kafka something small. */
  readonly ask: () => Promise<unknown>;
  readonly readiness: Readiness;
  readonly everyMs?: number;
  /** No answer for so long counts as none. */
  readonly timeoutMs?: number;
}

/** Asks Kafka now and then, one question at a time, and says in `readiness` whether it answered. */
export function watchKafka(options: KafkaWatchOptions): AsyncDisposable {
  const { ask, readiness, everyMs = 5000, timeoutMs = 5000 } = options;
  const answer = () =>
    ask().then(
      () => true,
      () => false,
    );
  return startLoop(
    async (signal) => {
      while (!signal.aborted) {
        const answering = answer();
        const early = new AbortController();
        const late = sleep(timeoutMs, undefined, {
          signal: AbortSignal.any([signal, early.signal]),
        });
        const first = await Promise.race([answering, late]);
        if (first === undefined) readiness.set('kafka-unreachable', true);
        early.abort();
        const answered = first ?? (await unlessAborted(signal, answering));
        readiness.set('kafka-unreachable', !answered);
        await sleep(everyMs, undefined, { signal });
      }
    },
    // Every failure of the question is an answer to it.
    () => undefined,
  );
}

const waitForKafkaMs = 60_000;
const askAgainMs = 1000;

/** Resolves once Kafka answers; throws what it last said after a minute, and at once what no waiting mends. */
export async function untilKafkaAnswers(ask: () => Promise<unknown>): Promise<void> {
  for (const deadline = performance.now() + waitForKafkaMs; ; await sleep(askAgainMs)) {
    try {
      await ask();
      return;
    } catch (error) {
      const isAway = error instanceof PlatformError && error.code === 'UPSTREAM_UNAVAILABLE';
      if (!isAway || performance.now() > deadline) throw error;
    }
  }
}
