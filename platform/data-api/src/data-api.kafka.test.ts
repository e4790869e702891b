import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { rawList } from '@domicile/core/answers/raw.ts';
import { residencyAnswer } from '@domicile/core/answers/residency.ts';
import { deviceList, latestList, summaryList } from '@domicile/core/answers/serving.ts';
import { topicOf } from '@domicile/core/streams.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { FsObjectStore } from '@domicile/lake/fs/fs-object-store.ts';
import { LandingContent } from '@domicile/lake/landing-content.ts';
import { LandingZone } from '@domicile/lake/landing-zone.ts';
import { UnflushedSummaries } from '@domicile/lake/model/unflushed-summaries.ts';
import { SummaryWriter } from '@domicile/lake/summary-writer.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig as readRawConfig } from './raw/config.ts';
import { type RawService, startRaw } from './raw/start.ts';
import { type Api, askJson, gaugeOf, minuteOf, readingOf, root, TestCell } from './test-cell.ts';
import { headersOf } from './test-support.ts';

// Real Kafka with rights: the serving API as it runs in a cell, in a process that may read code and serving/ alone.

const parts = new AsyncDisposableStack();
let cell: TestCell;
let serving: Api;
let raw: RawService;
let lakeDir = '';

beforeAll(async () => {
  cell = parts.use(await TestCell.start());
  const secretFile = join(cell.folder, 'secret');
  lakeDir = join(await mkdtemp(join(cell.folder, 'lake-')), 'lake');
  await mkdir(join(lakeDir, 'serving'), { recursive: true });
  await mkdir(join(lakeDir, 'landing'));
  const rawConfig = readRawConfig({
    ...(await cell.settingsOf('raw')),
    RAW_INTERNAL_SECRET_FILE: secretFile,
    RAW_SCRATCH_DIR: cell.folder,
    LAKE_DIR: lakeDir,
  });
  raw = parts.use(
    await startRaw(rawConfig, (error) => {
      throw error;
    }),
  );
  const readable = [root, join(lakeDir, 'serving'), secretFile];
  const { KAFKA_PASSWORD_FILE: passwordFile = '' } = await cell.settingsOf('serving');
  serving = await cell.startApi({
    main: 'platform/data-api/src/serving-main.ts',
    principal: 'serving',
    nodeArgs: [
      '--permission',
      ...[...readable, passwordFile].map((path) => `--allow-fs-read=${path}`),
    ],
    env: {
      SERVING_INTERNAL_SECRET_FILE: secretFile,
      LAKE_DIR: lakeDir,
      SERVING_RESIDENCY_EVERY_MS: '500',
      SERVING_PLACES: JSON.stringify({
        kafkaHosts: ['127.0.0.1', 'localhost'],
        lakeRoot: lakeDir,
        processes: { raw: raw.adminUrl },
      }),
    },
  });
  await cell.writeBuildings();
});

afterAll(() => parts.disposeAsync());

test('both are ready when they have read their streams', async () => {
  for (const { adminUrl } of [raw, serving])
    await expect
      .poll(async () => (await fetch(`${adminUrl}/readyz`)).status, { timeout: 20_000 })
      .toBe(200);
});

test('the newest value is there within 2 s of its record, and pushed', async () => {
  const { url } = serving;
  await expect
    .poll(async () => JSON.stringify(await askJson(url, '/v1/buildings', {})), { timeout: 10_000 })
    .toContain('de-one');
  const stream = await fetch(`${url}/v1/buildings/de-one/live`, { headers: headersOf() });
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  await reader?.read();
  const now = Date.now();
  const point = { value: 21, unit: 'Cel', measuredAtMs: now, receivedAtMs: now, offset: 1 };
  const where = { building: 'de-one', device: 'r1-air', floor: '1', room: 'r1' };
  await cell.write('latest', 'de-one/r1-air', { ...where, points: { temperature: point } });
  const pushed = (await reader?.read())?.value ?? '';
  expect(pushed).toContain('event: latest');
  expect(Date.now() - now).toBeLessThan(2_000);
  await reader?.cancel();
  const { rows } = latestList.parse(await askJson(url, '/v1/buildings/de-one/latest', {}));
  expect(rows).toMatchObject([{ device: 'r1-air', value: 21 }]);
  const devices = deviceList.parse(await askJson(url, '/v1/buildings/de-one/devices', {}));
  expect(devices.rows[0]).toMatchObject({ device: 'r1-air', state: 'seen' });
});

