import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Task } from './request-worker.ts';

export interface RequestWorker extends AsyncDisposable {
  /** One task at a time. Throws what the task throws. */
  ask(task: Task): Promise<string[]>;
}

/** A thread that starts on a slow machine is given its time. */
const timeoutMs = 60_000;

const answerSchema = z.union([
  z.object({ answer: z.array(z.string()) }),
  z.object({ error: z.string() }),
]);

/**
 * Keys, requests and answers in a thread of their own: the library for it takes more memory than much of the rest, is needed once in
 * months, and goes with the thread.
 */
export function startRequestWorker(): RequestWorker {
  const worker = new Worker(join(import.meta.dirname, 'request-worker.ts'));
  return {
    async ask(task) {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
      worker.postMessage(task);
      const [message]: unknown[] = await once(worker, 'message', {
        signal: AbortSignal.timeout(timeoutMs),
      });
      const read = answerSchema.parse(message);
      if ('error' in read) throw new Error(read.error);
      return read.answer;
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}
