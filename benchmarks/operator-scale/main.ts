/**
 * How long 1,000 Buildings of 100 devices take from `helm install` (four releases) to Ready, what the operator takes of memory, and
 * whether a resync of all makes a write: on a real API server, Kafka and the bucket emulator, the operator a process of its own with
 * the rights of its chart. Beside it the floor: as many bare writes to the API server, as many at once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stateDir } from '@domicile/devkit/cache-dir.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { z } from 'zod';
import { ScaleBed } from './scale-bed.ts';

/** Fewer by an argument, for a try that is not kept. */
const buildings = Number(process.argv[2] ?? 1_000);
const releases = 4;
const concurrency = 4;
const resyncMs = 60_000;
/** As in the chart. */
const nodeFlags = ['--max-semi-space-size=2', '--max-old-space-size=160'];
const readyMsMax = 900_000;
const root = join(import.meta.dirname, '../..');
const dir = join(stateDir, 'benchmarks', `operator-scale-${process.pid}`);

await mkdir(dir, { recursive: true });
const bed = await ScaleBed.start(dir);
let operator: ChildProcess | undefined;
try {
  const env = await bed.operatorEnvironment(resyncMs);
  await using log = await open(join(dir, 'operator.log'), 'a');
  const began = spawn(process.execPath, [...nodeFlags, 'operators/src/main.ts'], {
    cwd: root,
    env,
    stdio: ['ignore', log.fd, log.fd],
  });
  operator = began;
  await bed.installCell();
  await bed.cellReady();
  say('the Cell is ready');
  const idle = await memory(began);
  const writesBefore = await bed.writes();

  const startedAt = performance.now();
  for (let release = 0; release < releases; release += 1) {
    await bed.installBuildings(release, buildings / releases);
    say(`release ${release + 1}: ${await bed.readyBuildings()} ready`);
  }
  const helmSeconds = secondsSince(startedAt);
  await waitFor(
    'all Buildings',
    async () => (await bed.readyBuildings()) === buildings,
    readyMsMax,
  );
  const readySeconds = secondsSince(startedAt);
  const writes = (await bed.writes()) - writesBefore;
  say(`all ready after ${readySeconds} s`);
  const ready = await memory(began);

  const resync = await resyncOf();
  const floorSeconds = await bed.bareWrites(writes, concurrency);
  const figures = {
    lane: 'operator-scale',
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    buildings,
    releases,
    devicesEach: 100,
    ready: { seconds: readySeconds, helmSeconds, floorSeconds, writes },
    memoryMb: { idle: idle.now, ready: ready.now, peak: (await memory(began)).peak },
    resync,
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  if (process.argv[2] === undefined)
    await writeFile(
      join(root, 'docs/benchmarks/operator-scale.json'),
      `${JSON.stringify(figures, undefined, 2)}\n`,
    );
} finally {
  if (operator?.exitCode === null) {
    const ended = once(operator, 'exit');
    operator.kill('SIGTERM');
    await ended;
  }
  await bed[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
}

/** From a rest in which nothing is due until every Building was looked at again. */
async function resyncOf() {
  await waitFor('a rest', () => bed.isResting(), 3 * resyncMs);
  const [looksBefore, writesBefore] = [await bed.looks(), await bed.writes()];
  await waitFor('the resync', async () => (await bed.looks()) > looksBefore, 3 * resyncMs);
  const startedAt = performance.now();
  await waitFor('its end', async () => (await bed.looks()) >= looksBefore + buildings, readyMsMax);
  const seconds = secondsSince(startedAt);
  await sleep(1_000);
  return { seconds, writes: (await bed.writes()) - writesBefore };
}

async function memory({ pid }: ChildProcess): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const mb = (name: string) =>
    Math.round(
      (z.coerce.number().parse(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1_024) / 1e6,
    );
  return { now: mb('VmRSS'), peak: mb('VmHWM') };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function secondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) / 100) / 10;
}
