import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { topicOf } from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { freePort } from '@domicile/devkit/free-ports.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { FsObjectStore } from '@domicile/lake/fs/fs-object-store.ts';
import { LandedCountsReader } from '@domicile/lake/landed-counts.ts';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServiceProcesses } from './service-process.ts';

const country = parseCountryCode('DE');
const topic = topicOf(country, 'readings');
const quarantine = topicOf(country, 'quarantine');

let kafka: CellKafka;
let producer: IdempotentProducer;
let folder = '';
let processes: ServiceProcesses;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lander-'));
  await writeFile(join(folder, 'password'), 'lander-secret');
  kafka = await CellKafka.start({ country, partitions: 2 });
  processes = new ServiceProcesses(kafka, join(folder, 'password'));
  const client = kafka.admin();
  producer = await IdempotentProducer.open({
    client,
    clientId: 'test',
    topics: [topic, quarantine],
  });
});

afterAll(async () => {
  await processes[Symbol.asyncDispose]();
  await producer.close();
  await kafka[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function startLander(lake: string, env: Record<string, string> = {}): Promise<ChildProcess> {
  const settings = {
    LAKE_DIR: lake,
    LANDER_FLUSH_MS: '200',
    LANDER_AUDIT_MS: '200',
    LANDER_CHECKPOINT_MS: '200',
    LANDER_CHECKPOINT_MANIFESTS: '2',
    ...env,
  };
  return processes.start('lander-main.ts', 'lander', settings);
}

let sent = 0;

/** Readings of two buildings, three values each, over an hour's boundary of receipt. */
async function send(count: number): Promise<void> {
  const hourMs = Date.UTC(2026, 10, 23, 7);
  const acks = Array.from({ length: count }, async () => {
    const seq = sent;
    sent += 1;
    const building = `de-${seq % 2 === 0 ? 'even' : 'odd'}`;
    const reading = {
      building,
      floor: '1',
      room: 'r101',
      device: 'r101-air',
      client: 'acme',
      type: 'air-quality',
      boot: 'b1',
      seq,
      measuredAtMs: hourMs + seq * 100,
      receivedAtMs: hourMs + (seq % 100 === 99 ? 0 : 3_600_000),
      timeSource: 'device',
      values: { co2: 400 + seq, open: seq % 3 === 0, mode: `m${seq % 5}` },
      units: { co2: '[ppm]', open: '1', mode: '1' },
    };
    return producer.send({
      topic,
      key: Buffer.from(building),
      value: Buffer.from(JSON.stringify(reading)),
    });
  });
  await Promise.all(acks);
}

const paths = async (lake: string, part: string): Promise<string[]> => {
  const all = await readdir(lake, { recursive: true }).catch(() => []);
  return all.filter((path) => path.includes(part) && /\.(?:json|parquet)$/.test(path));
};
const firsts = (keys: readonly string[]) => keys.map((key) => key.split('/').slice(-2).join('/'));

/** Plans that no manifest has announced. */
async function openPlans(lake: string): Promise<string[]> {
  const announced = new Set(firsts(await paths(lake, 'landing/readings/v1/_manifest')));
  return firsts(await paths(lake, 'landing/readings/v1/_plans')).filter(
    (key) => !announced.has(key),
  );
}

async function query(sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function landedReadings(lake: string): Promise<number> {
  if ((await paths(lake, 'landing/readings/v1/dt=')).length === 0) return 0;
  const [row] = await query(`select count(distinct (kafka_partition, kafka_offset))::int as found
    from '${lake}/landing/readings/v1/dt=*/hour=*/*.parquet'`);
  return Number(Object.values(row ?? {})[0]);
}

test('killed between any two steps, and beside a second writer, each reading is landed once', async () => {
  const lake = join(folder, 'lake');
  await send(3000);

  const first = await startLander(lake, { LANDER_PAUSE_BEFORE_PARQUET_MS: '30000' });
  await waitFor('a plan', async () => (await openPlans(lake)).length > 0);
  await processes.end(first, 'SIGKILL');
  expect(await paths(lake, '.parquet')).toEqual([]);
  await send(1000);

  const second = await startLander(lake, { LANDER_PAUSE_BEFORE_MANIFEST_MS: '30000' });
  await waitFor('a file', async () => (await paths(lake, '.parquet')).length > 0);
  await processes.end(second, 'SIGKILL');
  expect((await openPlans(lake)).length).toBeGreaterThan(0);
  await send(1000);

  const both = await Promise.all([startLander(lake), startLander(lake)]);
  for (let round = 0; round < 10; round += 1) await send(200);
  await waitFor('both to land', async () => (await landedReadings(lake)) === sent);
  await processes.end(both[0], 'SIGKILL');
  await send(500);
  await waitFor('the other to go on', async () => (await landedReadings(lake)) === sent);
  const counts = new LandedCountsReader(new FsObjectStore(lake));
  const [fromMs, toMs] = [Date.UTC(2026, 10, 23), Date.UTC(2026, 10, 24)];
  await waitFor('the counts to say so', async () => {
    const of = ['de-even', 'de-odd'].map(async (building) =>
      counts.read({ building, fromMs, toMs }),
    );
    return (await Promise.all(of)).reduce((sum, { landed }) => sum + landed, 0) === sent;
  });
  await processes.end(both[1], 'SIGTERM');

  expect(await openPlans(lake)).toEqual([]);
  const [row] = await query(`
    select count(*)::int as landed, count(distinct (building, seq, metric))::int as unique_values,
      count(distinct (kafka_partition, kafka_offset))::int as readings,
      sum(case when metric = 'co2' then value::bigint - 400 - seq end)::int as off,
      count(*) filter (hour(received_at at time zone 'UTC') <> hour)::int as misplaced
    from read_parquet('${lake}/landing/readings/v1/dt=*/hour=*/*.parquet', hive_partitioning = true)`);
  expect(row).toEqual({
    landed: 3 * sent,
    unique_values: 3 * sent,
    readings: sent,
    off: 0,
    misplaced: 0,
  });
});

test('a stop lands what was read, and quarantine lands beside', async () => {
  const lake = join(folder, 'stopped');
  const entry = {
    building: 'de-even',
    device: 'r101-air',
    stream: 'telemetry',
    partition: 0,
    offset: 1,
    pointer: '',
    reason: 'not-json',
    detail: 'x',
    boot: null,
    seq: null,
    receivedAtMs: Date.UTC(2026, 10, 23, 7),
    bytes: 'eA==',
  };
  const value = Buffer.from(JSON.stringify(entry));
  await producer.send({ topic: quarantine, key: Buffer.from('de-even'), value });
  const port = await freePort();
  const lander = await startLander(lake, {
    LANDER_FLUSH_MS: '3600000',
    ADMIN_PORT: `${port}`,
  });
  const lag = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
    const text = (await answer?.text()) ?? '';
    const buffered = /lander_buffered_bytes\{.*\} (\d+)/.exec(text)?.[1] ?? '0';
    return /lander_lag_records\{.*\} 0\n/.test(text) && Number(buffered) > 0;
  };
  await waitFor('everything to be read', lag);
  expect(await paths(lake, '.parquet')).toEqual([]);
  await processes.end(lander, 'SIGTERM');
  expect(await landedReadings(lake)).toBe(sent);
  const rows = await query(`select reason, source_offset::int as source_offset
    from '${lake}/landing/quarantine/v1/dt=*/hour=*/*.parquet'`);
  expect(rows).toEqual([{ reason: 'not-json', source_offset: 1 }]);
});
