import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import { cut } from '@domicile/kafka/parts.ts';
import { readErasureReport } from '@domicile/lake/erasure/erasure.ts';
import { keyClient, parseGcsKey } from '@domicile/lake/gcs/gcs-key.ts';
import { LandedManifests, readManifest } from '@domicile/lake/landed-manifests.ts';
import { LandingContent } from '@domicile/lake/landing-content.ts';
import { LandingZone } from '@domicile/lake/landing-zone.ts';
import { openBuckets } from '@domicile/lake/open-lake.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const country = parseCountryCode('DE');
const partitions = 8;
let kafka: CellKafka;
let gcs: GcsEmulator;
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eraser-'));
  [kafka, gcs] = await Promise.all([
    CellKafka.start({ country, partitions }),
    GcsEmulator.start({ identities: ['eraser'], admins: ['eraser'] }),
  ]);
  await writeFile(join(folder, 'key.json'), gcs.keyOf('eraser'));
  await writeFile(join(folder, 'password'), String(kafka.client('eraser').sasl?.password));
  for (const name of ['landing-de', 'serving-de']) await makeBucket(name);
});
afterAll(async () => {
  await gcs[Symbol.asyncDispose]();
  await kafka.cluster.stop();
  await rm(folder, { recursive: true, force: true });
});

