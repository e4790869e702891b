import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import {
  analysisList,
  comparisonRow,
  correlationRow,
  loadProfileRow,
} from '@domicile/core/answers/analysis.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import { SummarySnapshots } from '@domicile/lake/serving-summaries.ts';
import type { Claims } from '@domicile/runtime/claims.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { Door } from '../../http/door.ts';
import { RegistryBook } from '../../model/registry-book.ts';
import { SummaryTail } from '../../model/summary-tail.ts';
import { headersOf, secret, testBuildings } from '../../test-support.ts';
import { Gate } from '../gate.ts';
import { analysisRoutes } from './routes.ts';

// Monday, 23 November 2026, 08:00 in Berlin.
const start = Date.UTC(2026, 10, 23, 7);
const range = 'from=2026-11-23T07:00:00Z&to=2026-11-23T09:00:00Z';
const parts = new AsyncDisposableStack();
let url = '';

function windowOf(
  building: string,
  of: Pick<SummaryRecord, 'level' | 'id'>,
  minute: number,
): SummaryRecord {
  const metrics = { co2: 400 + minute, temperature: 20 + minute / 10 };
  return {
    building,
    windowStartMs: start + minute * 60_000,
    ...of,
    kind: 'window',
    revision: 1,
    final: true,
    offset: -1,
    metrics: Object.fromEntries(
      Object.entries(metrics).map(([metric, value]) => {
        const aggregate = emptyAggregate();
        addValue(aggregate, building === 'de-two' ? value * 2 : value);
        return [metric, { unit: metric, aggregate: encodeAggregate(aggregate) }];
      }),
    ),
  };
}

beforeAll(async () => {
  const tail = new SummaryTail();
  let offset = 0n;
  for (const building of ['de-one', 'de-two'])
    for (let minute = 0; minute < 90; minute += 1)
      for (const of of [
        { level: 'building', id: building },
        { level: 'room', id: 'r1' },
      ] as const)
        tail.take(windowOf(building, of, minute), 0, offset++);
  const buildings = new RegistryBook();
  for (const building of testBuildings()) buildings.take(building);
  const routes = analysisRoutes({
    door: new Door({ country: 'DE', secret, buildings }),
    gate: new Gate({ runningMax: 2, waitingMax: 4, timeoutMs: 20_000 }),
    source: {
      layer: await SummarySnapshots.open(new MemoryObjectStore()),
      tail,
    },
  });
  const log = createLog('test', { write: () => undefined });
  const server = parts.use(await startHttp(routes, { host: '127.0.0.1', port: 0, log }));
  url = server.url;
});

afterAll(() => parts.disposeAsync());

function ask(
  path: string,
  options: { claims?: Partial<Claims>; accept?: string; method?: string } = {},
) {
  const claims = { client: '*', scopes: new Set(['analysis:run'] as const), ...options.claims };
  const accept = options.accept === undefined ? {} : { Accept: options.accept };
  return fetch(`${url}/v1/analysis${path}`, {
    method: options.method ?? 'GET',
    headers: { ...headersOf(claims), ...accept },
  });
}

async function rowsOf<Row extends z.ZodType>(row: Row, path: string): Promise<z.output<Row>[]> {
  const answer = await ask(path);
  return z.strictObject({ rows: z.array(row), next: z.null() }).parse(await answer.json()).rows;
}

test('the list says what can be asked', async () => {
  const { rows } = analysisList.parse(await (await ask('')).json());
  expect(rows.map(({ name }) => name)).toEqual([
    'metric-correlation',
    'load-profile',
    'building-comparison',
  ]);
});

test('two metrics that go together correlate, room by room', async () => {
  const query = `building=de-one&building=de-two&${range}&x=temperature&y=co2`;
  const rows = await rowsOf(correlationRow, `/metric-correlation?${query}`);
  expect(rows.map(({ building, id, windows }) => [building, id, windows])).toEqual([
    ['de-one', 'r1', 6],
    ['de-two', 'r1', 6],
  ]);
  expect(rows[0]?.correlation).toBeCloseTo(1, 9);
  expect(rows[0]?.slope).toBeCloseTo(10, 9);
  const byMinute = await rowsOf(correlationRow, `/metric-correlation?${query}&interval=PT1M`);
  expect(byMinute[0]?.windows).toBe(90);
});

test('a load profile is by hour of the building’s clock', async () => {
  const query = `building=de-one&${range}&metric=co2`;
  const rows = await rowsOf(loadProfileRow, `/load-profile?${query}`);
  expect(rows).toMatchObject([
    { id: 'de-one', dayType: 'workday', hour: 8, count: 60, avg: 429.5, min: 400, max: 459 },
    { id: 'de-one', dayType: 'workday', hour: 9, count: 30, avg: 474.5 },
  ]);
});

test('buildings are compared side by side', async () => {
  const query = `building=de-one,de-two&${range}&metric=co2`;
  const rows = await rowsOf(comparisonRow, `/building-comparison?${query}`);
  expect(rows).toMatchObject([
    { rank: 1, building: 'de-two', count: 90, avg: 889 },
    { rank: 2, building: 'de-one', count: 90, avg: 444.5, deviation: -222.25 },
  ]);
});

test('in every format', async () => {
  const path = `/building-comparison?building=de-one,de-two&${range}&metric=co2`;
  const csv = await (await ask(path, { accept: 'text/csv' })).text();
  expect(csv.split('\r\n')[1]).toMatch(/^co2,1,de-two,,co2,90,889,/);
  const lines = await (await ask(path, { accept: 'application/x-ndjson' })).text();
  expect(lines.trim().split('\n')).toHaveLength(2);
  const parquet = await ask(path, { accept: 'application/vnd.apache.parquet' });
  expect(
    Buffer.from(await parquet.arrayBuffer())
      .subarray(0, 4)
      .toString(),
  ).toBe('PAR1');
});

test('who may ask, and about what', async () => {
  const path = `/building-comparison?building=de-one,de-three&${range}&metric=co2`;
  expect((await ask(path, { claims: { scopes: new Set(['raw:read']) } })).status).toBe(403);
  expect((await ask(path, { claims: { client: 'acme' } })).status).toBe(404);
  expect((await ask(path.replace('de-three', 'us-one'))).status).toBe(421);
});

test.each([
  `/metric-correlation?building=de-one&${range}&x=co2&y=co2`,
  `/metric-correlation?building=de-one&${range}&x=co2`,
  `/metric-correlation?building=de-one&${range}&x=co2&y=co2'--`,
  `/load-profile?building=de-one&${range}&metric=co2&level=city`,
  `/building-comparison?building=de-one&from=2026-11-23T07:00:00Z&to=2026-11-22T07:00:00Z&metric=co2`,
  `/building-comparison?building=de-one&from=2025-11-20T07:00:00Z&to=2026-11-23T07:00:00Z&metric=co2`,
  '/load-profile',
])('%s is refused', async (path) => {
  expect((await ask(path)).status).toBe(400);
});

test('SQL is announced, and what there is not is not found', async () => {
  expect((await ask('/sql', { method: 'POST' })).status).toBe(501);
  expect((await ask('/divination')).status).toBe(404);
});
