import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AccountRecord } from '@domicile/core/account.ts';
import type { LatestRecord } from '@domicile/core/latest.ts';
import type { QuarantineEntry } from '@domicile/core/quarantine.ts';
import type { Reading } from '@domicile/core/reading.ts';
import { type StreamName, topicOf } from '@domicile/core/streams.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from './config.ts';
import { startTasks } from './tasks.ts';
import { buildingOf, Sender } from './test-cell.ts';

const country = 'DE';
let kafka: CellKafka;
let folder: string;
let passwordFile: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tasks-'));
  passwordFile = join(folder, 'password');
  await writeFile(passwordFile, 'task-secret');
  kafka = await CellKafka.start({ country, partitions: 2 });
});
afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function read<Value>(stream: StreamName): Promise<Value[]> {
  const records = await readTopic(kafka.admin(), topicOf(country, stream));
  return records.map(({ value }): Value => JSON.parse(String(value)));
}

function bootstrapOf({ bootstrapBrokers }: ClientOptions): string {
  return bootstrapBrokers.map(String).join(',');
}

function configOf(instance: string, more: Record<string, string> = {}) {
  return readConfig({
    CELL_COUNTRY: country,
    KAFKA_BOOTSTRAP: bootstrapOf(kafka.client('task')),
    KAFKA_USER: 'task',
    KAFKA_PASSWORD_FILE: passwordFile,
    TASK_INSTANCE_ID: instance,
    TASK_GROUP: `task-${instance}`,
    TASK_TICK_INTERVAL_MS: '500',
    ...more,
  });
}

test('a reading becomes a clean reading, the newest value, a summary and a line of the account', async () => {
  await using sender = await Sender.open(kafka.admin(), country);
  const building = 'de-first';
  const registryOffset = await sender.declare(buildingOf(country, building));
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
  const failures: unknown[] = [];
  await using _tasks = await startTasks(configOf('one'), (error) => failures.push(error));
  await waitFor('the account', async () => (await read('account')).length > 0);
  await waitFor('closed windows', async () =>
    (await read<SummaryRecord>('summaries')).some(({ final, kind }) => final || kind === 'partial'),
  );

  const readings = await read<Reading>('readings');
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
  const quarantined = await read<QuarantineEntry>('quarantine');
  expect(quarantined.map(({ reason, seq }) => [reason, seq])).toEqual([
    ['out-of-range', null],
    ['value-type-invalid', 2],
  ]);
  const latest = (await read<LatestRecord>('latest')).at(-1);
  expect(latest?.points['temperature']).toMatchObject({ value: 22, measuredAtMs: at + 1000 });
  expect(latest?.points['co2']).toMatchObject({ value: 600, measuredAtMs: at });
  const entries = (await read<AccountRecord>('account')).flatMap((record) => record.entries);
  expect(entries.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(1);
  expect(entries.flatMap(({ received }) => received)).toEqual([[0, 1]]);
  expect(entries.flatMap((entry) => entry.quarantined)).toEqual([[2, 2]]);
  expect(failures).toEqual([]);
});
