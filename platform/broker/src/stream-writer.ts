import { randomUUID } from 'node:crypto';
import type { CountryCode } from '@domicile/core/countries.ts';
import { headers, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import type { Publication } from './model/publication.ts';

export interface StreamWriterOptions {
  readonly kafka: ClientOptions;
  readonly country: CountryCode;
  readonly deliveryTimeoutMs: number;
}

export interface Origin {
  /** The bytes of the building's id, which is the key. */
  readonly key: Buffer;
  readonly client: string;
  readonly registryOffset: bigint;
}

const writtenStreams = ['telemetry', 'backfill', 'device-status', 'command-states'] as const;
const lanes = 4;
/** Above it messages wait, and with them the reading from their clients. */
const pendingBytesMax = 33_554_432;

/** Which broker process wrote a status: what it wrote itself it knows already. */
export const writerHeader = 'writer';

/** Writes what gateways say, in their order, with acks of all in-sync replicas. */
export class StreamWriter implements AsyncDisposable {
  readonly id = randomUUID();
  readonly #producer: IdempotentProducer;
  readonly #topics: ReadonlyMap<string, string>;
  /** Bytes handed to the producer and not settled. */
  #pendingBytes = 0;
  /** Messages that wait for room; while there are any, nobody overtakes them. */
  #waiting = 0;
  #room = Promise.withResolvers<void>();

  static async open({
    kafka,
    country,
    deliveryTimeoutMs,
  }: StreamWriterOptions): Promise<StreamWriter> {
    const topics = new Map(writtenStreams.map((stream) => [stream, topicOf(country, stream)]));
    const producer = await IdempotentProducer.open({
      client: kafka,
      clientId: 'broker',
      topics: [...topics.values()],
      lanes,
      lingerMs: 5,
      pendingBytesMax: 2 * pendingBytesMax,
      deliveryTimeoutMs,
    });
    return new StreamWriter(producer, topics);
  }

  private constructor(producer: IdempotentProducer, topics: ReadonlyMap<string, string>) {
    this.#producer = producer;
    this.#topics = topics;
  }

  /** Resolves when Kafka has it on all in-sync replicas. */
  async write(publication: Publication, origin: Origin): Promise<void> {
    const { value } = publication;
    if (this.#waiting > 0 || this.#pendingBytes > pendingBytesMax) await this.#untilRoom();
    const bytes = value.length + recordOverheadBytes;
    this.#pendingBytes += bytes;
    try {
      await this.#producer.send({
        topic: this.#topics.get(publication.stream) ?? '',
        key: origin.key,
        value,
        headers: {
          [headers.schema]: publication.schema,
          [headers.device]: publication.device,
          [headers.client]: origin.client,
          [headers.registryOffset]: `${origin.registryOffset}`,
          ...(publication.status && { [writerHeader]: this.id }),
        },
      });
    } finally {
      this.#pendingBytes -= bytes;
      this.#room.resolve();
      this.#room = Promise.withResolvers();
    }
  }

  async #untilRoom(): Promise<void> {
    this.#waiting += 1;
    do await this.#room.promise;
    while (this.#pendingBytes > pendingBytesMax);
    this.#waiting -= 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close();
  }
}

/** Key, headers and what Kafka adds; an estimate for the bound. */
const recordOverheadBytes = 512;
