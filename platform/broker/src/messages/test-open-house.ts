import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type StreamName, topicOf } from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { type BrokerConfig, readConfig } from '../config.ts';
import type { RunningBroker } from '../start.ts';
import { soon } from '../test-house.ts';
import { startOpenBroker } from './start-open.ts';

export const partitions = 4;

/** Replicas of a broker that takes any topic, over a real Kafka. For tests. */
export class OpenHouse implements AsyncDisposable {
  readonly kafka: CellKafka;
  readonly replicas: Pick<RunningBroker, 'mqttPort' | 'adminUrl'>[] = [];
  readonly lines: string[] = [];
  readonly failures: unknown[] = [];
  readonly #clients: MqttClient[] = [];
  #running = new AsyncDisposableStack();
  #folder: string | undefined;

  static async open(replicas: number): Promise<OpenHouse> {
    const house = new OpenHouse(await CellKafka.start({ country: 'DE', partitions }));
    for (let index = 0; index < replicas; index += 1) await house.add();
    return house;
  }

  private constructor(kafka: CellKafka) {
    this.kafka = kafka;
  }

  async add(more: Partial<BrokerConfig> = {}): Promise<RunningBroker> {
    const config: BrokerConfig = {
      ...readConfig({ CELL_COUNTRY: 'DE', KAFKA_BOOTSTRAP: '127.0.0.1:1' }),
      kafka: this.kafka.client('broker'),
      mqttPort: 0,
      mqttsPort: 0,
      adminPort: 0,
      ...more,
    };
    const log = createLog('broker', { write: (line) => this.lines.push(line) });
    const fail = (error: unknown) => this.failures.push(error);
    // Rights that were just granted reach Kafka's authorizer a little later.
    const replica = await soon(() => startOpenBroker(config, fail, log));
    this.replicas.push(replica);
    this.#running.defer(() => replica[Symbol.asyncDispose]());
    return replica;
  }

  /** Ends all replicas, and starts so many. */
  async restart(count: number): Promise<void> {
    await this.#running.disposeAsync();
    this.#running = new AsyncDisposableStack();
    this.replicas.length = 0;
    for (let index = 0; index < count; index += 1) await this.add();
  }

  /** A replica as its operators run it, so that it can be killed. */
  async spawn(): Promise<ChildProcess> {
    this.#folder ??= await mkdtemp(join(tmpdir(), 'broker-'));
    const passwordFile = join(this.#folder, 'kafka-password');
    await writeFile(passwordFile, 'broker-secret', { mode: 0o600 });
    const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        CELL_COUNTRY: 'DE',
        KAFKA_BOOTSTRAP: this.kafka.bootstrap,
        KAFKA_USER: 'broker',
        KAFKA_PASSWORD_FILE: passwordFile,
        BROKER_TOPIC_POLICY: 'open',
        BROKER_MQTT_PORT: '0',
        ADMIN_PORT: '0',
      },
    });
    this.#running.defer(async () => {
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
        await once(child, 'exit');
    });
    let told = '';
    child.stdout.on('data', (text) => {
      told += String(text);
    });
    const port = () => /"mqttPort":(\d+)/.exec(told)?.[1];
    await waitFor('the replica', () => port() !== undefined || child.exitCode !== null);
    this.replicas.push({ mqttPort: Number(port()), adminUrl: '' });
    return child;
  }

  /** `heard` is filled from the first packet on, for who comes back. `isSilent`: it acks nothing, and hears one message. */
  async client(
    replica: number,
    {
      heard,
      isSilent,
      ...options
    }: IClientOptions & { readonly heard?: string[]; readonly isSilent?: boolean } = {},
  ): Promise<MqttClient> {
    const port = this.replicas[replica]?.mqttPort;
    const client = connect(`mqtt://127.0.0.1:${port}`, {
      reconnectPeriod: 0,
      protocolVersion: 5,
      ...options,
    });
    this.#clients.push(client);
    if (heard) hear(client, heard);
    if (isSilent) client.handleMessage = () => undefined;
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
    });
    return client;
  }

  async metrics(replica: number): Promise<string> {
    return (await fetch(`${this.replicas[replica]?.adminUrl}/metrics`)).text();
  }

  records(stream: StreamName): Promise<InputRecord[]> {
    return readTopic(this.kafka.admin(), topicOf('DE', stream));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.end(true);
    await this.#running.disposeAsync();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true });
    await this.kafka[Symbol.asyncDispose]();
  }
}

/** What comes to a client, as `topic payload`. */
export function heardBy(client: MqttClient): string[] {
  const heard: string[] = [];
  hear(client, heard);
  return heard;
}

function hear(client: MqttClient, heard: string[]): void {
  client.on('message', (topic, payload, { retain }) =>
    heard.push(`${topic} ${payload.toString()}${retain ? ' retained' : ''}`),
  );
}
