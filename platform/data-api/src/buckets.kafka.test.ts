import { fail } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import { rawList } from '@domicile/core/answers/raw.ts';
import { residencyAnswer } from '@domicile/core/answers/residency.ts';
import { summaryList } from '@domicile/core/answers/serving.ts';
import {
  headers,
  type Principal,
  type StreamName,
  streams,
  topicOf,
} from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { askPython } from '@domicile/devkit/python-oracle.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { identityOf, openBucketAdmin } from '@domicile/lake/admin/open-bucket-admin.ts';
import { openBuckets } from '@domicile/lake/open-lake.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { headersOf, secret, testBuildings } from './test-support.ts';

// Lander, serving builder and both APIs as processes over buckets of the emulator, each with its own key, on real Kafka.

const root = resolve(import.meta.dirname, '../../..');
const region = 'europe-west3';
const buckets = { landing: 'lake-landing-de', serving: 'lake-serving-de' } as const;
const identities = ['admin', 'writer', 'serving-reader', 'raw-reader'];
const parts = new AsyncDisposableStack();
let kafka: CellKafka;
let gcs: GcsEmulator;
let producer: IdempotentProducer;
let folder = '';
let serving: Api;
let raw: Api;

interface Api {
  readonly url: string;
  readonly adminUrl: string;
}

beforeAll(async () => {
  kafka = parts.use(await CellKafka.start({ country: 'DE', partitions: 2 }));
  gcs = parts.use(await GcsEmulator.start({ identities, admins: ['admin'] }));
  folder = await realpath(await mkdtemp(join(tmpdir(), 'buckets-')));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  await gcs.writeKeys(folder);
  await writeFile(join(folder, 'secret'), secret);
  const names = ['registry', 'readings', 'summaries'] as const;
  const topics = names.map((stream) => topicOf('DE', stream));
  producer = await IdempotentProducer.open({ client: kafka.admin(), clientId: 'test', topics });
  parts.defer(() => producer.close());
  await makeBuckets();
  const lander = await start('platform/stream/src/lander-main.ts', 'lander', {
    ...lakeEnv('writer', ['landing', 'serving']),
    LANDER_FLUSH_MS: '200',
    LANDER_AUDIT_MS: '500',
  });
  const builder = await start('platform/stream/src/serving-builder-main.ts', 'serving-builder', {
    ...lakeEnv('writer', ['serving']),
    SERVING_FLUSH_MS: '200',
  });
  // Whose output nobody reads is held up by it.
  for (const child of [lander, builder]) child.stdout?.resume();
  raw = await listening(
    await start('platform/data-api/src/raw-main.ts', 'raw', {
      ...lakeEnv('raw-reader', ['landing', 'serving']),
      RAW_INTERNAL_SECRET_FILE: join(folder, 'secret'),
      RAW_CACHE_DIR: join(folder, 'cache'),
    }),
  );
  serving = await listening(
    await start('platform/data-api/src/serving-main.ts', 'serving', {
      ...lakeEnv('serving-reader', ['serving']),
      SERVING_INTERNAL_SECRET_FILE: join(folder, 'secret'),
      SERVING_RESIDENCY_EVERY_MS: '500',
      SERVING_PLACES: JSON.stringify({ lakeLocation: region }),
    }),
  );
  for (const building of testBuildings()) await write('registry', building.id, building);
});

afterAll(() => parts.disposeAsync());

function keyOf(name: string): Record<string, string> {
  return { 'credentials.json': gcs.keyOf(name) };
}

async function makeBuckets(): Promise<void> {
  const admin = await openBucketAdmin({
    store: 'gcs',
    endpoint: gcs.url,
    region,
    secret: keyOf('admin'),
  });
  const identity = (name: string) => identityOf('gcs', keyOf(name)) ?? fail(name);
  for (const part of ['landing', 'serving'] as const) {
    const readers = part === 'serving' ? ['serving-reader', 'raw-reader'] : ['raw-reader'];
    await admin.create(buckets[part], {
      location: region,
      uniformAccess: true,
      publicAccessPrevented: true,
      versioning: false,
      softDeleteDays: 7,
      noncurrentDays: undefined,
      deleteAfterDays: undefined,
      lockedDays: undefined,
      labels: {},
      grants: [
        { identity: identity('writer'), right: 'write' },
        ...readers.map((name) => ({ identity: identity(name), right: 'read' as const })),
      ],
    });
  }
}

