import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rawList, type RawRow } from '@domicile/core/answers/raw.ts';
import type { Reading } from '@domicile/core/reading.ts';
import { headers, streams } from '@domicile/core/streams.ts';
import { filesOfFolder } from '@domicile/lake/local-files.ts';
import type { LandedFile } from '@domicile/lake/model/landed-range.ts';
import {
  addReading,
  LandingRows,
  landedValueColumns,
} from '@domicile/lake/model/landing-columns.ts';
import { writeParquet } from '@domicile/lake/parquet/write-parquet.ts';
import type { Claims } from '@domicile/runtime/claims.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { Door } from '../http/door.ts';
import { RegistryBook } from '../model/registry-book.ts';
import { headersOf, secret, testBuildings } from '../test-support.ts';
import { Engine } from './engine.ts';
import { rawEvents } from './events.ts';
import { Gate } from './gate.ts';
import { rawRoutes } from './routes.ts';
import { Tail } from './tail.ts';

const start = Date.UTC(2026, 10, 23, 7);
const hour = 'from=2026-11-23T07:00:00Z&to=2026-11-23T08:00:00Z';
const parts = new AsyncDisposableStack();
const tail = new Tail();
const offsets = new Map<number, bigint>();
const files: LandedFile[] = [];
let url = '';
let lakeDir = '';
/** By the retention. */
let keptSinceMs = -Infinity;
/** What the manifests say when they are read again. */
let reread = (): boolean => false;

function readingOf(number: number, building = 'de-one', device = 'r1-air'): Reading {
  return {
    building,
    floor: '1',
    room: 'r1',
    device,
    client: 'acme',
    type: 'air-quality',
    boot: 'b',
    seq: number,
    measuredAtMs: start + number * 1_000,
    receivedAtMs: start + number * 1_000 + 7,
    timeSource: 'device',
    values: { temperature: number / 2, mode: 'öko "x"' },
    units: { temperature: 'Cel', mode: '1' },
  };
}

function stream(partition: number, offset: number, reading: Reading): void {
  tail.take({
    topic: 'de.readings.v1',
    partition,
    offset: BigInt(offset),
    timestampMs: reading.receivedAtMs,
    key: Buffer.from(reading.building),
    value: Buffer.from(JSON.stringify(reading)),
    headers: new Map([[headers.schema, streams.readings.schema]]),
  });
}

async function land(partition: number, first: number, readings: readonly Reading[]): Promise<void> {
  const rows = new LandingRows(landedValueColumns);
  for (const [index, reading] of readings.entries())
    addReading(rows, reading, { partition, offset: BigInt(first + index) });
  const path = `landing/readings/v1/${partition}-${first}.parquet`;
  await mkdir(join(lakeDir, 'landing/readings/v1'), { recursive: true });
  await writeFile(
    join(lakeDir, path),
    writeParquet({ columns: rows.columns, values: rows.values }),
  );
  const last = BigInt(first + readings.length - 1);
  const file = { path, partition, first: BigInt(first), last, bytes: 0 };
  files.push({ ...file, receivedToMs: 0, buildings: [] });
  offsets.set(partition, last + 1n);
}

beforeAll(async () => {
  lakeDir = await mkdtemp(join(tmpdir(), 'raw-'));
  parts.defer(() => rm(lakeDir, { recursive: true }));
  const gate = new Gate({ runningMax: 2, waitingMax: 4, timeoutMs: 20_000 });
  const engine = parts.use(
    await Engine.start({
      readable: [join(lakeDir, 'landing'), join(lakeDir, 'scratch')],
      memoryMegabytesMax: 256,
      threads: 1,
      gate,
    }),
  );
  await mkdir(join(lakeDir, 'scratch'));
  const buildings = new RegistryBook();
  for (const building of testBuildings()) buildings.take(building);
  const landed = {
    offsets,
    files: () => files,
    reread: async () => reread(),
    get keptSinceMs() {
      return keptSinceMs;
    },
  };
  const log = createLog('test', { write: () => undefined });
  const routes = rawRoutes({
    door: new Door({ country: 'DE', secret, buildings }),
    engine,
    gate,
    zone: { landed, tail },
    events: rawEvents(log, createRegistry({})),
    files: filesOfFolder(lakeDir),
    scratchDir: join(lakeDir, 'scratch'),
  });
  const server = parts.use(await startHttp(routes, { host: '127.0.0.1', port: 0, log }));
  url = server.url;

  // Landed: 0–19 of one building. In the stream: 15–29 of it, where 15–19 are there twice, and 3 of another.
  await land(
    0,
    100,
    Array.from({ length: 20 }, (_, number) => readingOf(number)),
  );
  for (let number = 15; number < 30; number += 1) stream(0, 100 + number, readingOf(number));
  for (let number = 0; number < 3; number += 1) stream(1, number, readingOf(number, 'de-three'));
});

