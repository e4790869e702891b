import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccountRecord } from '@domicile/core/account.ts';
import { encodeAggregate } from '@domicile/core/aggregate.ts';
import type { LatestRecord } from '@domicile/core/latest.ts';
import type { Reading } from '@domicile/core/reading.ts';
import { type StreamName, topicOf } from '@domicile/core/streams.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countOf } from '../model/number-ranges.ts';
import { lastLatest, type Measured, mergedSummaries, recomputed } from '../model/simulation.ts';
import { buildingOf, Sender } from './test-cell.ts';

const country = 'DE';
const partitions = 2;
let kafka: CellKafka;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tasks-'));
  await writeFile(join(folder, 'password'), 'task-secret');
  kafka = await CellKafka.start({ country, partitions });
});
afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** The process of the tasks, which dies with this one. */
class TaskProcess {
  readonly takeOvers: number[] = [];
  readonly #child: ChildProcess;

  constructor(more: Record<string, string> = {}) {
    const main = join(import.meta.dirname, '../main.ts');
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, main], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        CELL_COUNTRY: country,
        KAFKA_BOOTSTRAP: kafka.client('task').bootstrapBrokers.map(String).join(','),
        KAFKA_USER: 'task',
        KAFKA_PASSWORD_FILE: join(folder, 'password'),
        TASK_SNAPSHOT_INTERVAL_MS: '2000',
        TASK_TICK_INTERVAL_MS: '1000',
        ...more,
      },
    });
    if (this.#child.stdout)
      createInterface(this.#child.stdout).on('line', (line) => {
        const { seconds, msg }: { seconds?: number; msg: string } = JSON.parse(line);
        if (msg === 'Partition taken over') this.takeOvers.push(seconds ?? 0);
      });
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill(signal);
      await exited;
    }
    return this.#child.exitCode;
  }
}

async function read(stream: StreamName): Promise<Buffer[]> {
  const records = await readTopic(kafka.admin(), topicOf(country, stream));
  return records.flatMap(({ value }) => value ?? []);
}

const summaryOf = (value: Buffer): SummaryRecord => JSON.parse(value.toString());
const readingOf = (value: Buffer): Reading => JSON.parse(value.toString());
const latestOf = (value: Buffer): LatestRecord => JSON.parse(value.toString());
const accountOf = (value: Buffer): AccountRecord => JSON.parse(value.toString());

async function readingsEnd(): Promise<bigint> {
  const ends = await endOffsets({ client: kafka.admin(), topic: topicOf(country, 'readings') });
  return ends.reduce((sum, end) => sum + end, 0n);
}

/** Sends for a while: live readings, every tenth twice, and a backlog of the hour before. */
async function feed(sender: Sender, isOver: () => boolean) {
  const buildings = ['de-a', 'de-b', 'de-c', 'de-d'].map((id) =>
    buildingOf(country, id, { rooms: 5, devicesPerRoom: 4 }),
  );
  const measured: Measured[] = [];
  let repeats = 0;
  const offsets = new Map<string, bigint>();
  for (const building of buildings) offsets.set(building.id, await sender.declare(building));
  const places = buildings.flatMap(({ id: building, devices }) =>
    devices.map(({ id: device }) => ({ building, device })),
  );
  for (let seq = 0; !isOver(); seq += 1) {
    const nowMs = Date.now();
    const sends: Promise<void>[] = [];
    for (const { building, device } of places) {
      const isLate = device === 'd1' || device === 'd7';
      const values = { temperature: (seq * 7 + device.length) % 60, co2: 400 + (seq % 50) };
      const atMs = isLate ? nowMs - 3_600_000 : nowMs;
      measured.push({ building, device, boot: 'b', seq, atMs, values });
      const stream = isLate ? 'backfill' : 'telemetry';
      const registryOffset = offsets.get(building) ?? 0n;
      const to = { building, device, stream, registryOffset } as const;
      const times = measured.length % 10 === 0 ? 2 : 1;
      repeats += times - 1;
      for (let time = 0; time < times; time += 1)
        sends.push(sender.send(to, { boot: 'b', seq, at: atMs, values }));
    }
    await Promise.all(sends);
    await sleep(Math.max(0, nowMs + 100 - Date.now()));
  }
  return { buildings, measured, repeats };
}

