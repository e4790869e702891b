/** What the lanes about MQTT share: a Kafka, declared buildings, and server processes on a core of their own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { hashPassword } from '@domicile/broker/password.ts';
import { must } from '@domicile/core/invariants.ts';
import { topicOf } from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';

export const root = join(import.meta.dirname, '..');
export const password = 'benchmark';
const serverCore = '0';
const otherCore = '1';
const startTriesMax = 150;
const startPollMs = 200;
const unlimited = '10000000';

export interface Server {
  readonly port: number;
  /** All of them together are the server. */
  readonly processes: readonly ChildProcess[];
}

/** This process and what it starts go to the other core; servers get theirs by `startNode`. */
export async function pinSelf(): Promise<void> {
  await promisify(execFile)('taskset', ['-apc', otherCore, `${process.pid}`]);
}

/** A Kafka of one country with bounded logs, and the buildings that may connect. */
export class BenchmarkCell implements AsyncDisposable {
  readonly kafka: CellKafka;
  readonly buildings: readonly string[];
  readonly folder: string;
  readonly #servers: Server[] = [];

  static async start(buildingsCount: number): Promise<BenchmarkCell> {
    const folder = await mkdtemp(join(tmpdir(), 'benchmark-'));
    const kafka = await CellKafka.start({
      country: 'DE',
      passwords: Object.fromEntries(['broker', 'operator'].map((name) => [name, password])),
      properties: {
        'log.segment.bytes': '67108864',
        'log.retention.bytes': '134217728',
        'log.retention.check.interval.ms': '3000',
      },
    });
    const buildings = Array.from({ length: buildingsCount }, (_, index) => `de-load-${index}`);
    await writeFile(join(folder, 'password'), password, { mode: 0o600 });
    const cell = new BenchmarkCell(kafka, buildings, folder);
    await cell.#declare();
    return cell;
  }

  private constructor(kafka: CellKafka, buildings: readonly string[], folder: string) {
    this.kafka = kafka;
    this.buildings = buildings;
    this.folder = folder;
  }

  /** A server of ours or a rival's, as a program of this repository. */
  async startNode(entry: string, extra: Readonly<Record<string, string>> = {}): Promise<Server> {
    const port = await freePort();
    const child = this.#spawn([process.execPath, join(root, entry)], { port, extra });
    const server = { port, processes: [child] };
    this.#servers.push(server);
    await this.#untilAnswers(server, entry);
    return server;
  }