async function makeBucket(name: string): Promise<void> {
  const { token } = await keyClient(parseGcsKey(gcs.keyOf('eraser'))).getAccessToken();
  const made = await fetch(`${gcs.url}/storage/v1/b?project=p`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token ?? ''}` },
    body: JSON.stringify({ name, location: 'europe-west3' }),
  });
  if (!made.ok) throw new Error(await made.text());
}

function lake() {
  return openBuckets({
    store: 'gcs',
    endpoint: gcs.url,
    landingBucket: 'landing-de',
    servingBucket: 'serving-de',
    secret: { 'credentials.json': gcs.keyOf('eraser') },
  });
}

/** As the Job runs it: a process with the eraser's credentials alone. */
function erase(building: string, pass: string) {
  return run(process.execPath, [eraserMain], { env: settingsOf(building, pass) });
}

const eraserMain = 'operators/src/eraser-main.ts';

function settingsOf(building: string, pass: string): NodeJS.ProcessEnv {
  return {
    CELL_COUNTRY: 'DE',
    ERASER_BUILDING: building,
    ERASER_ID: 'uid-1',
    ERASER_PASS: pass,
    ERASER_PARTITIONS: `${partitions}`,
    ERASER_GRACE_MS: '0',
    ERASER_SOFT_DELETE_DAYS: '7',
    KAFKA_BOOTSTRAP: kafka.bootstrap,
    KAFKA_USER: 'eraser',
    KAFKA_PASSWORD_FILE: join(folder, 'password'),
    LAKE_STORE: 'gcs',
    LAKE_ENDPOINT: gcs.url,
    LAKE_LANDING_BUCKET: 'landing-de',
    LAKE_SERVING_BUCKET: 'serving-de',
    LAKE_CREDENTIALS_FILE: join(folder, 'key.json'),
  };
}

/** As the task of a partition writes it: a snapshot that names these buildings. */
async function snapshot(partition: number, commit: number, buildings: readonly string[]) {
  const topic = 'de.state.v1';
  const producer = await IdempotentProducer.open({
    client: kafka.admin(),
    clientId: 'test-task',
    topics: [topic],
  });
  const state = { version: 1, commit, buildings: buildings.map((id) => [id, 0, 0, [], [], []]) };
  for (const { value, headers } of cut(commit, JSON.stringify(state)))
    await producer.send({
      topic,
      partition,
      key: Buffer.from(`${partition}/${headers.part}`),
      value,
      headers: { ...headers },
    });
  await producer.close();
}

/** Kills it as soon as it says so. */
async function killedAt(building: string, said: string): Promise<void> {
  const child = spawn(process.execPath, [eraserMain], {
    env: settingsOf(building, 'erase'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let told = '';
  for await (const chunk of child.stdout) {
    told += String(chunk);
    if (told.includes(said)) child.kill('SIGKILL');
  }
  await ended;
  expect(told).toContain(said);
}

/** Two buildings of one partition. */
function neighbours(): readonly [string, string, number] {
  const gone = freshName('de');
  const partition = partitionOf(Buffer.from(gone), partitions);
  for (;;) {
    const kept = freshName('de');
    if (partitionOf(Buffer.from(kept), partitions) === partition) return [gone, kept, partition];
  }
}

test('as a process with its own identity it erases from buckets and from the newest values', async () => {
  const [gone, kept, partition] = neighbours();
  const { store } = await lake();
  const content = new LandingContent({ country, stream: 'readings', partition, first: 0n });
  for (let offset = 0; offset < 10; offset += 1)
    content.add({ offset: BigInt(offset), value: Buffer.from(JSON.stringify(reading(offset))) });
  function reading(offset: number) {
    const atMs = Date.UTC(2026, 10, 23, 7) + offset;
    return {
      building: offset % 2 === 0 ? gone : kept,
      floor: '1',
      room: 'r1',
      device: 'd1',
      client: 'acme',
      type: 'air-quality',
      timeSource: 'cell',
      boot: null,
      seq: null,
      measuredAtMs: atMs,
      receivedAtMs: atMs,
      values: { co2: 1 },
      units: {},
    };
  }
  const zone = new LandingZone({ store, country, stream: 'readings' });
  await zone.complete(await zone.take(content), content);
  const producer = await IdempotentProducer.open({
    client: kafka.admin(),
    clientId: 'test',
    topics: ['de.latest.v1'],
  });
  for (const key of [`${gone}/d1`, `${gone}/d2`, `${kept}/d1`, `${gone}x/d1`])
    await producer.send({
      topic: 'de.latest.v1',
      partition,
      key: Buffer.from(key),
      value: Buffer.from('{}'),
    });
  await producer.close();
  await snapshot(partition, 1, [gone, kept]);

  // The task holds it yet: the pass waits, and its pod may go meanwhile.
  await killedAt(gone, 'Waits for the task to forget it');
  expect(await readErasureReport(store, { building: gone, id: 'uid-1', pass: 'erase' })).toBe(
    undefined,
  );
  await snapshot(partition, 2, [kept]);
  const { stdout } = await erase(gone, 'erase');
  expect(stdout).toContain('Pass of an erasure done');
  const report = await readErasureReport(store, { building: gone, id: 'uid-1', pass: 'erase' });
  expect(report?.counts['landing/readings']).toMatchObject({ objects: 1, rows: 5, missing: 0 });
  expect(report?.softDeleteDays).toBe(7);
  // Of both processes together.
  expect(report?.counts).toMatchObject({
    'kafka/latest': { objects: 2 },
    'kafka/state': { objects: 1 },
  });
  const landed = await LandedManifests.open({ store, partitions });
  const all = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
  expect(landed.files({ building: gone, ...all })).toEqual([]);
  expect(landed.files({ building: kept, ...all })).toMatchObject([{ first: 0n, last: 9n }]);
  const manifest = await readManifest(store, { stream: 'readings', partition, first: 0n });
  expect(manifest?.files.flatMap(({ buildings }) => buildings)).toMatchObject([
    { building: kept, rows: 5, readings: 5 },
  ]);
  const live = [...(gcs.buckets.get('landing-de')?.live.keys() ?? [])];
  expect(live.filter((key) => key.endsWith('.parquet'))).toEqual([
    expect.stringMatching(/-e[0-9a-f]{24}\.parquet$/),
  ]);
  const latest = await readTopic(kafka.admin(), 'de.latest.v1');
  const last = new Map(latest.map(({ key, value }) => [String(key), value]));
  expect([last.get(`${gone}/d1`), last.get(`${gone}/d2`)]).toEqual([null, null]);
  expect([last.get(`${kept}/d1`), last.get(`${gone}x/d1`)].map(String)).toEqual(['{}', '{}']);

  // Again, as by a Job that was restarted, and once more as the verification.
  await erase(gone, 'erase');
  await erase(gone, 'verify');
  const verified = await readErasureReport(store, { building: gone, id: 'uid-1', pass: 'verify' });
  expect(verified?.counts['landing/readings']).toMatchObject({ objects: 0 });
  expect(verified?.counts).toMatchObject({
    'kafka/latest': { objects: 0 },
    'kafka/state': { objects: 0 },
  });
  expect((await readTopic(kafka.admin(), 'de.latest.v1')).length).toBe(latest.length);
});
