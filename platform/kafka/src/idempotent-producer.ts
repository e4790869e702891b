/**
 * Batching in front of the client's idempotent Producer. K lanes, a partition always in lane (partition mod K), and in a
 * lane one send at a time, of one partition: the client retries a send against the leader of its first record, so
 * two partitions whose leaders part ways while it retries never get through.
 */
import { PlatformError } from '@domicile/core/errors.ts';
import { InvariantError } from '@domicile/core/invariants.ts';
import { Producer, type CompressionAlgorithmValue } from '@platformatic/kafka';
import type { ClientOptions } from './client-options.ts';
import { NotAcknowledgedError, platformErrorOf } from './errors.ts';
import { partitionOf } from './partitioner.ts';
import { bytesOf, messageOf, type OutputRecord } from './records.ts';
import { RECORDS_PER_PRODUCER_MAX } from './transactional-producer.ts';

export interface Acknowledgement {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

export interface IdempotentProducerOptions {
  readonly client: ClientOptions;
  readonly clientId: string;
  /** Partition counts are read once, at the start. */
  readonly topics: readonly string[];
  readonly lanes?: number;
  readonly lingerMs?: number;
  /** Of one batch of several records, before compression; the broker takes 1 MiB. */
  readonly batchBytesMax?: number;
  /** What may wait for acknowledgement in all. Beyond it `send` rejects, so await `capacity()`. */
  readonly pendingBytesMax?: number;
  /** How long a batch is tried. */
  readonly deliveryTimeoutMs?: number;
  readonly compression?: CompressionAlgorithmValue;
}

interface Pending {
  readonly record: OutputRecord;
  readonly bytes: number;
  readonly settled: PromiseWithResolvers<Acknowledgement>;
}

interface Batch {
  readonly topic: string;
  readonly partition: number;
  readonly dueAt: number;
  readonly records: Pending[];
  bytes: number;
}

/** Of one record, which then has a batch for itself; Kafka's `message.max.bytes` is 1 MiB. */
const RECORD_BYTES_MAX = 900_000;
const RETRY_DELAY_MS = 100;
const DEFAULTS = {
  lanes: 4,
  lingerMs: 5,
  batchBytesMax: 512 << 10,
  pendingBytesMax: 32 << 20,
  deliveryTimeoutMs: 120_000,
  compression: 'none' as CompressionAlgorithmValue,
};

export class IdempotentProducer {
  readonly #options: Required<IdempotentProducerOptions>;
  readonly #lanes: Lane[];
  readonly #partitionCounts: ReadonlyMap<string, number>;
  #pendingBytes = 0;
  #capacity = Promise.withResolvers<void>();
  #closed = false;

  static async open(options: IdempotentProducerOptions): Promise<IdempotentProducer> {
    const probe = new Producer({
      ...options.client,
      clientId: options.clientId,
      idempotent: true,
      retries: 10,
      retryDelay: RETRY_DELAY_MS,
    });
    try {
      const { topics } = await probe.metadata({ topics: [...options.topics] });
      const counts = new Map(
        [...topics].map(([name, { partitionsCount }]) => [name, partitionsCount]),
      );
      return new IdempotentProducer({ ...DEFAULTS, ...options }, counts);
    } catch (error) {
      throw platformErrorOf(error, `write to ${options.topics.join(', ')}`);
    } finally {
      await probe.close(true);
    }
  }

  private constructor(
    options: Required<IdempotentProducerOptions>,
    partitionCounts: ReadonlyMap<string, number>,
  ) {
    this.#options = options;
    this.#partitionCounts = partitionCounts;
    this.#lanes = Array.from(
      { length: options.lanes },
      (_, index) => new Lane(options, index, (bytes) => this.#release(bytes)),
    );
  }

  /**
   * Resolves when the record is on all in-sync replicas. Acknowledgements of a partition come in the order of sending, and
   * after a failure nothing overtakes: all that its lane holds is rejected too.
   */
  send(record: OutputRecord): Promise<Acknowledgement> {
    const count = this.#partitionCounts.get(record.topic);
    if (this.#closed)
      return Promise.reject(
        new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot send: the producer is closed'),
      );
    if (count === undefined)
      return Promise.reject(
        new PlatformError(
          'NOT_FOUND',
          `Cannot send: topic ${record.topic} was not named at the start`,
        ),
      );
    const bytes = bytesOf(record);
    if (bytes > RECORD_BYTES_MAX)
      return Promise.reject(
        new PlatformError('PAYLOAD_TOO_LARGE', `Cannot send: the record has ${bytes} bytes`),
      );
    if (this.#pendingBytes + bytes > this.#options.pendingBytesMax)
      return Promise.reject(
        new PlatformError('RATE_LIMITED', `Cannot send: ${this.#pendingBytes} bytes are waiting`),
      );
    this.#pendingBytes += bytes;
    const partition =
      record.partition ?? (record.key === undefined ? 0 : partitionOf(record.key, count));
    const settled = Promise.withResolvers<Acknowledgement>();
    this.#lanes[partition % this.#lanes.length]?.add(partition, { record, bytes, settled });
    return settled.promise;
  }

  /** Back-pressure: resolves when less than half of the limit is waiting. */
  async capacity(): Promise<void> {
    while (this.#pendingBytes > this.#options.pendingBytesMax / 2) await this.#capacity.promise;
  }

  /** Sends what waits without lingering, and resolves when all of it is settled. */
  async flush(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.flush()));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #release(bytes: number): void {
    this.#pendingBytes -= bytes;
    this.#capacity.resolve();
    this.#capacity = Promise.withResolvers();
  }
}

class Lane {
  readonly #options: Required<IdempotentProducerOptions>;
  readonly #clientId: string;
  readonly #release: (bytes: number) => void;
  /** In the order in which they are due; of one partition only the last is still open to more records. */
  #batches: Batch[] = [];
  #filling = new Map<string, Batch>();
  #producer: Producer | undefined;
  #recordsSent = 0;
  #pumping: Promise<void> | undefined;
  #flushing = false;
  #wake = Promise.withResolvers<void>();

