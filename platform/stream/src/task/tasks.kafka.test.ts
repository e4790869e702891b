import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccountRecord } from '@domicile/core/account.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import type { LatestRecord } from '@domicile/core/latest.ts';
import type { QuarantineEntry } from '@domicile/core/quarantine.ts';
import type { Reading } from '@domicile/core/reading.ts';
import { accountReportSchema, type StreamName, topicOf } from '@domicile/core/streams.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { ensureTopics, grantRights } from '@domicile/kafka/admin.ts';
import { Joiner } from '@domicile/kafka/parts.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EncodedState } from '../model/partition-state.ts';
import { readConfig, type TaskConfig } from './config.ts';
import { startTasks } from './tasks.ts';
import { buildingOf, Sender } from './test-cell.ts';

let kafka: CellKafka;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tasks-'));
  await writeFile(join(folder, 'password'), 'task-secret');
  kafka = await CellKafka.start({ country: 'DE', partitions: 2 });
});
afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** One cell for each test, on one cluster. */
async function cellOf(country: CountryCode) {
  const client = kafka.admin();
  await ensureTopics({ client, country, partitions: 2, replicas: 1 });
  await grantRights({ client, country, principals: ['task'] });
  const read = async (stream: StreamName): Promise<string[]> => {
    const records = await readTopic(client, topicOf(country, stream));
    return records.flatMap(({ value }) => value?.toString() ?? []);
  };
  const config = (more: Record<string, string> = {}): TaskConfig =>
    readConfig({
      CELL_COUNTRY: country,
      KAFKA_BOOTSTRAP: kafka.client('task').bootstrapBrokers.map(String).join(','),
      KAFKA_USER: 'task',
      KAFKA_PASSWORD_FILE: join(folder, 'password'),
      TASK_GROUP: `task-${country.toLowerCase()}`,
      TASK_TICK_INTERVAL_MS: '500',
      ...more,
    });
  return { read, config, sender: await Sender.open(client, country) };
}

const readingOf = (text: string): Reading => JSON.parse(text);
const summaryOf = (text: string): SummaryRecord => JSON.parse(text);
const latestOf = (text: string): LatestRecord => JSON.parse(text);
const accountOf = (text: string): AccountRecord => JSON.parse(text);
const quarantinedOf = (text: string): QuarantineEntry => JSON.parse(text);

const rethrow = (error: unknown): void => {
  throw error;
};

