/**
 * Consume, process, produce: the outputs and the read positions of each commit interval form one transaction.
 *
 * Order that makes it exact: the producer is opened first (older processes are fenced and their transactions ended), then
 * the group's generation is noted, then its STABLE offsets are read, then the processors are opened, then records are
 * fetched. Whatever goes wrong drops the producer, the processors and all that was fetched, and the same order begins again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { InvariantError, must } from '@domicile/core/invariants.ts';
import { Admin, type Consumer } from '@platformatic/kafka';
import type { ClientOptions } from './client-options.ts';
import { apiError, FencedError, isFenced, refusals, StalledError, withDeadline } from './errors.ts';
import { FetchingConsumer } from './fetching-consumer.ts';
import { GroupMember } from './group-member.ts';
import { PartitionReader, type ReadPosition } from './partition-reader.ts';
import type { InputRecord, OutputRecord } from './records.ts';
import {
  type CommittedOffset,
  type GroupGeneration,
  TransactionalProducer,
} from './transactional-producer.ts';

export interface InputTopic {
  readonly name: string;
  /** Its part of `recordsMax` in each transaction, 0 to 1: what keeps a backlog from delaying the topics before it. */
  readonly share?: number;
}

/** Works on one partition. It may keep state: after an abort it is closed and another one opened. */
export interface PartitionProcessor {
  /** What has to be written first, because `complete` needs to know where it stands. Partitions are explicit. */
  first(records: readonly InputRecord[]): readonly OutputRecord[];
  /**
   * Everything else of the same transaction.
   * @param offsets where each output of `first` stands.
   * @param inputs the next offset to read of each input of this partition, as this transaction commits it.
   */
  complete(
    offsets: readonly bigint[],
    inputs: readonly { readonly topic: string; readonly next: bigint }[],
  ): readonly OutputRecord[];
  /** The transaction is committed. */
  committed(): void;
  close(): void;
}

export type TaskEvent =
  | { readonly kind: 'assigned'; readonly offsets: readonly CommittedOffset[] }
  | {
      readonly kind: 'committed';
      readonly inputs: number;
      readonly outputs: number;
      readonly seconds: number;
      readonly lagRecords: number;
    }
  | { readonly kind: 'aborted' | 'retrying'; readonly error: unknown };

export interface ExactlyOnceTaskOptions {
  readonly client: ClientOptions;
  readonly groupId: string;
  /** Stable over restarts and unique in the group: the static member and, with the group, the transactional id. */
  readonly instanceId: string;
  /** Co-partitioned, the most urgent first: the same number of partitions, and partition n of all goes to one task. */
  readonly inputs: readonly InputTopic[];
  /**
   * Called with the stable offsets of each input, undefined where nothing was committed. A `PlatformError` that is not
   * retriable ends the task; anything else is tried again.
   */
  readonly openPartition: (
    partition: number,
    committed: ReadonlyMap<string, bigint | undefined>,
  ) => Promise<PartitionProcessor>;
  readonly onEvent?: (event: TaskEvent) => void;
  readonly commitIntervalMs?: number;
  /** Inputs that make a transaction due before its interval. */
  readonly recordsMax?: number;
  readonly transactionTimeoutMs?: number;
  /** A transaction that takes longer is aborted by this process itself, before Kafka does. */
  readonly watchdogMs?: number;
  readonly sessionTimeoutMs?: number;
  /** Without a commit or a successful look at an empty input for so long, `run` rejects. */
  readonly stallTimeoutMs?: number;
}

const defaults = {
  commitIntervalMs: 100,
  recordsMax: 4_000,
  transactionTimeoutMs: 5_000,
  watchdogMs: 3_000,
  sessionTimeoutMs: 6_000,
  stallTimeoutMs: 60_000,
  onEvent: (): void => {},
};

const abortMsMax = 1_000;
const retryDelayMs = 50;
const unstableDelayMs = 20;

interface Assignment {
  readonly reader: PartitionReader;
  readonly generation: GroupGeneration;
  readonly processors: ReadonlyMap<number, PartitionProcessor>;
}

export class ExactlyOnceTask {
  readonly #options: Required<ExactlyOnceTaskOptions>;
  readonly #member: GroupMember;
  readonly #fetcher: Consumer;
  readonly #admin: Admin;
  #producer: TransactionalProducer | undefined;
  #assignment: Assignment | undefined;
  #failure: Error | undefined;
  #stopping = false;
  #progressAt = Date.now();