function lakeEnv(name: string, opened: readonly (keyof typeof buckets)[]) {
  return {
    LAKE_STORE: 'gcs',
    LAKE_ENDPOINT: gcs.url,
    LAKE_CREDENTIALS_FILE: join(folder, `${name}.json`),
    ...(opened.includes('landing') && { LAKE_LANDING_BUCKET: buckets.landing }),
    ...(opened.includes('serving') && { LAKE_SERVING_BUCKET: buckets.serving }),
  };
}

async function start(
  main: string,
  principal: Principal,
  env: Readonly<Record<string, string>>,
): Promise<ChildProcess> {
  const passwordFile = join(folder, `${principal}.password`);
  await writeFile(passwordFile, `${principal}-secret`);
  const child = spawn(process.execPath, [join(root, main)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      CELL_COUNTRY: 'DE',
      KAFKA_BOOTSTRAP: kafka.bootstrap,
      KAFKA_USER: principal,
      KAFKA_PASSWORD_FILE: passwordFile,
      ADMIN_PORT: '0',
      ...env,
    },
  });
  parts.defer(() => ended(child));
  return child;
}

async function listening(child: ChildProcess): Promise<Api> {
  const lines = createInterface({ input: child.stdout ?? fail('no output') });
  for await (const line of lines) {
    const read = z.object({ url: z.string(), adminUrl: z.string() }).safeParse(JSON.parse(line));
    if (read.success) {
      lines.on('line', () => undefined).resume();
      return read.data;
    }
  }
  throw new Error('The API did not start');
}

async function ended(child: ChildProcess): Promise<void> {
  const { promise, resolve: done } = Promise.withResolvers<void>();
  child.once('exit', () => done());
  if (child.exitCode === null) child.kill('SIGTERM');
  else done();
  await promise;
}

async function write(stream: StreamName, key: string, value: unknown): Promise<void> {
  await producer.send({
    topic: topicOf('DE', stream),
    key: Buffer.from(key),
    value: Buffer.from(JSON.stringify(value)),
    headers: { [headers.schema]: streams[stream].schema },
  });
}

const startMs = Date.UTC(2026, 10, 23, 7);

async function writeReading(building: string, seq: number): Promise<void> {
  await write('readings', building, {
    building,
    floor: '1',
    room: 'r1',
    device: 'r1-air',
    client: 'acme',
    type: 'air-quality',
    boot: 'b',
    seq,
    measuredAtMs: startMs + seq * 1000,
    receivedAtMs: startMs + seq * 1000,
    timeSource: 'device',
    values: { temperature: seq },
    units: { temperature: 'Cel' },
  });
}

async function writeMinute(minute: number): Promise<void> {
  const aggregate = emptyAggregate();
  addValue(aggregate, 400 + minute);
  await write('summaries', 'de-one', {
    building: 'de-one',
    windowStartMs: startMs + minute * 60_000,
    level: 'building',
    id: 'de-one',
    kind: 'window',
    revision: 1,
    final: true,
    offset: -1,
    metrics: { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } },
  });
}

async function json(base: string, path: string, claims: Parameters<typeof headersOf>[0] = {}) {
  const answer = await fetch(`${base}${path}`, { headers: headersOf(claims) });
  const body: unknown = await answer.json();
  return body;
}

const period = 'from=2026-11-22T23:00:00Z&to=2026-11-23T23:00:00Z';
const analyst = { client: '*', scopes: new Set(['raw:read'] as const) };

async function rawSeqs(): Promise<string[]> {
  const path = `/v1/raw/readings?building=de-one,de-two&${period}&limit=10000`;
  const { rows } = rawList.parse(await json(raw.url, path, analyst));
  return rows.map(({ building, seq }) => `${building} ${seq}`).toSorted();
}

async function gauge({ adminUrl }: Api, name: string): Promise<string | undefined> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1];
}

