import { randomUUID } from 'node:crypto';
import type { CountryCode } from '@domicile/core/countries.ts';
import { headers, type StreamName, topicOf } from '@domicile/core/streams.ts';
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
  /** Of the building's registry record. */
  readonly registryOffset: string;
  /** Unix milliseconds; the record's timestamp, however long Kafka takes. */
  readonly receivedAtMs: number;
}

const writtenStreams = ['telemetry', 'backfill', 'device-status', 'command-states'] as const;
const lanes = 4;
/** Twice what the MQTT server takes in before it stops reading, so that nothing is refused for want of room. */
const pendingBytesMax = 134_217_728;

/** Which broker process wrote a status: what it wrote itself it knows already. */
export const writerHeader = 'writer';

/** Writes what gateways say, in their order, with acks of all in-sync replicas. */
export class StreamWriter implements AsyncDisposable {
  readonly id = randomUUID();
  readonly #producer: IdempotentProducer;
  readonly #topics: ReadonlyMap<StreamName, string>;

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
      pendingBytesMax,
      deliveryTimeoutMs,
    });
    return new StreamWriter(producer, topics);
  }

  private constructor(producer: IdempotentProducer, topics: ReadonlyMap<StreamName, string>) {
    this.#producer = producer;
    this.#topics = topics;
  }

  /** Resolves when Kafka has it on all in-sync replicas. */
  write(publication: Publication, origin: Origin): Promise<{ readonly offset: bigint }> {
    return this.#producer.send({
      topic: this.#topics.get(publication.stream) ?? '',
      key: origin.key,
      value: publication.value,
      timestamp: BigInt(origin.receivedAtMs),
      headers: {
        [headers.schema]: publication.schema,
        [headers.device]: publication.device,
        [headers.client]: origin.client,
        [headers.registryOffset]: origin.registryOffset,
        ...(publication.status && { [writerHeader]: this.id }),
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close();
  }
}
