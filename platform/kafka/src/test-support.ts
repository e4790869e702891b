/** What the suites of this room share: topics, loading, comparing, and tasks in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { Admin } from '@platformatic/kafka';
import type { ClientOptions } from './client-options.ts';
import { IdempotentProducer } from './idempotent-producer.ts';
import type { InputRecord } from './records.ts';
import type { WorkerOptions, WorkerReport } from './test-worker.ts';

export async function createTopic(
  client: ClientOptions,
  { partitions = 4, replicas = 1 }: { partitions?: number; replicas?: number } = {},
): Promise<string> {
  const topic = freshName('topic');
  const admin = new Admin({ ...client, clientId: 'test-admin', retries: 20, retryDelay: 100 });
  try {
    await admin.createTopics({ topics: [topic], partitions, replicas });
    await admin.metadata({ topics: [topic] });
  } finally {
    await admin.close();
  }
  return topic;
}

/** Sends records with the keys `k<from>` to `k<to - 1>`. */
export async function load(
  client: ClientOptions,
  topic: string,
  { from = 0, to }: { from?: number; to: number },
): Promise<void> {
  const producer = await IdempotentProducer.open({
    client,
    clientId: freshName('load'),
    topics: [topic],
  });
  const value = Buffer.alloc(180, 'v');
  const acknowledgements: Promise<unknown>[] = [];
  for (let n = from; n < to; n += 1) {
    if (n % 500 === 0) await producer.capacity();
    acknowledgements.push(producer.send({ topic, key: Buffer.from(`k${n}`), value }));
  }
  await Promise.all(acknowledgements);
  await producer.close();
}

export interface Comparison {
  readonly missing: number;
  readonly duplicates: number;
  readonly strange: number;
}

export const exact: Comparison = { missing: 0, duplicates: 0, strange: 0 };

/** Compares the keys with `k0` to `k<count - 1>`; what the copying tasks say of themselves is left out. */
export function compare(records: readonly InputRecord[], count: number): Comparison {
  const times = new Map<string, number>();
  const keys = records.map(({ key }) => String(key)).filter((key) => !key.startsWith('offsets '));
  for (const key of keys) times.set(key, (times.get(key) ?? 0) + 1);
  let missing = 0;
  for (let n = 0; n < count; n += 1) if (!times.delete(`k${n}`)) missing += 1;
  const strangers = [...times.values()].reduce((sum, one) => sum + one, 0);
  return {
    missing,
    duplicates: keys.length - (count - missing) - strangers,
    strange: times.size,
  };
}

export async function copied(client: ClientOptions, topic: string, count: number) {
  return compare(await readTopic(client, topic), count);
}

/** The group's lag, which counts markers as records, is 0 only when the last of them is committed. */
export async function caughtUp(
  client: ClientOptions,
  { groupId, input }: { groupId: string; input: string },
): Promise<boolean> {
  const admin = new Admin({ ...client, clientId: 'lag', retries: 0 });
  try {
    const partitions = [0, 1, 2, 3].map((partitionIndex) => ({ partitionIndex, timestamp: -1n }));
    const [end] = await admin.listOffsets({ topics: [{ name: input, partitions }] });
    const groups = await admin.listConsumerGroupOffsets({ groups: [groupId], requireStable: true });
    const committed = groups[0]?.topics.find(({ name }) => name === input)?.partitions ?? [];
    const at = new Map(committed.map((one) => [one.partitionIndex, one.committedOffset]));
    return end?.partitions.every((one) => at.get(one.partitionIndex) === one.offset) ?? false;
  } catch {
    return false; // unstable
  } finally {
    await admin.close();
  }
}

/** A task in a process of its own, which ends when this process does. */
export class Worker extends EventEmitter {
  readonly options: WorkerOptions;
  readonly reports: WorkerReport[] = [];
  inputs = 0;
  readonly #process: ChildProcess;

  constructor(options: WorkerOptions) {
    super();
    this.options = options;
    this.#process = fork(new URL('test-worker.ts', import.meta.url), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
    });
    this.#process.on('message', (report: WorkerReport) => {
      this.reports.push(report);
      if (report.kind === 'committed') this.inputs += report.count;
    });
    this.#process.send(options);
    this.#process.unref(); // a failed test leaves it behind; it ends with this process
    this.#process.channel?.unref();
  }

  get alive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  has(kind: WorkerReport['kind']): boolean {
    return this.reports.some((report) => report.kind === kind);
  }

  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    this.#process.kill(name);
  }

  async end(name: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (!this.alive) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill(name);
    await exited;
  }

  /** Resolves when it has ended and all that it reported is here. */
  async exited(): Promise<void> {
    if (this.alive) await once(this.#process, 'exit');
    if (this.#process.connected) await once(this.#process, 'disconnect');
  }
}