afterAll(() => parts.disposeAsync());

function ask(query: string, options: { claims?: Partial<Claims>; accept?: string } = {}) {
  const claims = { client: '*', scopes: new Set(['raw:read'] as const), ...options.claims };
  const accept = options.accept === undefined ? {} : { Accept: options.accept };
  return fetch(`${url}/v1/raw/readings?${query}`, { headers: { ...headersOf(claims), ...accept } });
}

async function rowsOf(query: string, from = ''): Promise<RawRow[]> {
  const rows: RawRow[] = [];
  for (let cursor = from; ;) {
    const answer = await ask(`${query}${cursor}`);
    const page = rawList.parse(await answer.json());
    rows.push(...page.rows);
    if (page.next === null) return rows;
    cursor = `&cursor=${page.next}`;
  }
}

test('landed and streamed readings are one, each once, in order', async () => {
  const rows = await rowsOf(`building=de-one&${hour}&metric=temperature`);
  expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 30 }, (_, number) => number));
  const [first, last] = [rows[0], rows[29]];
  expect(first).toEqual({
    building: 'de-one',
    floor: '1',
    room: 'r1',
    device: 'r1-air',
    metric: 'temperature',
    unit: 'Cel',
    measuredAt: '2026-11-23T07:00:00.000Z',
    receivedAt: '2026-11-23T07:00:00.007Z',
    value: 0,
    text: null,
    boot: 'b',
    seq: 0,
    timeSource: 'device',
    kafkaPartition: 0,
    kafkaOffset: 100,
  });
  expect(last).toMatchObject({ value: 14.5, kafkaOffset: 129 });
});

test('pages are stable while readings land', async () => {
  const query = `building=de-one&building=de-three&${hour}&limit=7`;
  const whole = await rowsOf(`building=de-one,de-three&${hour}`);
  expect(whole).toHaveLength(66);
  const first = rawList.parse(await (await ask(query)).json());
  await land(
    1,
    0,
    [0, 1, 2].map((number) => readingOf(number, 'de-three')),
  );
  const rest = await rowsOf(query, `&cursor=${first.next}`);
  expect([...first.rows, ...rest]).toEqual(whole);
});

test('ranges are half-open, devices and metrics narrow', async () => {
  const seconds = 'from=2026-11-23T07:00:05Z&to=2026-11-23T07:00:07Z';
  const rows = await rowsOf(`building=de-one&${seconds}`);
  expect(rows.map(({ seq, metric }) => `${seq} ${metric}`)).toEqual([
    '5 mode',
    '5 temperature',
    '6 mode',
    '6 temperature',
  ]);
  expect(rows[0]).toMatchObject({ value: null, text: 'öko "x"' });
  expect(await rowsOf(`building=de-one&${hour}&device=r2-air`)).toEqual([]);
});

test('the same rows in every format', async () => {
  const query = `building=de-one&${hour}&limit=60`;
  const rows = await rowsOf(query);
  const lines = await (await ask(query, { accept: 'application/x-ndjson' })).text();
  expect(
    lines
      .trim()
      .split('\n')
      .map((line) => rawList.shape.rows.element.parse(JSON.parse(line))),
  ).toEqual(rows);
  const csv = await (await ask(query, { accept: 'text/csv' })).text();
  expect(csv.split('\r\n')).toHaveLength(62);
  expect(csv).toContain('"öko ""x"""');
  const answer = await ask(query, { accept: 'application/vnd.apache.parquet' });
  const file = join(lakeDir, 'answer.parquet');
  await writeFile(file, Buffer.from(await answer.arrayBuffer()));
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const read = await connection.runAndReadAll(
    `select count(*)::integer as n, sum(seq)::integer as s, typeof(any_value("measuredAt")) as t from '${file}'`,
  );
  expect(read.getRowObjectsJson()).toEqual([{ n: 60, s: 870, t: 'TIMESTAMP WITH TIME ZONE' }]);
  instance.closeSync();
});

test('a next page is told beside formats that have no place for it', async () => {
  const answer = await ask(`building=de-one&${hour}&limit=5`, { accept: 'text/csv' });
  expect(answer.headers.get('link')).toMatch(/^<\/v1\/raw\/readings\?.*cursor=.*>; rel="next"$/);
});

