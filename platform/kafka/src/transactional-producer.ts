/**
 * The client's Producer with the rules that transactions need, and three local corrections:
 * - AddPartitionsToTxn is sent in version 3. The client picks 5, which Kafka reserves for brokers: with an authorizer it
 *   asks for CLUSTER_ACTION on the cluster.
 * - all offsets of a transaction go in one TxnOffsetCommit, with the static member's instance id;
 * - sends go one after another, each under the broker's batch limit.
 */
import {
  addPartitionsToTxnV3,
  kGetApi,
  kGetConnection,
  kMetadata,
  Producer,
  txnOffsetCommitV4,
  type API,
  type BaseOptions,
  type Callback,
  type Connection,
  type Consumer,
} from '@platformatic/kafka';
import type { ClientOptions } from './client-options.ts';
import { apiError } from './errors.ts';
import { javaPartitioner } from './partitioner.ts';
import { bytesOf, messageOf, type OutputRecord } from './records.ts';

/** Who consumed what is being committed: captured together, before the records were fetched. */
export interface GroupGeneration {
  readonly groupId: string;
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generationId: number;
}

export interface CommittedOffset {
  readonly topic: string;
  readonly partition: number;
  /** The next offset to read. */
  readonly offset: bigint;
}

export interface TransactionalProducerOptions {
  readonly client: ClientOptions &
    Pick<BaseOptions, 'clientId' | 'retries' | 'connectTimeout' | 'requestTimeout'>;
  /** Stable over restarts: a newer producer with the same id fences the older one and aborts what it left open. */
  readonly transactionalId: string;
  readonly transactionTimeoutMs?: number;
}

/** A `send()` is one batch per partition, and `message.max.bytes` is 1 MiB. */
const SEND_BYTES_MAX = 900_000;
/** Sequence numbers are 32-bit and the client does not wrap them: a new producer id starts again at 0. */
export const RECORDS_PER_PRODUCER_MAX = 2 ** 30;

type OpenTransaction = Awaited<ReturnType<Producer['beginTransaction']>>;

export class VersionThreeProducer extends Producer {
  override [kGetApi]<Args extends unknown[], Response>(
    name: string,
    callback: Callback<API<Args, Response>>,
  ): void {
    if (name !== 'AddPartitionsToTxn') return super[kGetApi](name, callback);
    // The two versions take the same arguments and give the same result.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- so the caller's types hold
    callback(null, addPartitionsToTxnV3.api as unknown as API<Args, Response>);
  }
}

export class TransactionalProducer {
  readonly #producer: VersionThreeProducer;
  readonly #transactionalId: string;
  #transaction: OpenTransaction | undefined;
  #recordsSent = 0;

  /** Fences older producers with this id and ends their transactions. Do this BEFORE reading committed offsets. */
  static async open(options: TransactionalProducerOptions): Promise<TransactionalProducer> {
    const producer = new TransactionalProducer(options);
    try {
      await producer.#begin(); // the client asks for its producer id here, once; the broker hears of no transaction yet
    } catch (error) {
      await producer.discard();
      throw error;
    }
    return producer;
  }