  /**
   * What one would build of mosquitto and a program that carries to Kafka: the broker keeps its queue on disk, and the
   * bridge acks each message to it only after Kafka has it.
   */
  async startMosquitto(): Promise<Server> {
    const port = await freePort();
    const config = join(this.folder, 'mosquitto.conf');
    await rm(join(this.folder, 'mosquitto.db'), { force: true });
    await writeFile(
      config,
      [
        `listener ${port} 127.0.0.1`,
        'allow_anonymous true',
        'user root',
        'set_tcp_nodelay true',
        'persistence true',
        `persistence_location ${this.folder}/`,
        'autosave_interval 1',
        'max_queued_messages 0',
        'max_inflight_messages 2000',
        'log_type none',
      ].join('\n'),
    );
    const command = ['taskset', '-c', serverCore, 'mosquitto', '-c', config];
    const broker = spawn(must(command[0], 'a command'), command.slice(1), { stdio: 'ignore' });
    await this.#untilAnswers({ port, processes: [broker] }, 'mosquitto');
    const bridge = [process.execPath, join(root, 'benchmarks/ingest/mosquitto-bridge.ts')];
    const server = { port, processes: [broker, this.#spawn(bridge, { port, extra: {} })] };
    this.#servers.push(server);
    await wait(2_000);
    return server;
  }

  /** Records of the stream so far, over all partitions. */
  async written(stream: 'telemetry'): Promise<number> {
    const topic = topicOf('DE', stream);
    const ends = await endOffsets({ client: this.kafka.admin(), topic });
    return ends.reduce((sum, end) => sum + Number(end), 0);
  }

  stop({ processes }: Server): void {
    for (const child of processes) child.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) this.stop(server);
    await this.kafka[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }

  #spawn(
    command: readonly string[],
    { port, extra }: { readonly port: number; readonly extra: Readonly<Record<string, string>> },
  ): ChildProcess {
    const bootstrap = this.kafka
      .client('broker')
      .bootstrapBrokers.map((each) =>
        typeof each === 'string' ? each : `${each.host}:${each.port}`,
      );
    return spawn('taskset', ['-c', serverCore, ...command], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        KAFKA_BOOTSTRAP: bootstrap.join(','),
        KAFKA_USER: 'broker',
        KAFKA_PASSWORD_FILE: join(this.folder, 'password'),
        CELL_COUNTRY: 'DE',
        BROKER_MQTT_PORT: `${port}`,
        BROKER_WS_PORT: 'off',
        BROKER_BUILDING_CONNECTIONS_MAX: unlimited,
        BROKER_BUILDING_CONNECTS_PER_SECOND_MAX: unlimited,
        BROKER_BUILDING_IN_FLIGHT_MAX: unlimited,
        BROKER_BUILDING_IN_FLIGHT_BYTES_MAX: '1000000000',
        BROKER_BUILDING_SESSIONS_MAX: unlimited,
        BROKER_BUILDING_SUBSCRIPTIONS_MAX: unlimited,
        BROKER_BUILDING_MESSAGES_PER_SECOND_MAX: unlimited,
        BROKER_BUILDING_BYTES_PER_SECOND_MAX: '1000000000',
        BROKER_DEVICE_MESSAGES_PER_SECOND_MAX: unlimited,
        BROKER_DEVICE_BYTES_PER_SECOND_MAX: '1000000000',
        ADMIN_PORT: '0',
        PORT: `${port}`,
        TOPIC: topicOf('DE', 'telemetry'),
        ...extra,
      },
    });
  }

  async #untilAnswers({ port, processes }: Server, name: string): Promise<void> {
    for (let tries = 0; !(await answers(port)); tries += 1) {
      const ended = processes.some(({ exitCode }) => exitCode !== null);
      if (tries === startTriesMax || ended) throw new Error(`${name} did not start`);
      await wait(startPollMs);
    }
  }

  async #declare(): Promise<void> {
    const topic = topicOf('DE', 'registry');
    const client = this.kafka.admin();
    const producer = await IdempotentProducer.open({
      client,
      clientId: 'declare',
      topics: [topic],
    });
    const passwordHash = await hashPassword(password, { N: 16, r: 1, p: 1 });
    await Promise.all(
      this.buildings.map((id) =>
        producer.send({
          topic,
          key: Buffer.from(id),
          value: Buffer.from(JSON.stringify({ id, country: 'DE', state: 'active', passwordHash })),
        }),
      ),
    );
    await producer.close();
  }
}

/** User and system time of a server so far; proc(5) counts it in ticks of 10 ms. */
export async function cpuSecondsOf({ processes }: Server): Promise<number> {
  let ticks = 0;
  for (const { pid } of processes) {
    const stat = await readFile(`/proc/${must(pid, 'it runs')}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

/** Resident memory of a server now. */
export async function residentBytesOf({ processes }: Server): Promise<number> {
  let kilobytes = 0;
  for (const { pid } of processes) {
    const status = await readFile(`/proc/${must(pid, 'it runs')}/status`, 'utf8');
    kilobytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
  }
  return kilobytes * 1024;
}

/** What every report says of the machine. */
export function machineNow() {
  return {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    /** Of the minute before the end; about 2 is the lane's own. */
    loadAverage: Number(loadavg()[0]?.toFixed(1)),
  };
}

/** Keeps what a lane found where the table of all lanes is made of, and prints it. */
export async function keepReport(lane: string, report: object): Promise<void> {
  const kept = { lane, ...machineNow(), ...report };
  await writeFile(
    join(root, `docs/benchmarks/${lane}.json`),
    `${JSON.stringify(kept, undefined, 2)}\n`,
  );
  process.stdout.write(`${JSON.stringify(kept)}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return must(sorted[Math.floor(sorted.length / 2)], 'there are rounds');
}

/** The value below which this share of all lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return must(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))], 'values');
}

async function answers(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return address === null || typeof address === 'string' ? 0 : address.port;
}