test(
  'kill -9 and restart at any instant lose nothing, double nothing and change no summary',
  { timeout: 300_000 },
  async () => {
    await using sender = await Sender.open(kafka.admin(), country);
    let isOver = false;
    const feeding = feed(sender, () => isOver);
    let tasks = new TaskProcess();
    const started = new Set<TaskProcess>([tasks]);
    try {
      for (const signal of ['SIGKILL', 'SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
        const before = await readingsEnd();
        await waitFor('progress', async () => (await readingsEnd()) > before + 1_500n);
        const exitCode = await tasks.end(signal);
        expect(exitCode).toBe(signal === 'SIGTERM' ? 0 : null);
        const end = await readingsEnd();
        const from = performance.now();
        tasks = new TaskProcess();
        started.add(tasks);
        await waitFor('the first commit', async () => (await readingsEnd()) > end);
        const seconds = (performance.now() - from) / 1000;
        process.stdout.write(
          `take-over after ${signal}: ${seconds.toFixed(1)} s, of which restoring ${Math.max(...tasks.takeOvers).toFixed(2)} s\n`,
        );
        // A second on a quiet machine; a crowded one needs half a minute for the start of a process alone.
        expect(seconds).toBeLessThan(45);
      }
      isOver = true;
      const { buildings, measured, repeats } = await feeding;
      const future = Date.now() + 600_000;
      for (let partition = 0; partition < partitions; partition += 1)
        await sender.tick(partition, future);
      const closed = async () => {
        const summaries = (await read('summaries')).map(summaryOf);
        const last = Math.max(...measured.map(({ atMs }) => Math.floor(atMs / 60_000) * 60_000));
        const done = summaries.filter(
          (value) => value.windowStartMs === last && value.level === 'building' && value.final,
        );
        return new Set(done.map(({ building }) => building)).size === buildings.length;
      };
      await waitFor('the last window to close', closed);
      // The backlog has a share of its own, and may be taken in later than the ticks that close the windows of what is live.
      const received = async () =>
        (await read('account'))
          .flatMap((value) => accountOf(value).entries)
          .reduce((sum, entry) => sum + countOf(entry.received) + entry.duplicates, 0);
      const sent = measured.length + repeats;
      await waitFor('everything to be taken in', async () => (await received()) >= sent);

      const readings = (await read('readings')).map(readingOf);
      const names = readings.map(
        ({ building, device, seq: number }) => `${building} ${device} ${number}`,
      );
      expect(new Set(names).size).toBe(names.length);
      expect(names.length).toBe(measured.length);

      const summaries = (await read('summaries')).map(summaryOf);
      const latest = (await read('latest')).map(latestOf);
      const account = (await read('account')).map(accountOf);
      const told = [{ summaries, latest, account }];
      const encoded = (all: ReturnType<typeof mergedSummaries>) =>
        Object.fromEntries([...all].map(([key, one]) => [key, encodeAggregate(one)]));
      expect(encoded(mergedSummaries(told))).toEqual(encoded(recomputed(measured, buildings)));

      const entries = account.flatMap((record) => record.entries);
      expect(entries.reduce((sum, entry) => sum + entry.duplicates, 0)).toBe(repeats);
      expect(entries.reduce((sum, entry) => sum + countOf(entry.received), 0)).toBe(
        measured.length,
      );
      const newest = Math.max(...measured.map(({ seq }) => seq));
      const points = [...lastLatest(told).values()].map((record) => record.points['co2']?.value);
      expect(points).toEqual(points.map(() => 400 + (newest % 50)));
      expect(points).toHaveLength(80);
    } finally {
      isOver = true;
      for (const one of started) await one.end('SIGKILL');
    }
  },
);