  private constructor({
    client,
    transactionalId,
    transactionTimeoutMs = 5_000,
  }: TransactionalProducerOptions) {
    this.#transactionalId = transactionalId;
    this.#producer = new VersionThreeProducer({
      // Few retries: after a failure a new producer is quicker than an old one that waits.
      retries: 15,
      // Until the markers of the last transaction are written, the next is refused with CONCURRENT_TRANSACTIONS.
      retryDelay: (_client: unknown, _operation: string, attempt: number) =>
        attempt <= 5 ? 10 : 200,
      requestTimeout: transactionTimeoutMs,
      ...client,
      idempotent: true,
      transactionalId,
      timeout: transactionTimeoutMs, // also the transaction timeout
      producerId: -1n, // the default of 0/0 is refused as fenced after a restart
      producerEpoch: -1,
      partitioner: javaPartitioner,
    });
    this.#producer.on('error', () => {}); // the pending call reports it
  }

  /** True when a new producer is due; ask between transactions. */
  get exhausted(): boolean {
    return this.#recordsSent > RECORDS_PER_PRODUCER_MAX;
  }

  /**
   * Writes records in order, in as few batches as the broker takes.
   * @returns where each record stands, for records with an explicit partition; -1 for the others.
   */
  async send(records: readonly OutputRecord[]): Promise<bigint[]> {
    const transaction = await this.#begin();
    const offsets: bigint[] = [];
    let from = 0;
    let bytes = 0;
    const flush = async (to: number): Promise<void> => {
      const chunk = records.slice(from, to);
      const result = await transaction.send({ messages: chunk.map(messageOf) });
      for (const offset of offsetsOf(chunk, result.offsets ?? [])) offsets.push(offset);
      from = to;
      bytes = 0;
    };
    for (const [index, record] of records.entries()) {
      const size = bytesOf(record);
      if (index > from && bytes + size > SEND_BYTES_MAX) await flush(index);
      bytes += size;
    }
    if (from < records.length) await flush(records.length);
    this.#recordsSent += records.length;
    return offsets;
  }

  /** Ties the read positions to the outputs: both become visible together or not at all. */
  async sendOffsets(
    consumer: Consumer,
    generation: GroupGeneration,
    offsets: readonly CommittedOffset[],
  ): Promise<void> {
    const { producerId, producerEpoch } = this.#producer;
    if (offsets.length === 0) return;
    await (await this.#begin()).addConsumer(consumer);
    if (
      consumer.coordinatorId === null ||
      producerId === undefined ||
      producerEpoch === undefined
    ) {
      throw new Error('Cannot commit offsets: not in a group');
    }
    const topics = Map.groupBy(offsets, ({ topic }) => topic);
    const connection = await this.#connection(consumer.coordinatorId);
    await txnOffsetCommitV4.api.async(
      ...([
        connection,
        this.#transactionalId,
        generation.groupId,
        producerId,
        producerEpoch,
      ] as const),
      ...([generation.generationId, generation.memberId, generation.instanceId] as const),
      [...topics].map(([name, entries]) => ({
        name,
        partitions: entries.map(({ partition, offset }) => ({
          partitionIndex: partition,
          committedOffset: offset,
          committedLeaderEpoch: -1,
        })),
      })),
    );
  }

  async commit(): Promise<void> {
    await this.#transaction?.commit();
    this.#transaction = undefined;
  }

  async abort(): Promise<void> {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    await transaction?.abort().catch(async (error: unknown) => {
      if (!apiError(error, 'INVALID_TXN_STATE')) throw error;
      await transaction.cancel(); // the broker had accepted nothing yet, so it knows of no transaction
    });
  }

  /** Drops the connections. A transaction left open is aborted by the next producer with the same id, or by its timeout. */
  async discard(): Promise<void> {
    await this.#producer.close(true).catch(() => {});
  }

  async #begin(): Promise<OpenTransaction> {
    this.#transaction ??= await this.#producer.beginTransaction({
      producerId: -1n,
      producerEpoch: -1,
    });
    return this.#transaction;
  }

  #connection(nodeId: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      this.#producer[kMetadata]({ topics: [] }, (error: Error | null, metadata) => {
        const broker = metadata?.brokers.get(nodeId);
        if (broker === undefined) return reject(error ?? new Error(`Cannot find node ${nodeId}`));
        this.#producer[kGetConnection](broker, (failure, connection) =>
          connection ? resolve(connection) : reject(failure),
        );
      });
    });
  }
}

/** The client names the first offset of each partition's batch; within it records keep their order. */
function offsetsOf(
  records: readonly OutputRecord[],
  firsts: readonly { topic: string; partition: number; offset: bigint }[],
): bigint[] {
  const next = new Map(
    firsts.map(({ topic, partition, offset }) => [`${topic}:${partition}`, offset]),
  );
  return records.map(({ topic, partition }) => {
    if (partition === undefined) return -1n;
    const key = `${topic}:${partition}`;
    const offset = next.get(key) ?? -1n;
    if (offset >= 0n) next.set(key, offset + 1n);
    return offset;
  });
}
