/** The process that the tests kill, stop and continue: one task that copies every key and notes where the record came from. */
import { once } from 'node:events';
import { z } from 'zod';
import type { ClientOptions } from './client-options.ts';
import { ExactlyOnceTask } from './exactly-once-task.ts';
import type { InputRecord, OutputRecord } from './records.ts';
import { TransactionalProducer } from './transactional-producer.ts';

const workerOptions = z.object({
  client: z.custom<ClientOptions>((value) => typeof value === 'object' && value !== null),
  groupId: z.string(),
  instanceId: z.string(),
  inputs: z.array(z.object({ name: z.string(), share: z.number().optional() })),
  output: z.string(),
  recordsMax: z.number().default(4_000),
  /** Time each fold takes, so that a test can hit a task at work. */
  foldMs: z.number().default(0),
  /** Stops itself with SIGSTOP once, with its fifth transaction open (`commit`) or about to begin (`fold`). */
  stopItselfAt: z.enum(['fold', 'commit']).optional(),
  /** Throws in its first fold. */
  poison: z.boolean().default(false),
});

export type WorkerOptions = z.input<typeof workerOptions>;

export interface WorkerReport {
  readonly kind: 'assigned' | 'committed' | 'stopping-itself' | 'aborted' | 'retrying' | 'failed';
  readonly count: number;
  readonly message: string;
  readonly at: number;
}

function report(kind: WorkerReport['kind'], count: number, message = ''): void {
  if (process.connected) process.send?.({ kind, count, message, at: Date.now() });
}

function pauseMs(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 6;) {
    const code = 'code' in at && typeof at.code === 'string' ? at.code : at.name;
    parts.push('apiId' in at ? String(at.apiId) : `${code}: ${at.message.slice(0, 120)}`);
    at = at instanceof AggregateError ? at.errors.at(-1) : at.cause;
  }
  return parts.join(' < ');
}

async function main(): Promise<void> {
  const [message]: unknown[] = await once(process, 'message');
  const options = workerOptions.parse(message);
  const { foldMs, stopItselfAt, output, poison, inputs, ...common } = options;
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

  let folds = 0;
  let stopped = false;
  const stopMyself = (): void => {
    if (stopped || folds < 5) return;
    stopped = true;
    report('stopping-itself', folds);
    pauseMs(100); // let the report out
    process.kill(process.pid, 'SIGSTOP');
  };
  if (stopItselfAt === 'commit') {
    const commit = Object.getOwnPropertyDescriptor(TransactionalProducer.prototype, 'commit');
    Object.defineProperty(TransactionalProducer.prototype, 'commit', {
      ...commit,
      value: async function commitAfterStop(this: TransactionalProducer): Promise<void> {
        stopMyself();
        await Reflect.apply(commit?.value, this, []);
      },
    });
  }
  const copyOf = ({ key, topic, partition, offset }: InputRecord): OutputRecord => ({
    topic: output,
    partition,
    ...(key && { key }),
    value: Buffer.from(`${common.instanceId} ${topic}:${partition}:${offset}`),
  });
  const task = new ExactlyOnceTask({
    ...common,
    inputs: inputs.map(({ name, share }) => ({ name, ...(share !== undefined && { share }) })),
    openPartition: async (partition) => ({
      first(records) {
        folds += 1;
        if (poison) throw new RangeError('poison');
        if (foldMs > 0) pauseMs(foldMs);
        if (stopItselfAt === 'fold') stopMyself();
        return records.map(copyOf);
      },
      // Says where the copies stand, so that a test can compare it with what a reader finds.
      complete: (offsets) =>
        offsets.length === 0
          ? []
          : [{ topic: output, partition, key: Buffer.from(`offsets ${offsets.join(' ')}`) }],
      committed: () => {},
      close: () => {},
    }),
    onEvent: (event) => {
      if (event.kind === 'assigned') report('assigned', event.offsets.length);
      else if (event.kind === 'committed') report('committed', event.inputs);
      else report(event.kind, 0, describe(event.error));
    },
  });
  process.once('SIGTERM', () => task.stop());
  try {
    await task.run();
    process.removeAllListeners('disconnect');
    process.disconnect();
  } catch (error) {
    report('failed', 0, describe(error));
    process.exitCode = 1;
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200);
  }
}

await main();