test('an Arrow stream has the types of the columns', async () => {
  const accept = 'application/vnd.apache.arrow.stream';
  const query = `building=de-one&${hour}&limit=60`;
  const answer = await ask(query, { accept });
  expect(answer.headers.get('content-type')).toBe(accept);
  const table = tableFromIPC(new Uint8Array(await answer.arrayBuffer()));
  const rows = await rowsOf(query);
  expect(table.numRows).toBe(60);
  expect(
    Object.fromEntries(table.schema.fields.map(({ name, type }) => [name, String(type)])),
  ).toMatchObject({
    building: 'Utf8',
    measuredAt: 'Timestamp<MICROSECOND, UTC>',
    value: 'Float64',
    seq: 'Int64',
    kafkaPartition: 'Int32',
  });
  const last = table.get(59)?.toJSON();
  const expected = rows[59];
  expect(last).toMatchObject({
    metric: 'temperature',
    value: expected?.value,
    seq: 29n,
    text: null,
  });
  expect(table.get(58)?.toJSON()).toMatchObject({ metric: 'mode', value: null, text: 'öko "x"' });
  const empty = await ask(`building=de-two&${hour}`, { accept });
  expect(tableFromIPC(new Uint8Array(await empty.arrayBuffer())).schema.fields).toHaveLength(15);
});

test('formats that are not offered are refused', async () => {
  expect((await ask(`building=de-one&${hour}`, { accept: 'image/png' })).status).toBe(406);
});

test('who may see what', async () => {
  const query = `building=de-one&building=de-three&${hour}`;
  expect((await ask(query, { claims: { scopes: new Set(['summary:read']) } })).status).toBe(403);
  expect((await ask(query, { claims: { client: 'acme' } })).status).toBe(404);
  expect((await ask(`${query}&building=us-one`)).status).toBe(421);
  expect((await ask(`building=de-none&building=us-one&${hour}`)).status).toBe(421);
  expect((await ask('building=de-one,us-one&limit=nonsense')).status).toBe(421);
  expect((await ask(`building=de-none&${hour}`)).status).toBe(404);
});

test.each([
  ["building=de-one' or 1=1 --", '#/query/building/0'],
  ['building=de-one&device=%00', '#/query/device/0'],
  ['building=de-one&metric=a;drop', '#/query/metric/0'],
  ['building=de-one&limit=200001', '#/query/limit'],
  ['device=r1-air', '#/query/building'],
  ['building=nowhere', '#/query/building'],
  ['building=de-one&cursor=WzEsIjEiLDAsIjAiLCJ4JyBvciAxPTEgLS0iXQ', '#/query/cursor'],
])('%s is refused', async (query, pointer) => {
  const answer = await ask(`${query}&${hour}`);
  expect(answer.status).toBe(400);
  const { errors } = z
    .object({ errors: z.array(z.object({ pointer: z.string() })) })
    .parse(await answer.json());
  expect(errors.map((error) => error.pointer)).toContain(pointer);
});

test('a file that an erasure replaced is found by its manifest, and one that is gone is told', async () => {
  const query = `building=de-one&${hour}&limit=60`;
  const rows = await rowsOf(query);
  const [file] = files;
  if (!file) throw new Error('nothing has landed');
  const successor = file.path.replace('.parquet', '-e1.parquet');
  await rename(join(lakeDir, file.path), join(lakeDir, successor));
  const gone = await ask(query);
  expect(gone.status).toBe(503);
  expect(await gone.text()).toContain('a landed file is not there');
  reread = () => {
    files[0] = { ...file, path: successor };
    return true;
  };
  expect(await rowsOf(query)).toEqual(rows);
  reread = () => false;
});

test('a period that reaches behind the retention says since when readings are kept', async () => {
  keptSinceMs = start;
  const early = 'from=2026-11-23T06:00:00Z&to=2026-11-23T08:00:00Z';
  const told = z.object({ rows: z.array(z.unknown()), retainedFrom: z.string().optional() });
  const answer = await ask(`building=de-one&${early}`);
  expect(answer.headers.get('domicile-retained-from')).toBe('2026-11-23T07:00:00.000Z');
  const page = told.parse(await answer.json());
  expect(page.retainedFrom).toBe('2026-11-23T07:00:00.000Z');
  expect(page.rows).toHaveLength(60);
  const before = await ask('building=de-one&from=2026-11-23T05:00:00Z&to=2026-11-23T06:00:00Z');
  expect(await before.json()).toEqual({
    rows: [],
    next: null,
    retainedFrom: '2026-11-23T07:00:00.000Z',
  });
  const csv = await ask(`building=de-one&${early}`, { accept: 'text/csv' });
  expect(csv.headers.get('domicile-retained-from')).toBe('2026-11-23T07:00:00.000Z');
  const kept = await ask(`building=de-one&${hour}`);
  expect(kept.headers.get('domicile-retained-from')).toBe(null);
  expect(told.parse(await kept.json()).retainedFrom).toBe(undefined);
  keptSinceMs = -Infinity;
});

test('files and SQL are announced', async () => {
  const headersHere = headersOf({ client: '*', scopes: new Set(['raw:read']) });
  for (const path of ['/v1/raw/files', '/v1/raw/files/landing/x.parquet'])
    expect((await fetch(`${url}${path}`, { headers: headersHere })).status).toBe(501);
});