  constructor(
    options: Required<IdempotentProducerOptions>,
    index: number,
    release: (bytes: number) => void,
  ) {
    this.#options = options;
    this.#clientId = `${options.clientId}-${index}`;
    this.#release = release;
  }

  add(partition: number, pending: Pending): void {
    const { topic } = pending.record;
    const key = `${topic}:${partition}`;
    let batch = this.#filling.get(key);
    if (batch === undefined || batch.bytes + pending.bytes > this.#options.batchBytesMax) {
      if (batch !== undefined) this.#wake.resolve(); // full: due now
      batch = {
        topic,
        partition,
        dueAt: performance.now() + this.#options.lingerMs,
        records: [],
        bytes: 0,
      };
      this.#filling.set(key, batch);
      this.#batches.push(batch);
    }
    batch.records.push(pending);
    batch.bytes += pending.bytes;
    this.#pumping ??= this.#pump();
  }

  async flush(): Promise<void> {
    this.#flushing = true;
    this.#wake.resolve();
    await this.#pumping;
    this.#flushing = false;
  }

  async close(): Promise<void> {
    await this.#producer?.close(true).catch(() => {});
  }

  async #pump(): Promise<void> {
    for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
      const key = `${batch.topic}:${batch.partition}`;
      const waitMs = batch.dueAt - performance.now();
      if (waitMs > 0 && !this.#flushing && this.#filling.get(key) === batch)
        await this.#pause(waitMs);
      if (this.#filling.get(key) === batch) this.#filling.delete(key);
      this.#batches.shift();
      await this.#deliver(batch);
    }
    this.#pumping = undefined;
  }

  async #pause(waitMs: number): Promise<void> {
    this.#wake = Promise.withResolvers();
    const timer = setTimeout(() => this.#wake.resolve(), waitMs);
    await this.#wake.promise;
    clearTimeout(timer);
  }

  async #deliver(batch: Batch): Promise<void> {
    try {
      this.#producer ??= this.#open();
      const { topic, partition } = batch;
      const { offsets } = await this.#producer.send({
        messages: batch.records.map(({ record }) => ({ ...messageOf(record), partition })),
      });
      const first = offsets?.[0]?.offset;
      if (first === undefined) throw new InvariantError('the broker named no offset');
      for (const [index, { settled }] of batch.records.entries())
        settled.resolve({ topic, partition, offset: first + BigInt(index) });
      this.#release(batch.bytes);
      this.#recordsSent += batch.records.length;
      if (this.#recordsSent > RECORDS_PER_PRODUCER_MAX) this.#discard();
    } catch (cause) {
      this.#discard(); // its sequence numbers are off now
      const failed = [batch, ...this.#batches];
      this.#batches = [];
      this.#filling.clear();
      const error = new NotAcknowledgedError(
        `A batch of ${batch.topic}:${batch.partition} failed, with all behind it`,
        { cause },
      );
      for (const { records, bytes } of failed) {
        this.#release(bytes);
        for (const { settled } of records) settled.reject(error);
      }
    }
  }

  #open(): Producer {
    const { client, compression, deliveryTimeoutMs } = this.#options;
    const producer = new Producer({
      ...client,
      clientId: this.#clientId,
      idempotent: true,
      producerId: -1n,
      producerEpoch: -1,
      compression,
      retries: Math.max(2, Math.ceil(deliveryTimeoutMs / RETRY_DELAY_MS)),
      retryDelay: RETRY_DELAY_MS,
      timeout: 5_000,
      requestTimeout: 10_000,
      connectTimeout: 2_000,
    });
    producer.on('error', () => {}); // the pending send reports it
    return producer;
  }

  #discard(): void {
    void this.#producer?.close(true).catch(() => {});
    this.#producer = undefined;
    this.#recordsSent = 0;
  }
}
