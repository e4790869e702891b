import { parentPort } from 'node:worker_threads';
import { createKey } from '@domicile/runtime/certificates.ts';
import { z } from 'zod';
import { certificateRequest, certificatesIn } from './certificate-request.ts';

/** What the worker is asked for, one after the other; it answers with texts. */
export const taskSchema = z.discriminatedUnion('do', [
  z.object({ do: z.literal('key') }),
  z.object({ do: z.literal('request'), key: z.string(), urn: z.string(), gateway: z.string() }),
  z.object({ do: z.literal('read'), answer: z.string() }),
]);

export type Task = z.output<typeof taskSchema>;

async function answerTo(task: Task): Promise<string[]> {
  if (task.do === 'key') return [await createKey()];
  if (task.do === 'read') return certificatesIn(task.answer);
  return [(await certificateRequest(task.key, task)).toString('base64')];
}

// oxlint-disable unicorn/require-post-message-target-origin -- a port between threads has no origin
parentPort?.on('message', (asked: unknown) => {
  answerTo(taskSchema.parse(asked)).then(
    (answer) => parentPort?.postMessage({ answer }),
    (error: unknown) =>
      parentPort?.postMessage({ error: error instanceof Error ? error.message : 'unknown' }),
  );
});