test('a reading becomes a clean reading, the newest value, a summary and a line of the account', async () => {
  const { read, config, sender } = await cellOf('DE');
  await using _sender = sender;
  const building = 'de-first';
  const registryOffset = await sender.declare(buildingOf('DE', building));
  const at = Date.now() - 200_000;
  const send = (seq: number, values: object) =>
    sender.send(
      { building, device: 'd1', registryOffset },
      { boot: 'b1', seq, at: at + seq * 1000, values },
    );
  await send(0, { temperature: 20, co2: 600 });
  await send(0, { temperature: 20, co2: 600 });
  await send(1, { temperature: 22, co2: 99_999 });
  await send(2, { humidity: 'wet' });
  const devices = [{ device: 'd1', boot: 'b1', next: 3 }];
  const from = { building, device: 'gateway', schema: accountReportSchema, registryOffset };
  await sender.send(from, { devices });
  await using _tasks = await startTasks(config(), rethrow);
  await waitFor('the account', async () => (await read('account')).length > 0);
  await waitFor('summaries', async () =>
    (await read('summaries')).map(summaryOf).some(({ final }) => final),
  );

  const readings = (await read('readings')).map(readingOf);
  expect(readings.map(({ seq, values }) => [seq, values])).toEqual([
    [0, { temperature: 20, co2: 600 }],
    [1, { temperature: 22 }],
  ]);
  expect(readings[0]).toMatchObject({
    floor: '1',
    room: 'r1',
    client: 'acme',
    timeSource: 'device',
  });
  const quarantined = (await read('quarantine')).map(quarantinedOf);
  expect(quarantined.map(({ reason, seq }) => [reason, seq])).toEqual([
    ['out-of-range', null],
    ['value-type-invalid', 2],
  ]);
  const latest = (await read('latest')).map(latestOf).at(-1);
  expect(latest?.points['temperature']).toMatchObject({ value: 22, measuredAtMs: at + 1000 });
  expect(latest?.points['co2']).toMatchObject({ value: 600, measuredAtMs: at });
  const entries = (await read('account')).map(accountOf).flatMap((record) => record.entries);
  expect(entries.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(1);
  // In one range, or in one each where a minute ends between them.
  const numbers = entries.flatMap(({ received }) => received).flat();
  expect(new Set(numbers)).toEqual(new Set([0, 1]));
  expect(entries.flatMap((entry) => entry.quarantined)).toEqual([[2, 2]]);
  expect(entries.flatMap((entry) => entry.reported ?? [])).toEqual([
    { next: 3, dropped: [], closed: false },
  ]);
});

test('the first reading of a new building waits until the registry is read as far as its broker had', async () => {
  const { read, config, sender } = await cellOf('FR');
  await using _sender = sender;
  await using _tasks = await startTasks(config(), rethrow);
  await waitFor('ticks to be taken in', async () => (await read('journal')).length > 1);
  const building = 'fr-new';
  const payload = { boot: 'b', seq: 0, at: Date.now(), values: { temperature: 20 } };
  // One partition of the registry is empty so far, so its first record gets this offset.
  await sender.send({ building, device: 'd1', registryOffset: 0n }, payload);
  await sleep(1_500);
  expect(await read('quarantine')).toEqual([]);
  expect(await read('readings')).toEqual([]);
  expect(await sender.declare(buildingOf('FR', building))).toBe(0n);
  await waitFor('the reading', async () => (await read('readings')).length > 0);
  expect(await read('quarantine')).toEqual([]);
});

test('of an erased building nothing stays in the state, also not after a take-over; of others all does', async () => {
  const { read, config, sender } = await cellOf('NL');
  await using _sender = sender;
  const [gone, kept] = ['nl-gone', 'nl-kept'];
  const settings = config({ TASK_SNAPSHOT_INTERVAL_MS: '500' });
  const record = buildingOf('NL', gone);
  const offsets = [await sender.declare(record), await sender.declare(buildingOf('NL', kept))];
  const at = Date.now() - 1_000;
  for (const [index, building] of [gone, kept].entries())
    await sender.send(
      { building, device: 'd1', registryOffset: offsets[index] ?? 0n },
      { boot: 'b', seq: 0, at, values: { temperature: 20.125 } },
    );
  const inState = async () => buildingsInState('NL');
  {
    await using _tasks = await startTasks(settings, rethrow);
    await waitFor('both in the state', async () => {
      const buildings = await inState();
      return buildings.includes(gone) && buildings.includes(kept);
    });
    // Offboarded alone it is kept: it may come back, and its numbers with it.
    await sender.declare({ ...record, state: 'offboarded' });
    await sleep(2_000);
    expect(await inState()).toContain(gone);
    await sender.declare({ ...record, state: 'offboarded', erased: true });
    await waitFor('it to be forgotten', async () => !(await inState()).includes(gone));
  }
  await using _tasks = await startTasks(settings, rethrow);
  const next = { boot: 'b', seq: 1, at: at + 1, values: { temperature: 21 } };
  await sender.send({ building: kept, device: 'd1', registryOffset: offsets[1] ?? 0n }, next);
  await waitFor('a reading after it', async () => (await read('readings')).length === 3);
  await sleep(1_500);
  expect(await inState()).toEqual([kept]);
});

/** Named by the newest snapshot of each partition. */
async function buildingsInState(country: CountryCode): Promise<string[]> {
  const joiners = new Map<number, Joiner>();
  const newest = new Map<number, string>();
  for (const record of await readTopic(kafka.admin(), topicOf(country, 'state'))) {
    const joiner = joiners.get(record.partition) ?? new Joiner();
    joiners.set(record.partition, joiner);
    const whole = joiner.add(record);
    if (whole) newest.set(record.partition, whole.text);
  }
  return [...newest.values()].flatMap((text) => {
    const { buildings }: EncodedState = JSON.parse(text);
    return buildings.map(([id]) => id);
  });
}

test('a state without its positions stops the task and is not begun anew', async () => {
  const { read, config, sender } = await cellOf('US');
  await using _sender = sender;
  const building = 'us-a';
  const registryOffset = await sender.declare(buildingOf('US', building));
  await sender.send(
    { building, device: 'd1', registryOffset },
    { boot: 'b', seq: 0, values: { temperature: 20 } },
  );
  {
    await using _tasks = await startTasks(config({ TASK_SNAPSHOT_INTERVAL_MS: '500' }), rethrow);
    // The other partition, which has nothing to take in, writes snapshots too.
    await waitFor('its state', async () => (await buildingsInState('US')).includes(building));
  }
  const failure = Promise.withResolvers<unknown>();
  await using _other = await startTasks(config({ TASK_GROUP: 'task-other' }), failure.resolve);
  const error = await failure.promise;
  expect(error instanceof PlatformError && error.code).toBe('STATE_LOST');
  expect(await read('readings')).toHaveLength(1);
});

test('a backlog in small and in large records is taken in commits that end in time, each reading once', async () => {
  const { read, config, sender } = await cellOf('AT');
  await using _sender = sender;
  const building = 'at-a';
  const registryOffset = await sender.declare(buildingOf('AT', building));
  const at = Date.now() - 7_200_000;
  const send = async (device: string, firstSeq: number, count: number): Promise<void> => {
    const readings = Array.from({ length: count }, (_, index) => {
      const seq = firstSeq + index;
      return { boot: 'b', seq, at: at + seq * 100, values: { temperature: seq % 30 } };
    });
    await sender.send({ building, device, stream: 'backfill', registryOffset }, readings);
  };
  for (let seq = 0; seq < 1000; seq += 1) await send('d1', seq, 1);
  for (let message = 0; message < 40; message += 1) await send('d2', message * 1000, 1000);
  await using tasks = await startTasks(config(), rethrow);
  const topic = topicOf('AT', 'readings');
  // Ends count the marks of commits too, so only when they are far enough is it worth to read everything.
  const end = async () =>
    (await endOffsets({ client: kafka.admin(), topic })).reduce((sum, one) => sum + one, 0n);
  const isThere = async () => (await end()) >= 41_000n && (await read('readings')).length >= 41_000;
  await waitFor('all readings', isThere, 100_000);
  const readings = (await read('readings')).map(readingOf);
  const names = readings.map(({ device, seq }) => `${device} ${seq}`);
  expect(new Set(names).size).toBe(41_000);
  expect(names).toHaveLength(41_000);
  const metrics = await (await fetch(`${tasks.adminUrl}/metrics`)).text();
  // A machine that stands still for seconds may cost a commit or two; without a measure of what goes into one, each is.
  const [, aborted] = /task_commits_aborted_total\{[^}]*\} (\d+)/.exec(metrics) ?? [];
  expect(Number(aborted)).toBeLessThanOrEqual(2);
}, 150_000);
