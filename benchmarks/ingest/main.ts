/**
 * Lane `ingest`: QoS 1 acked after Kafka, one server process on core 0, Kafka and the load on core 1. Our broker beside a
 * bare packet loop with the same producer, and beside aedes with its ack held back.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
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
import { type LoadResult, runLoad } from './load.ts';

/** Many and short: what else the machine does then falls on all three alike. */
const rounds = 11;
const warmUpMs = 1000;
const measureMs = 2500;
const buildingsCount = 100;
/** Unacked messages of a connection under full load, and under the mission's. */
const window = 20;
const serverCore = '0';
const otherCore = '1';
const password = 'benchmark';
const payload = Buffer.from(
  JSON.stringify({
    boot: '01JD9T0000000000000000000',
    seq: 1_842_000,
    at: '2026-11-23T07:00:00.123Z',
    values: { temperature: 21.4, humidity: 44.1, co2: 612 },
  }),
);

const lanes = {
  ours: 'platform/broker/src/main.ts',
  bare: 'benchmarks/ingest/bare-loop.ts',
  aedes: 'benchmarks/ingest/aedes-server.ts',
} as const;
type Lane = keyof typeof lanes;
const laneNames: readonly Lane[] = ['ours', 'bare', 'aedes'];
const root = join(import.meta.dirname, '../..');

await promisify(execFile)('taskset', ['-apc', otherCore, `${process.pid}`]);
const folder = await mkdtemp(join(tmpdir(), 'ingest-'));
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
try {
  await declareBuildings();
  const servers = new Map<Lane, Server>();
  for (const lane of laneNames) servers.set(lane, await startServer(lane));
  const results: Record<Lane, (LoadResult & { cpuSecondsPerMillion: number })[]> = {
    ours: [],
    bare: [],
    aedes: [],
  };
  for (let round = 0; round < rounds; round += 1) {
    // By turns, and each round begins with another.
    for (const at of laneNames.keys()) {
      const lane = must(laneNames[(at + round) % laneNames.length], 'a lane');
      results[lane].push(await measure(must(servers.get(lane), 'it runs')));
    }
  }
  for (const { process: child } of servers.values()) child.kill('SIGKILL');
  const report = reportOf(results);
  await writeFile(
    join(root, 'docs/benchmarks/ingest.json'),
    `${JSON.stringify(report, null, 2)}\n`,
  );
  process.stdout.write(`${JSON.stringify(report)}\n`);
} finally {
  await kafka[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
}

interface Server {
  readonly port: number;
  readonly process: ChildProcess;
}

async function declareBuildings(): Promise<void> {
  const topic = topicOf('DE', 'registry');
  const client = kafka.admin();
  const producer = await IdempotentProducer.open({ client, clientId: 'declare', topics: [topic] });
  const passwordHash = await hashPassword(password, { N: 16, r: 1, p: 1 });
  await Promise.all(
    buildings.map((id) =>
      producer.send({
        topic,
        key: Buffer.from(id),
        value: Buffer.from(JSON.stringify({ id, country: 'DE', state: 'active', passwordHash })),
      }),
    ),
  );
  await producer.close();
}

async function startServer(lane: Lane): Promise<Server> {
  const port = await freePort();
  const bootstrap = kafka
    .client('broker')
    .bootstrapBrokers.map((each) =>
      typeof each === 'string' ? each : `${each.host}:${each.port}`,
    );
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  const child = spawn('taskset', ['-c', serverCore, process.execPath, join(root, lanes[lane])], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      KAFKA_BOOTSTRAP: bootstrap.join(','),
      KAFKA_USER: 'broker',
      KAFKA_PASSWORD_FILE: passwordFile,
      CELL_COUNTRY: 'DE',
      BROKER_MQTT_PORT: `${port}`,
      BROKER_BUILDING_MESSAGES_PER_SECOND_MAX: '10000000',
      ADMIN_PORT: '0',
      PORT: `${port}`,
      TOPIC: topicOf('DE', 'telemetry'),
    },
  });
  for (let tries = 0; !(await answers(port)); tries += 1) {
    if (tries === 100 || child.exitCode !== null) throw new Error(`${lane} did not start`);
    await wait(200);
  }
  return { port, process: child };
}

async function measure({ port, process: child }: Server) {
  const pid = must(child.pid, 'it runs');
  const before = await cpuSecondsOf(pid);
  const from = performance.now();
  const result = await runLoad({ port, password, buildings, window, payload, warmUpMs, measureMs });
  const seconds = (performance.now() - from) / 1000;
  const used = (await cpuSecondsOf(pid)) - before;
  const messages = result.messagesPerSecond * seconds;
  return { ...result, cpuSecondsPerMillion: Number(((used / messages) * 1e6).toFixed(2)) };
}

/** User and system time so far; proc(5) counts it in ticks of 10 ms. */
async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return address === null || typeof address === 'string' ? 0 : address.port;
}

function reportOf(
  results: Record<Lane, readonly (LoadResult & { cpuSecondsPerMillion: number })[]>,
) {
  const medians = (lane: Lane) => ({
    messagesPerSecond: median(results[lane].map((each) => each.messagesPerSecond)),
    lowest: Math.min(...results[lane].map((each) => each.messagesPerSecond)),
    highest: Math.max(...results[lane].map((each) => each.messagesPerSecond)),
    ackP50Ms: median(results[lane].map((each) => each.ackP50Ms)),
    ackP99Ms: median(results[lane].map((each) => each.ackP99Ms)),
    cpuSecondsPerMillion: median(results[lane].map((each) => each.cpuSecondsPerMillion)),
  });
  const [ours, bare, aedes] = [medians('ours'), medians('bare'), medians('aedes')];
  return {
    lane: 'ingest',
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    /** Of the minute before the end; about 2 is this lane's own. */
    loadAverage: Number(loadavg()[0]?.toFixed(1)),
    rounds,
    measuredSeconds: measureMs / 1000,
    load: { connections: buildings.length, window, payloadBytes: payload.length, qos: 1 },
    ours,
    bare,
    aedes,
    oursToBare: Number((ours.messagesPerSecond / bare.messagesPerSecond).toFixed(3)),
    oursToAedes: Number((ours.messagesPerSecond / aedes.messagesPerSecond).toFixed(3)),
    /** By the server's own CPU time, which others' load does not change much. */
    perCpuSecond: {
      ours: Math.round(1e6 / ours.cpuSecondsPerMillion),
      bare: Math.round(1e6 / bare.cpuSecondsPerMillion),
      aedes: Math.round(1e6 / aedes.cpuSecondsPerMillion),
    },
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return must(sorted[Math.floor(sorted.length / 2)], 'there are rounds');
}
