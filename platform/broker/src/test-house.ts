import { setTimeout as wait } from 'node:timers/promises';
import type { BuildingRecord } from '@domicile/core/building.ts';
import { headers, type StreamName, streams, topicOf } from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { type BrokerConfig, readConfig } from './config.ts';
import { hashPassword } from './password.ts';
import { type RunningBroker, startBroker } from './start.ts';

export const password = 'correct horse';

/** A broker of DE over a real Kafka. For tests. */
export class TestHouse implements AsyncDisposable {
  readonly kafka: CellKafka;
  readonly lines: string[] = [];
  readonly failures: unknown[] = [];
  readonly #config: BrokerConfig;
  readonly #producer: IdempotentProducer;
  #broker: RunningBroker | undefined;

  static async open(more: Partial<BrokerConfig> = {}): Promise<TestHouse> {
    const house = await TestHouse.openIdle(more);
    await house.start();
    return house;
  }

  /** Kafka alone, with no broker yet. */
  static async openIdle(more: Partial<BrokerConfig> = {}): Promise<TestHouse> {
    const kafka = await CellKafka.start({ country: 'DE' });
    const producer = await IdempotentProducer.open({
      client: kafka.admin(),
      clientId: 'test',
      topics: (['registry', 'commands', 'command-states'] as const).map((name) =>
        topicOf('DE', name),
      ),
    });
    return new TestHouse(kafka, producer, more);
  }

  private constructor(kafka: CellKafka, producer: IdempotentProducer, more: Partial<BrokerConfig>) {
    this.kafka = kafka;
    this.#producer = producer;
    this.#config = {
      ...readConfig({ CELL_COUNTRY: 'DE', KAFKA_BOOTSTRAP: '127.0.0.1:1' }),
      kafka: kafka.client('broker'),
      mqttPort: 0,
      mqttsPort: 0,
      adminPort: 0,
      ...more,
    };
  }

  get broker(): RunningBroker {
    if (!this.#broker) throw new Error('The broker is down');
    return this.#broker;
  }

  async start(): Promise<void> {
    const log = createLog('broker', { write: (line) => this.lines.push(line) });
    const fail = (error: unknown) => this.failures.push(error);
    // Rights that were just granted reach Kafka's authorizer a little later.
    this.#broker = await soon(() => startBroker(this.#config, fail, log));
  }

  /** Another broker of the same cell. */
  async startAnother(more: Partial<BrokerConfig> = {}): Promise<RunningBroker> {
    const log = createLog('broker', { write: (line) => this.lines.push(line) });
    const fail = (error: unknown) => this.failures.push(error);
    return startBroker({ ...this.#config, ...more }, fail, log);
  }

  async stop(): Promise<void> {
    await this.#broker?.[Symbol.asyncDispose]();
    this.#broker = undefined;
  }

  /** Declares a building; its clients come with `password`. */
  async declare(id: string, more: Partial<BuildingRecord> = {}): Promise<void> {
    const record: BuildingRecord = {
      id,
      country: 'DE',
      client: 'acme',
      name: null,
      timeZone: 'Europe/Berlin',
      state: 'active',
      deviceTypes: {},
      devices: [],
      passwordHash: await hashPassword(password, { N: 1024, r: 8, p: 1 }),
      ...more,
    };
    await this.write('registry', id, record);
  }

  async write(
    stream: 'registry' | 'commands' | 'command-states',
    key: string,
    value: unknown,
  ): Promise<void> {
    await this.#producer.send({
      topic: topicOf('DE', stream),
      key: Buffer.from(key),
      value: Buffer.from(JSON.stringify(value)),
      headers: { [headers.schema]: streams[stream].schema },
    });
  }

  records(stream: StreamName): Promise<InputRecord[]> {
    return readTopic(this.kafka.admin(), topicOf('DE', stream));
  }

  client(building: string, options: IClientOptions = {}): Promise<MqttClient> {
    return connectAsync(`mqtt://127.0.0.1:${options.port ?? this.broker.mqttPort}`, {
      reconnectPeriod: 0,
      protocolVersion: 5,
      username: building,
      password,
      ...options,
    });
  }

  clientSoon(building: string, options: IClientOptions = {}): Promise<MqttClient> {
    return soon(() => this.client(building, options));
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.broker.adminUrl}/metrics`)).text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#producer.close();
    await this.kafka[Symbol.asyncDispose]();
  }
}

/** At 50 ms each and more. */
const triesMax = 200;

/** Tries until the registry has been followed so far; contracts promise a second. */
export async function soon<Value>(attempt: () => Promise<Value>): Promise<Value> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === triesMax) throw error;
      await wait(50);
    }
  }
}