test('a reading is at the raw endpoint within 5 s, once', async () => {
  const from = Date.now();
  for (let seq = 0; seq < 5; seq += 1)
    await cell.write('readings', 'de-two', readingOf('de-two', seq, from + seq));
  const range = `from=${new Date(from).toISOString()}&to=${new Date(from + 60_000).toISOString()}`;
  const claims = { client: '*', scopes: new Set(['raw:read'] as const) };
  const seqs = async () => {
    const body = await askJson(raw.url, `/v1/raw/readings?building=de-two&${range}`, claims);
    return rawList.parse(body).rows.map(({ seq }) => seq);
  };
  await expect.poll(seqs, { timeout: 5_000 }).toEqual([0, 1, 2, 3, 4]);
});

test('readings that land are there as before, once', async () => {
  const claims = { client: '*', scopes: new Set(['raw:read'] as const) };
  const range = 'from=2026-06-01T00:00:00Z&to=2026-06-02T00:00:00Z';
  const rows = async () => {
    const body = await askJson(raw.url, `/v1/raw/readings?building=de-one&${range}`, claims);
    return rawList.parse(body).rows;
  };
  for (let seq = 0; seq < 20; seq += 1)
    await cell.write('readings', 'de-one', readingOf('de-one', seq, Date.UTC(2026, 5, 1) + seq));
  await expect.poll(async () => (await rows()).length, { timeout: 5_000 }).toBe(20);
  const before = await rows();
  const tailBytes = () => gaugeOf(raw.adminUrl, 'raw_tail_bytes');
  expect(await tailBytes()).toBeGreaterThan(0);
  await landAll();
  await expect.poll(tailBytes, { timeout: 10_000 }).toBe(0);
  expect(await rows()).toEqual(before);
});

/** As the lander does. */
async function landAll(): Promise<void> {
  const records = await readTopic(cell.kafka.admin(), topicOf('DE', 'readings'));
  const store = new FsObjectStore(lakeDir);
  const zone = new LandingZone({ store, country: 'DE', stream: 'readings' });
  for (const [partition, of] of Map.groupBy(records, (record) => record.partition)) {
    const origin = { country: 'DE', stream: 'readings', partition, first: 0n } as const;
    const content = new LandingContent(origin);
    for (const { offset, value } of of) content.add({ offset, value });
    await zone.complete(await zone.take(content), content);
  }
}

test('summaries are the same before and after a snapshot, and say how far they go', async () => {
  const start = Date.UTC(2026, 10, 23, 7);
  const records = Array.from({ length: 90 }, (_, minute) =>
    minuteOf(start + minute * 60_000, 400 + minute),
  );
  for (const one of records) await cell.write('summaries', 'de-one', one);
  const period = 'from=2026-11-22T23:00:00Z&to=2026-11-23T23:00:00Z';
  const answers = async () => {
    const all = [];
    for (const interval of ['PT1M', 'PT15M', 'PT1H', 'P1D']) {
      const path = `/v1/buildings/de-one/summaries?${period}&interval=${interval}`;
      const { rows, through } = summaryList.parse(await askJson(serving.url, path, {}));
      all.push({ through, rows: rows.map(({ revision: _revision, ...row }) => row) });
    }
    return all;
  };
  await expect.poll(async () => (await answers())[0]?.rows.length, { timeout: 5_000 }).toBe(90);
  const before = await answers();
  expect(before.map(({ rows }) => rows.length)).toEqual([90, 6, 2, 1]);
  expect(before[0]?.through).toBe('2026-11-23T08:30:00.000Z');
  const tailWindows = () => gaugeOf(serving.adminUrl, 'serving_tail_windows');
  expect(await tailWindows()).toBe(90);

  const unflushed = new UnflushedSummaries(new Map());
  for (const one of records) unflushed.take(one);
  const ends = await endOffsets({ client: cell.kafka.admin(), topic: topicOf('DE', 'summaries') });
  for (const [partition, end] of ends.entries()) unflushed.reach(partition, end);
  const writer = await SummaryWriter.open(new FsObjectStore(lakeDir));
  const { rows, offsets, closed } = unflushed;
  await writer.flush({ rows, offsets, closed, zones: new Map([['de-one', 'Europe/Berlin']]) });
  await expect.poll(tailWindows, { timeout: 10_000 }).toBe(0);
  expect(await answers()).toEqual(before);
});

test('it is proved where the cell is', async () => {
  const claims = { scopes: new Set(['residency:read'] as const) };
  const proof = async () =>
    residencyAnswer.safeParse(await askJson(serving.url, '/v1/residency', claims)).data;
  const failing = async () => (await proof())?.items.filter(({ ok }) => !ok);
  await expect.poll(failing, { timeout: 20_000 }).toEqual([]);
  const answer = await proof();
  expect(answer).toMatchObject({ country: 'DE', verified: true });
  expect(answer?.items.map(({ what }) => what)).toEqual([
    'kafka broker',
    'kafka topics',
    'lake',
    'registry',
    'process raw',
  ]);
});