  constructor(options: ExactlyOnceTaskOptions) {
    this.#options = { ...defaults, ...options };
    const { client, groupId, instanceId, inputs, sessionTimeoutMs } = this.#options;
    const topics = inputs.map(({ name }) => name);
    this.#member = new GroupMember({ client, groupId, instanceId, topics, sessionTimeoutMs });
    this.#member.on('consumer:group:join', () => this.#forget());
    this.#member.on('error', (error: Error) => (this.#failure ??= error)); // it no longer sends heartbeats
    const quick = {
      ...client,
      retries: 0,
      requestTimeout: this.#options.transactionTimeoutMs,
      connectTimeout: 2_000,
    };
    this.#fetcher = new FetchingConsumer({ ...quick, clientId: `${instanceId}-fetch`, groupId });
    for (const topic of topics) this.#fetcher.topics.track(topic);
    this.#admin = new Admin({ ...quick, clientId: `${instanceId}-admin` });
  }

  /**
   * Resolves after `stop`. Rejects with a FencedError when another process has this identity, with a StalledError or the
   * cause when it cannot go on: end the process then.
   */
  async run(): Promise<void> {
    try {
      await this.#member.joinGroup({});
      while (!this.#stopping) await this.#cycle();
    } finally {
      this.#forget();
      await this.#producer?.abort().catch(() => {});
      await this.#producer?.discard();
      await Promise.all([
        this.#fetcher.close(true),
        this.#admin.close(),
        this.#member.detach(),
      ]).catch(() => {});
    }
  }

  /** Ends `run` after the transaction in progress. The member stays in the group for the rest of its session. */
  stop(): void {
    this.#stopping = true;
    this.#assignment?.reader.close();
  }

  async #cycle(): Promise<void> {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const assignment = this.#assignment ?? (await this.#prepare());
      if (assignment !== undefined) await this.#transact(assignment);
      this.#progressAt = Date.now();
    } catch (error) {
      await this.#recover(error);
    }
  }

  async #transact(assignment: Assignment): Promise<void> {
    const { commitIntervalMs, recordsMax, watchdogMs, inputs, onEvent } = this.#options;
    const { reader } = assignment;
    await reader.until(recordsMax, Date.now() + commitIntervalMs);
    if (this.#stopping || assignment !== this.#assignment) return;
    const records = inputs.flatMap(({ name, share = 1 }) =>
      reader.take(name, Math.ceil(recordsMax * share)),
    );
    const offsets = reader.offsets();
    if (offsets.length === 0) return;
    const startedAt = performance.now();
    const work = this.#process(assignment, records, offsets);
    const outputs = await withDeadline(work, watchdogMs, 'A transaction');
    reader.committed(offsets);
    for (const processor of assignment.processors.values()) processor.committed();
    onEvent({
      kind: 'committed',
      inputs: records.length,
      outputs,
      seconds: (performance.now() - startedAt) / 1000,
      lagRecords: reader.lagRecords(),
    });
  }

  async #process(
    assignment: Assignment,
    records: readonly InputRecord[],
    offsets: readonly CommittedOffset[],
  ): Promise<number> {
    const producer = must(this.#producer, 'an assignment has a producer');
    const staged = [...Map.groupBy(records, ({ partition }) => partition)].map(
      ([partition, own]) => {
        const processor = must(assignment.processors.get(partition), 'a partition has a processor');
        return { partition, processor, outputs: this.#guarded(() => processor.first(own)) };
      },
    );
    const firsts = staged.flatMap(({ outputs }) => outputs);
    const written = firsts.length === 0 ? [] : await producer.send(firsts);
    let from = 0;
    const rest = staged.flatMap(({ partition, processor, outputs }) => {
      const own = written.slice(from, from + outputs.length);
      from += outputs.length;
      const inputs = offsets
        .filter((one) => one.partition === partition)
        .map(({ topic, offset }) => ({ topic, next: offset }));
      return this.#guarded(() => processor.complete(own, inputs));
    });
    if (rest.length > 0) await producer.send(rest);
    await producer.sendOffsets(this.#member, assignment.generation, offsets);
    if (producer !== this.#producer || assignment !== this.#assignment)
      throw new StalledError('Cannot commit: the transaction was given up');
    await producer.commit();
    if (producer.exhausted && producer === this.#producer) {
      this.#forget(true);
      await producer.discard();
    }
    return firsts.length + rest.length;
  }

  /** A record that a processor cannot take would come again for ever, so `run` rejects, unless it may go better later. */
  #guarded(work: () => readonly OutputRecord[]): readonly OutputRecord[] {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof PlatformError && error.decision.retriable))
        this.#failure = asError(error);
      throw error;
    }
  }

  /** Undefined while the group gives this member nothing, or changes its mind meanwhile. */
  async #prepare(): Promise<Assignment | undefined> {
    const { client, groupId, instanceId, transactionTimeoutMs, recordsMax, onEvent } =
      this.#options;
    this.#producer ??= await TransactionalProducer.open({
      client: { ...client, clientId: instanceId },
      transactionalId: `${groupId}:${instanceId}`,
      transactionTimeoutMs,
    });
    const producer = this.#producer;
    const { memberId, generationId, assignments } = this.#member;
    if (memberId === null || !assignments?.some(({ partitions }) => partitions.length > 0)) {
      await sleep(retryDelayMs);
      return undefined;
    }
    const still = (): boolean =>
      memberId === this.#member.memberId &&
      generationId === this.#member.generationId &&
      producer === this.#producer &&
      !this.#stopping;
    const positions = await this.#stablePositions(
      assignments.map(({ topic, partitions }) => ({
        name: topic,
        partitionIndexes: [...partitions],
      })),
    );
    if (!still()) return undefined;
    const processors = await this.#openProcessors(positions);
    if (!still()) {
      for (const processor of processors.values()) processor.close();
      return undefined;
    }
    this.#assignment = {
      reader: new PartitionReader(this.#fetcher, positions, { queueRecordsMax: 2 * recordsMax }),
      generation: { groupId, memberId, instanceId, generationId },
      processors,
    };
    onEvent({ kind: 'assigned', offsets: positions });
    return this.#assignment;
  }

  async #openProcessors(
    positions: readonly ReadPosition[],
  ): Promise<Map<number, PartitionProcessor>> {
    const processors = new Map<number, PartitionProcessor>();
    const opening = [...Map.groupBy(positions, ({ partition }) => partition)].map(
      async ([partition, own]) => {
        const committed = new Map(
          own.map(({ topic, offset, isCommitted }) => [topic, isCommitted ? offset : undefined]),
        );
        processors.set(partition, await this.#options.openPartition(partition, committed));
      },
    );
    const outcomes = await Promise.allSettled(opening);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed === undefined) return processors;
    for (const processor of processors.values()) processor.close();
    const cause: unknown = failed.reason;
    const isFatal =
      (cause instanceof PlatformError && !cause.decision.retriable) ||
      cause instanceof InvariantError;
    if (isFatal) this.#failure = cause;
    throw asError(cause);
  }

  /** With `requireStable`: while a former owner's transaction is open, its offsets are not the truth yet. */
  async #stablePositions(
    topics: { name: string; partitionIndexes: number[] }[],
  ): Promise<ReadPosition[]> {
    const { groupId } = this.#options;
    const earliest = await this.#fetcher.listOffsets({
      topics: topics.map(({ name }) => name),
      timestamp: -2n,
    });
    const [group] = await this.#admin.listConsumerGroupOffsets({
      groups: [{ groupId, topics }],
      requireStable: true,
    });
    return topics.flatMap(({ name, partitionIndexes }) => {
      const committed = group?.topics.find((topic) => topic.name === name)?.partitions;
      return partitionIndexes.map((partition) => {
        const offset =
          committed?.find(({ partitionIndex }) => partitionIndex === partition)?.committedOffset ??
          -1n;
        const isCommitted = offset >= 0n;
        return {
          topic: name,
          partition,
          offset: isCommitted ? offset : (earliest.get(name)?.[partition] ?? 0n),
          isCommitted,
        };
      });
    });
  }

  async #recover(error: unknown): Promise<void> {
    const { stallTimeoutMs, onEvent } = this.#options;
    if (apiError(error, 'UNSTABLE_OFFSET_COMMIT')) {
      await sleep(unstableDelayMs);
    } else {
      const producer = this.#producer;
      this.#forget(true); // first, so that a commit that is late in coming does not happen
      if (isFenced(error))
        throw new FencedError('Another process has this identity, or the transaction timed out', {
          cause: error,
        });
      if (error === this.#failure || apiError(error, 'OFFSET_OUT_OF_RANGE', ...refusals))
        throw error;
      await giveUp(producer);
      onEvent({ kind: producer === undefined ? 'retrying' : 'aborted', error });
      await sleep(retryDelayMs);
    }
    if (Date.now() - this.#progressAt > stallTimeoutMs)
      throw new StalledError(`No progress for ${stallTimeoutMs} ms`, { cause: error });
  }

  #forget(producerToo = false): void {
    const assignment = this.#assignment;
    this.#assignment = undefined;
    assignment?.reader.close();
    for (const processor of assignment?.processors.values() ?? []) processor.close();
    if (producerToo) this.#producer = undefined;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new InvariantError(String(error));
}

async function giveUp(producer: TransactionalProducer | undefined): Promise<void> {
  if (producer === undefined) return;
  try {
    await withDeadline(producer.abort(), abortMsMax, 'An abort');
  } catch {
    // What stays open is aborted by the next producer of this identity, or by its timeout.
  }
  await producer.discard();
}
