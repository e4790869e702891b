import { setTimeout as wait } from 'node:timers/promises';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import { bytesOf, type OutputRecord } from '@domicile/kafka/records.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { TransactionalProducer } from '@domicile/kafka/transactional-producer.ts';
import type { BrokerSession } from '../admission/identity.ts';
import type { CellSessions } from './cell-sessions.ts';
import type { HeldSession } from './held-session.ts';
import { SharedRuns } from './shared-runs.ts';

export interface QosTwoWriterOptions {
  readonly kafka: ClientOptions;
  readonly sessions: CellSessions;
  /** Kafka topics of messages. */
  readonly topics: readonly string[];
  /** For sessions that end with their connection: nobody asks for their packet ids again. */
  readonly plain: (record: OutputRecord) => Promise<{ readonly offset: bigint }>;
}

interface Pending {
  readonly held: HeldSession;
  readonly packetId: number;
  readonly records: readonly OutputRecord[];
  readonly bytes: number;
  readonly settled: PromiseWithResolvers<readonly bigint[]>;
}

interface Attempt {
  batch: readonly Pending[];
  /** Of the packet ids' records, then of the messages'. */
  offsets: readonly bigint[];
}

/** Of one transaction. */
const commitMessagesMax = 1000;
const commitBytesMax = 4 << 20;
const commitTriesMax = 4;
const reopenTriesMax = 5;
const reopenDelayMs = 200;

const transactionalIdOf = (replica: string): string => `broker-${replica}-qos2`;

/**
 * Keeps QoS 2 messages with their packet ids, both or neither: one transaction for those of many sessions. A replica that
 * takes sessions from one that gives no answer fences it first; who was fenced reads the log to its end before it goes on, and so
 * knows which sessions it has lost.
 */
export class QosTwoWriter implements AsyncDisposable {
  readonly #options: QosTwoWriterOptions;
  readonly #partitions: ReadonlyMap<string, number>;
  readonly #fences = new Map<string, SharedRuns>();
  #waiting: Pending[] = [];
  #producer: TransactionalProducer | undefined;
  #working: Promise<void> | undefined;

  static async open(options: QosTwoWriterOptions): Promise<QosTwoWriter> {
    const partitions = new Map<string, number>();
    for (const topic of options.topics) {
      partitions.set(topic, (await endOffsets({ client: options.kafka, topic })).length);
    }
    const writer = new QosTwoWriter(options, partitions);
    options.sessions.fence = (replica) => writer.fence(replica);
    return writer;
  }

  private constructor(options: QosTwoWriterOptions, partitions: ReadonlyMap<string, number>) {
    this.#options = options;
    this.#partitions = partitions;
  }

  /** Resolves, with the offset of each record, when they and the packet id are kept; rejects when neither is. */
  async write(
    session: BrokerSession,
    { packetId, records }: { readonly packetId: number; readonly records: readonly OutputRecord[] },
  ): Promise<readonly bigint[]> {
    const held = this.#options.sessions.keeper.heldOf(session);
    if (!held) throw new Error('The session has another owner');
    if (!held.outlives) {
      const acknowledged = await Promise.all(records.map((record) => this.#options.plain(record)));
      return acknowledged.map(({ offset }) => offset);
    }
    const placed = records.map((record) => this.#placed(record));
    const bytes = placed.reduce((sum, record) => sum + bytesOf(record), 0);
    const settled = Promise.withResolvers<readonly bigint[]>();
    this.#waiting.push({ held, packetId, records: placed, bytes, settled });
    this.#working ??= this.#work();
    return settled.promise;
  }

  /** Resolves when nothing comes any more of what the replica has begun and not committed. */
  fence(replica: string): Promise<void> {
    const known = this.#fences.get(replica);
    const fence = known ?? new SharedRuns(() => this.#fence(replica));
    this.#fences.set(replica, fence);
    return fence.run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#working;
    await this.#producer?.discard();
  }

  async #fence(replica: string): Promise<void> {
    const producer = await this.#openAs(replica);
    await producer.discard();
    // What it committed before has its place in the log by now.
    await this.#options.sessions.log.catchUp();
  }

  async #work(): Promise<void> {
    // Those that come in the same turn go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#commit(this.#take());
    this.#working = undefined;
  }

  #take(): Pending[] {
    let bytes = 0;
    const rest = this.#waiting.findIndex((pending, index) => {
      bytes += pending.bytes;
      return index >= commitMessagesMax || (index > 0 && bytes > commitBytesMax);
    });
    return this.#waiting.splice(0, rest === -1 ? this.#waiting.length : rest);
  }

  async #commit(taken: readonly Pending[]): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const attempt: Attempt = { batch: [], offsets: [] };
      try {
        await this.#attempt(taken, attempt);
        return;
      } catch (error) {
        this.#options.sessions.events.transactionFailed(error);
        if (await this.#isDone(attempt)) return settle(attempt);
        if (tries < commitTriesMax) continue;
        for (const { settled } of taken) settled.reject(error);
        return;
      }
    }
  }

  async #attempt(taken: readonly Pending[], attempt: Attempt): Promise<void> {
    const producer = (this.#producer ??= await this.#openOwn());
    for (const { held, settled } of taken) {
      if (held.over) settled.reject(new Error('The session has another owner'));
    }
    const batch = taken.filter(({ held }) => !held.over);
    if (batch.length === 0) return;
    attempt.batch = batch;
    const ids = batch.map(({ held, packetId }) => held.receivedRecord(packetId));
    attempt.offsets = await producer.send([...ids, ...batch.flatMap(({ records }) => records)]);
    await producer.commit();
    settle(attempt);
    if (producer.exhausted) await this.#discard();
  }

  /** Whether a commit without an answer counts: known once the next producer is open. */
  async #isDone({ batch, offsets }: Attempt): Promise<boolean> {
    await this.#discard();
    const [first] = batch;
    const [offset] = offsets;
    if (!first || offset === undefined) return false;
    try {
      this.#producer = await this.#openOwn();
      return await this.#options.sessions.log.isCommitted(first.held.of.key, offset);
    } catch {
      // What it was cannot be known: it is not repeated here, and its client comes again with it.
      return false;
    }
  }

  async #openOwn(): Promise<TransactionalProducer> {
    const { sessions } = this.#options;
    for (let tries = 1; ; tries += 1) {
      try {
        const producer = await this.#openAs(sessions.replica);
        // Whoever fenced us has claimed before: what is ours no more is known from here on.
        await sessions.log.catchUp();
        return producer;
      } catch (error) {
        if (tries === reopenTriesMax) throw error;
        await wait(reopenDelayMs);
      }
    }
  }

  #openAs(replica: string): Promise<TransactionalProducer> {
    const client = { ...this.#options.kafka, clientId: 'broker-qos2' };
    return TransactionalProducer.open({ client, transactionalId: transactionalIdOf(replica) });
  }

  async #discard(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.discard();
  }

  #placed(record: OutputRecord): OutputRecord {
    const count = this.#partitions.get(record.topic) ?? 1;
    const partition = record.partition ?? partitionOf(record.key ?? Buffer.alloc(0), count);
    return { ...record, partition };
  }
}

function settle({ batch, offsets }: Attempt): void {
  let at = batch.length;
  for (const { held, packetId, records, settled } of batch) {
    held.receivedKept(packetId);
    settled.resolve(offsets.slice(at, at + records.length));
    at += records.length;
  }
}
