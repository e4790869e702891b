/**
 * Telemetry in Kafka → readings, summaries, newest values and account, exactly once, by one task process on one core and Kafka
 * on the other; beside a bare copy by the same transaction loop. Rounds of both by turns, medians.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '@domicile/core/invariants.ts';
import { topicOf } from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { ensureTopics, grantRights } from '@domicile/kafka/admin.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { Load } from './load.ts';

const country = 'DE';
const copies = 'FR';
const rounds = 5;
const readings = 150_000;
const partitions = 8;
const ticksPerSecond = 100; // of /proc
const pollMs = 100;
const roundMsMax = 120_000;

interface Round {
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
}

const folder = await mkdtemp(join(tmpdir(), 'pipeline-'));
await writeFile(join(folder, 'password'), 'task-secret');
const kafka = await CellKafka.start({ country, partitions });
const admin = kafka.admin();
pin(kafka.cluster.pid(1), 0);
await ensureTopics({ client: admin, country: copies, partitions, replicas: 1 });
await grantRights({ client: admin, country: copies, principals: ['task'] });
const bootstrap = kafka.client('task').bootstrapBrokers.map(String);
const adminPort = await freePort();

function pin(pid: number, core: number): void {
  spawn('taskset', ['-acp', `${core}`, `${pid}`], { stdio: 'ignore' });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function startTask(): ChildProcess {
  const main = join(import.meta.dirname, '../../platform/stream/src/main.ts');
  return spawn('taskset', ['-c', '1', process.execPath, main], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      CELL_COUNTRY: country,
      KAFKA_BOOTSTRAP: bootstrap.join(','),
      KAFKA_USER: 'task',
      KAFKA_PASSWORD_FILE: join(folder, 'password'),
      TASK_ADMIN_PORT: `${adminPort}`,
      TASK_TICK_INTERVAL_MS: '3600000', // time moves by the readings, which are older than now
    },
  });
}

function startCopy(): ChildProcess {
  const child = fork(join(import.meta.dirname, 'copy.ts'));
  pin(must(child.pid, 'a process has an id'), 1);
  const [input, output] = [topicOf(country, 'telemetry'), topicOf(copies, 'readings')];
  child.send({ bootstrap, username: 'task', password: 'task-secret', input, output });
  return child;
}

async function endOf(topic: string): Promise<number> {
  const ends = await endOffsets({ client: admin, topic });
  return Number(ends.reduce((sum, end) => sum + end, 0n));
}

async function cpuSecondsOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** From the first commit that is seen until all is there. Offsets count markers too, hardly any. */
async function measure(start: () => ChildProcess, topic: string): Promise<Round> {
  const before = await endOf(topic);
  const child = start();
  const pid = must(child.pid, 'a process has an id');
  let from: { at: number; count: number; cpu: number } | undefined;
  const deadline = performance.now() + roundMsMax;
  for (;;) {
    await sleep(pollMs);
    const count = (await endOf(topic)) - before;
    const at = performance.now();
    if (at > deadline) throw new Error(`A round took more than ${roundMsMax} ms`);
    if (count === 0) continue;
    const cpu = await cpuSecondsOf(pid);
    from ??= { at, count, cpu };
    if (count < readings) continue;
    await stop(child);
    const done = readings - from.count;
    return {
      perSecond: (done * 1000) / (at - from.at),
      cpuSecondsPerMillion: ((cpu - from.cpu) * 1e6) / done,
    };
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.connected) child.disconnect();
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return must(sorted[Math.floor(sorted.length / 2)], 'there are rounds');
}

function figuresOf(all: readonly Round[]) {
  return {
    readingsPerSecond: Math.round(median(all.map(({ perSecond }) => perSecond))),
    cpuSecondsPerMillion: Number(
      median(all.map(({ cpuSecondsPerMillion }) => cpuSecondsPerMillion)).toFixed(1),
    ),
  };
}

const written = ['readings', 'summaries', 'latest', 'account', 'journal', 'state'] as const;
const load = await Load.open(admin, country, Date.now() - readings * (rounds + 2));
const figures = { ours: [] as Round[], copy: [] as Round[] };
for (let round = 0; round <= rounds; round += 1) {
  await load.send(readings);
  const ours = await measure(startTask, topicOf(country, 'readings'));
  const copy = await measure(startCopy, topicOf(copies, 'readings'));
  process.stderr.write(`round ${round}: ${JSON.stringify({ ours, copy })}\n`);
  if (round === 0) continue; // the first one warms Kafka up
  figures.ours.push(ours);
  figures.copy.push(copy);
}
const total = readings * (rounds + 1);
const recordsPerReading = Object.fromEntries(
  await Promise.all(
    written.map(async (stream) => {
      const records = await endOf(topicOf(country, stream));
      return [stream, Number((records / total).toFixed(3))] as const;
    }),
  ),
);
await load.close();
await kafka[Symbol.asyncDispose]();
await rm(folder, { recursive: true });
const [ours, bareCopy] = [figuresOf(figures.ours), figuresOf(figures.copy)];
const result = {
  lane: 'pipeline',
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown',
  kafka: '4.2.0, one node',
  rounds,
  readingsPerRound: readings,
  valuesPerReading: 3,
  ours,
  bareCopy,
  ratio: Number((ours.readingsPerSecond / bareCopy.readingsPerSecond).toFixed(3)),
  /** Offsets, so transaction markers too. */
  recordsPerReading,
};
const file = join(import.meta.dirname, '../../docs/benchmarks/pipeline.json');
await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
process.stdout.write(`${JSON.stringify(result)}\n`);
