/**
 * How long a task's partitions are without an owner, with the state of 100 buildings of 100 devices after 24 hours: killed by
 * kill -9 beside another process, and restarted in good order. Beside it the floor: the session after which Kafka gives
 * partitions away at all.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ports } from '@domicile/cell/ports.ts';
import { type ProcessSpec, Supervisor } from '@domicile/cell/supervisor.ts';
import { must } from '@domicile/core/invariants.ts';
import { streams, topicOf } from '@domicile/core/streams.ts';
import { buildingsOf } from '@domicile/core/values.ts';
import { stateDir } from '@domicile/devkit/cache-dir.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';

const rounds = 5;
const hourMs = 3_600_000;
const hours = 24;
const partitions = 8;
const sessionTimeoutMs = 6_000;
const root = join(import.meta.dirname, '../..');
const dir = join(stateDir, 'benchmarks', `take-over-${process.pid}`);
const telemetry = topicOf('DE', 'telemetry');

const declared = buildingsOf(
  {
    roomTypes: { four: { a: 'air-quality', b: 'air-quality', c: 'air-quality', d: 'air-quality' } },
    buildings: Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [
        `de-b${index}`,
        {
          client: 'acme',
          timeZone: 'Europe/Berlin',
          floors: { '1': { rooms: { 'r[1-25]': 'four' } } },
        },
      ]),
    ),
  },
  'DE',
);

await mkdir(dir, { recursive: true });
const kafka = await CellKafka.start({ country: 'DE', partitions });
const supervisor = new Supervisor({ restarted: () => {} });
try {
  await declare();
  const ports = await Ports.open(join(dir, 'ports.json'));
  await writeFile(join(dir, 'password'), 'task-secret');
  const [a, b] = [await spec('a', ports), await spec('b', ports)];
  await supervisor.start(a);
  await supervisor.ready(a.name, 60_000);
  const sent = await fill();
  await waitFor('the state', async () => (await metric(a, 'task_readings_total')) >= sent, 600_000);
  await sleep(12_000); // a snapshot
  const snapshotMb = (await metric(a, 'task_snapshot_bytes')) / 1e6;

  const killed: number[] = [];
  const planned: number[] = [];
  let [owner, other] = [a, b];
  for (let round = 0; round < rounds; round += 1) {
    planned.push(
      await timed(owner, async () => {
        await supervisor.stop(owner.name, 15_000);
        await supervisor.start(owner);
      }),
    );
    // The other one joins only now, so that it takes over all of them.
    killed.push(
      await timed(other, async () => {
        supervisor.kill(owner.name);
        await supervisor.stop(owner.name, 0);
        await supervisor.start(other);
      }),
    );
    [owner, other] = [other, owner];
  }
  const figures = {
    lane: 'take-over',
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    load: loadavg()[0],
    rounds,
    buildings: declared.length,
    readings: sent,
    snapshotMb: Math.round(snapshotMb * 10) / 10,
    killedSeconds: { median: median(killed), all: killed, floor: sessionTimeoutMs / 1000 },
    plannedSeconds: { median: median(planned), all: planned },
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  await writeFile(
    join(root, 'docs/benchmarks/take-over.json'),
    `${JSON.stringify(figures, undefined, 2)}\n`,
  );
} finally {
  for (const name of supervisor.names) await supervisor.stop(name, 5_000);
  await kafka[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
}

async function declare(): Promise<void> {
  const topic = topicOf('DE', 'registry');
  const client = kafka.client('operator');
  const producer = await IdempotentProducer.open({ client, clientId: 'declare', topics: [topic] });
  await Promise.all(
    declared.map((record) =>
      producer.send({
        topic,
        key: Buffer.from(record.id),
        value: Buffer.from(JSON.stringify(record)),
        headers: { schema: streams.registry.schema },
      }),
    ),
  );
  await producer.close();
}

async function spec(name: string, ports: Ports): Promise<ProcessSpec> {
  const adminPort = await ports.of(name);
  return {
    name,
    entry: 'platform/stream/src/main.ts',
    logFile: join(dir, `${name}.log`),
    adminPort,
    env: {
      CELL_COUNTRY: 'DE',
      KAFKA_BOOTSTRAP: kafka.bootstrap,
      KAFKA_USER: 'task',
      KAFKA_PASSWORD_FILE: join(dir, 'password'),
      TASK_INSTANCE_ID: name,
      TASK_SESSION_TIMEOUT_MS: `${sessionTimeoutMs}`,
      TASK_ADMIN_PORT: `${adminPort}`,
    },
  };
}

/** Once an hour for a day, and every ten seconds for the last minutes, so that windows are open. */
async function fill(): Promise<number> {
  const client = kafka.client('broker');
  const producer = await IdempotentProducer.open({ client, clientId: 'fill', topics: [telemetry] });
  const now = Date.now();
  const times = [
    ...Array.from({ length: hours }, (_, index) => now - (hours - index) * hourMs),
    ...Array.from({ length: 18 }, (_, index) => now - (18 - index) * 10_000),
  ];
  let sent = 0;
  for (const [seq, atMs] of times.entries()) {
    for (const { id, devices } of declared) {
      await producer.capacity();
      for (const device of devices) {
        const reading = {
          boot: 'day',
          seq,
          at: atMs,
          values: { temperature: 21, humidity: 40, co2: 600 },
        };
        void producer
          .send({
            topic: telemetry,
            key: Buffer.from(id),
            value: Buffer.from(JSON.stringify(reading)),
            headers: {
              schema: 'telemetry/1',
              device: device.id,
              client: 'fill',
              'registry-offset': '0',
            },
            timestamp: BigInt(atMs),
          })
          .catch((error: unknown) => {
            throw error;
          });
        sent += 1;
      }
    }
  }
  await producer.flush();
  await producer.close();
  return sent;
}

/** Seconds from `work` until a process owns all partitions with their state. */
async function timed(owner: ProcessSpec, work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  await waitFor(
    'the take-over',
    async () => (await metric(owner, 'task_partitions')) === partitions,
    120_000,
  );
  return Math.round(performance.now() - start) / 1000;
}

async function metric({ adminPort }: ProcessSpec, name: string): Promise<number> {
  try {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  } catch {
    return -1;
  }
}

function median(all: readonly number[]): number {
  return must(all.toSorted((x, y) => x - y)[Math.floor(all.length / 2)], 'there are rounds');
}
