import type { CountryCode } from '@domicile/core/countries.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { type Acknowledgement, IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import type { OutputRecord } from '@domicile/kafka/records.ts';

export interface MessageWriterOptions {
  readonly kafka: ClientOptions;
  readonly country: CountryCode;
  readonly deliveryTimeoutMs: number;
}

const lanes = 4;
/** Twice what the MQTT server takes in before it stops reading, so that nothing is refused for want of room. */
const pendingBytesMax = 134_217_728;
/** Subscribers wait for it; batches fill while one is under way. */
const lingerMs = 1;

/** Writes what clients publish, in their order, with acks of all in-sync replicas. */
export class MessageWriter implements AsyncDisposable {
  readonly #producer: IdempotentProducer;

  static async open(options: MessageWriterOptions): Promise<MessageWriter> {
    const { kafka, country, deliveryTimeoutMs } = options;
    const producer = await IdempotentProducer.open({
      client: kafka,
      clientId: 'broker-messages',
      topics: [topicOf(country, 'mqtt-messages'), topicOf(country, 'mqtt-retained')],
      lanes,
      lingerMs,
      pendingBytesMax,
      deliveryTimeoutMs,
    });
    return new MessageWriter(producer);
  }

  private constructor(producer: IdempotentProducer) {
    this.#producer = producer;
  }

  /** Resolves when Kafka has it on all in-sync replicas. */
  write(record: OutputRecord): Promise<Acknowledgement> {
    return this.#producer.send(record);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close();
  }
}