test('what lands in the bucket is at the raw endpoint as before, each reading once, through an outage of the store', async () => {
  const sent: string[] = [];
  for (let seq = 0; seq < 300; seq += 1) {
    const building = seq % 2 === 0 ? 'de-one' : 'de-two';
    await writeReading(building, seq);
    sent.push(`${building} ${seq}`);
    if (seq === 150) gcs.faults.failNext(30);
    if (seq === 200) gcs.faults.loseNextAnswers(5);
  }
  sent.sort();
  await expect.poll(rawSeqs, { timeout: 40_000 }).toEqual(sent);
  await expect.poll(() => gauge(raw, 'raw_tail_bytes'), { timeout: 30_000 }).toBe('0');
  expect(await rawSeqs()).toEqual(sent);
  expect((await readdir(join(folder, 'cache', 'landed'))).length).toBeGreaterThan(0);
});

test('a stranger to our code reads the same readings in the files of the bucket', async () => {
  const copy = join(folder, 'copy');
  const all = [...(gcs.buckets.get(buckets.landing)?.live.values() ?? [])];
  for (const object of all.filter(({ name }) => name.endsWith('.parquet'))) {
    await mkdir(dirname(join(copy, object.name)), { recursive: true });
    await writeFile(join(copy, object.name), object.content());
  }
  expect(await askPython(readLanding, copy)).toEqual({ rows: 300, readings: 300, sum: 44_850 });
});

const readLanding = `
import sys, json, pyarrow.dataset as ds, pyarrow.compute as pc
table = ds.dataset(sys.argv[1] + '/landing/readings/v1', format='parquet').to_table()
places = set(zip(table['kafka_partition'].to_pylist(), table['kafka_offset'].to_pylist()))
print(json.dumps({'rows': table.num_rows, 'readings': len(places), 'sum': int(pc.sum(table['value']).as_py())}))
`;

test('summaries are served from their bucket', async () => {
  for (let minute = 0; minute < 30; minute += 1) await writeMinute(minute);
  const rows = async () => {
    const path = `/v1/buildings/de-one/summaries?${period}&interval=PT15M&level=building`;
    return summaryList.parse(await json(serving.url, path)).rows.map(({ count }) => count);
  };
  await expect.poll(rows, { timeout: 40_000 }).toEqual([15, 15]);
  await expect.poll(() => gauge(serving, 'serving_tail_windows'), { timeout: 40_000 }).toBe('0');
  expect(await rows()).toEqual([15, 15]);
  const landed = async () => {
    const answer = await json(serving.url, `/v1/buildings/de-one/account?${period}`);
    return z.object({ totals: z.object({ landed: z.number() }) }).parse(answer).totals.landed;
  };
  await expect.poll(landed, { timeout: 40_000 }).toBe(150);
});

test("the serving reader's key opens no landing bucket, and the process is given none", async () => {
  const opened = (landingBucket?: string) =>
    openBuckets({
      store: 'gcs',
      endpoint: gcs.url,
      secret: keyOf('serving-reader'),
      landingBucket,
      servingBucket: buckets.serving,
    });
  const [key = ''] = gcs.buckets.get(buckets.landing)?.live.keys() ?? [];
  const refused = gcs.counts.refused;
  const { store } = await opened();
  await expect(store.get(key)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(gcs.counts.refused).toBe(refused);
  const { store: other } = await opened(buckets.landing);
  for (const work of [() => other.get(key), () => other.list('landing/', { limit: 1 })])
    await expect(work()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(gcs.counts.refused).toBeGreaterThan(refused);
  const pointer = 'serving/summaries/pt1m/v1/latest.json';
  expect(await other.get(pointer)).toBeDefined();
  await expect(other.replacePointer(pointer, Buffer.from('{}'))).rejects.toMatchObject({
    code: 'FORBIDDEN',
  });
});

test('the bucket proves its place, and a place abroad is told', async () => {
  const claims = { scopes: new Set(['residency:read'] as const) };
  const lake = async () => {
    const answer = residencyAnswer.safeParse(await json(serving.url, '/v1/residency', claims));
    return answer.data?.items.find(({ what }) => what === 'lake');
  };
  await waitFor('the proof', async () => (await lake()) !== undefined);
  expect(await lake()).toMatchObject({ where: region, ok: true });
  const bucket = gcs.buckets.get(buckets.serving) ?? fail('no bucket');
  bucket.fields = { ...bucket.fields, location: 'EUROPE-WEST4' };
  await expect.poll(lake, { timeout: 10_000 }).toMatchObject({ where: 'europe-west4', ok: false });
});
