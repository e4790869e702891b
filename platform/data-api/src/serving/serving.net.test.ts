import { encodeAggregate, emptyAggregate, addValue } from '@domicile/core/aggregate.ts';
import {
  accountAnswer,
  buildingPlan,
  buildingList,
  deviceList,
  latestList,
  summaryList,
} from '@domicile/core/answers/serving.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import type { Claims } from '@domicile/runtime/claims.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { Router } from 'express';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { Door } from '../http/door.ts';
import { headersOf, secret, testBuildings } from '../test-support.ts';
import { dataRoutes } from './data-routes.ts';
import { servingEvents } from './events.ts';
import { LiveHub } from './live-hub.ts';
import { openServingLayer } from './open-serving-layer.ts';
import { servingRoutes } from './routes.ts';
import { emptyView, type ServingView } from './view.ts';

const start = Date.UTC(2026, 10, 23, 7);
const hour = 'from=2026-11-23T07:00:00Z&to=2026-11-23T08:00:00Z';
const parts = new AsyncDisposableStack();
const largeFile = Buffer.alloc(5_000_000, 'domicile');
let url = '';
let view: ServingView;

beforeAll(async () => {
  const store = new MemoryObjectStore();
  await store.createOnly('serving/summaries/pt1h/v1/data/one.parquet', Buffer.from('0123456789'));
  await store.createOnly('serving/summaries/pt1h/v1/data/large.parquet', largeFile);
  await store.createOnly('landing/readings/v1/secret.parquet', Buffer.from('raw'));
  await store.replacePointer('serving/summaries/pt1h/v1/latest.json', Buffer.from('{"number":1}'));
  const hub = parts.use(new LiveHub());
  view = emptyView(hub, await openServingLayer(store));
  for (const building of testBuildings()) view.registry.take(building);
  const log = createLog('test', { write: () => undefined });
  const registry = createRegistry({});
  const door = new Door({ country: 'DE', secret, buildings: view.registry });
  const routes = Router();
  const events = servingEvents(log, registry);
  routes.use(servingRoutes({ door, view, events, liveReadersMax: 2, now: () => start + 60_000 }));
  routes.use(dataRoutes({ door, store }));
  const server = await startHttp(routes, { host: '127.0.0.1', port: 0, log });
  parts.use(server);
  url = server.url;
});

afterAll(() => parts.disposeAsync());

function ask(
  path: string,
  { claims = {}, ...options }: { claims?: Partial<Claims>; headers?: object; method?: string } = {},
): Promise<Response> {
  const headers = { ...headersOf(claims), ...options.headers };
  return fetch(`${url}${path}`, { ...options, headers });
}

async function problemOf(answer: Response) {
  const body: unknown = await answer.json();
  return z
    .object({
      code: z.string(),
      errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).default([]),
    })
    .parse(body);
}

const raw = { client: '*', scopes: new Set(['summary:read'] as const) };

test('who does not come through the front door is not answered', async () => {
  expect((await fetch(`${url}/v1/buildings`)).status).toBe(401);
  const forged = { ...headersOf(), 'x-domicile-internal': 'guess' };
  expect((await fetch(`${url}/v1/buildings`, { headers: forged })).status).toBe(401);
  expect((await ask('/v1/buildings', { claims: { scopes: new Set(['raw:read']) } })).status).toBe(
    403,
  );
});

test('a client sees its own buildings, and the claim narrows further', async () => {
  const idsFor = async (claims: Partial<Claims>) => {
    const { rows } = buildingList.parse(await (await ask('/v1/buildings', { claims })).json());
    return rows.map(({ id }) => id);
  };
  expect(await idsFor({})).toEqual(['de-one', 'de-two']);
  expect(await idsFor({ client: 'other' })).toEqual(['de-three']);
  expect(await idsFor(raw)).toEqual(['de-one', 'de-three', 'de-two']);
  expect(await idsFor({ buildings: ['de-two', 'de-three'] })).toEqual(['de-two']);
});

const ofBuilding = ['', `/summaries?${hour}`, '/latest', '/live', '/devices', `/account?${hour}`];

test.each(ofBuilding)('%j of another client, of none and of another country', async (path) => {
  const other = await ask(`/v1/buildings/de-three${path}`);
  const none = await ask(`/v1/buildings/de-none${path}`);
  expect([other.status, none.status]).toEqual([404, 404]);
  expect(await other.json()).toEqual(await none.json());
  const abroad = await ask(`/v1/buildings/us-one${path}`);
  expect(abroad.status).toBe(421);
  expect(await abroad.text()).not.toContain('us-one');
  expect((await ask(`/v1/buildings/DE%20one${path}`)).status).toBe(400);
});

test('a building is floors, rooms, devices and metrics', async () => {
  const plan = buildingPlan.parse(await (await ask('/v1/buildings/de-one')).json());
  expect(plan).toMatchObject({
    id: 'de-one',
    country: 'DE',
    client: 'acme',
    timeZone: 'Europe/Berlin',
  });
  expect(plan.floors[0]?.rooms.map(({ id, devices }) => [id, devices.length])).toEqual([
    ['r1', 2],
    ['r2', 2],
  ]);
});

test('latest and devices follow the stream', async () => {
  const point = {
    value: 21.5,
    unit: 'Cel',
    measuredAtMs: start,
    receivedAtMs: start + 5,
    offset: 1,
  };
  const where = { building: 'de-two', device: 'r1-air', floor: '1', room: 'r1' };
  view.latest.take({ ...where, points: { temperature: point } });
  const { rows } = latestList.parse(await (await ask('/v1/buildings/de-two/latest')).json());
  expect(rows).toEqual([
    {
      device: 'r1-air',
      room: 'r1',
      metric: 'temperature',
      value: 21.5,
      unit: 'Cel',
      measuredAt: '2026-11-23T07:00:00.000Z',
      receivedAt: '2026-11-23T07:00:00.005Z',
    },
  ]);
  const devices = deviceList.parse(await (await ask('/v1/buildings/de-two/devices')).json());
  expect(devices.rows.map(({ device, state }) => [device, state])).toEqual([
    ['r1-air', 'silent'],
    ['r1-door', 'never-seen'],
    ['r2-air', 'never-seen'],
    ['r2-door', 'never-seen'],
  ]);
});

function windowOf(minute: number, id: string, values: readonly number[]): SummaryRecord {
  const aggregate = emptyAggregate();
  for (const value of values) addValue(aggregate, value);
  return {
    building: 'de-one',
    windowStartMs: start + minute * 60_000,
    level: id === 'de-one' ? 'building' : 'room',
    id,
    kind: 'window',
    revision: 1,
    final: true,
    offset: -1,
    metrics: { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } },
  };
}

test('summaries come from the tail, page by page, with an ETag, in three formats', async () => {
  for (let minute = 0; minute < 3; minute += 1) {
    view.tail.take(windowOf(minute, 'de-one', [400, 600]), 0, BigInt(minute * 2));
    view.tail.take(windowOf(minute, 'r1', [500]), 0, BigInt(minute * 2 + 1));
  }
  const path = `/v1/buildings/de-one/summaries?${hour}`;
  const answer = await ask(path);
  const all = summaryList.parse(await answer.json());
  expect(all.rows).toHaveLength(6);
  expect(all.through).toBe('2026-11-23T07:03:00.000Z');
  expect(all.rows[0]).toMatchObject({
    level: 'building',
    count: 2,
    avg: 500,
    stddev: 100,
    final: true,
  });

  const paged = [];
  for (let next: string | null = ''; next !== null;) {
    const page: z.output<typeof summaryList> = summaryList.parse(
      await (await ask(`${path}&limit=4${next && `&cursor=${next}`}`)).json(),
    );
    paged.push(...page.rows);
    next = page.next;
  }
  expect(paged).toEqual(all.rows);

  const etag = answer.headers.get('etag') ?? '';
  for (const known of [etag, etag.slice(2), `"other", ${etag}`, '*'])
    expect((await ask(path, { headers: { 'If-None-Match': known } })).status).toBe(304);
  expect((await ask(path, { headers: { 'If-None-Match': '"other"' } })).status).toBe(200);
  view.tail.take(windowOf(9, 'r1', [1]), 0, 99n);
  expect((await ask(path, { headers: { 'If-None-Match': etag } })).status).toBe(200);

  const csv = await ask(`${path}&level=room`, { headers: { Accept: 'text/csv' } });
  expect(csv.headers.get('content-type')).toContain('text/csv');
  expect((await csv.text()).split('\r\n')[0]).toContain('windowStart,windowEnd,level');
  const lines = await ask(`${path}&limit=2`, { headers: { Accept: 'application/x-ndjson' } });
  expect((await lines.text()).trim().split('\n')).toHaveLength(2);
  expect(lines.headers.get('link')).toContain('rel="next"');
  expect((await ask(path, { headers: { Accept: 'image/png' } })).status).toBe(406);
});

test('every bad parameter is told at once, with a pointer', async () => {
  const query =
    'from=2026-11-23T08:00:00Z&to=2026-11-23T07:00:00Z&interval=PT7M&level=city&limit=-1';
  const answer = await ask(`/v1/buildings/de-one/summaries?${query}&cursor=!`);
  expect(answer.status).toBe(400);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  const { code, errors } = await problemOf(answer);
  expect(code).toBe('value-invalid');
  expect(errors.map(({ pointer }) => pointer).toSorted()).toEqual([
    '#/query/interval',
    '#/query/level',
    '#/query/limit',
    '#/query/to',
  ]);
});

test.each(['/summaries', '/account', '/latest', '/devices'])('a bad cursor of %s', async (path) => {
  const range = ['/summaries', '/account'].includes(path) ? `${hour}&` : '';
  const answer = await ask(`/v1/buildings/de-one${path}?${range}cursor=abc`);
  expect(answer.status).toBe(400);
  expect((await problemOf(answer)).errors[0]?.pointer).toBe('#/query/cursor');
});

test.each(['/alerts', '/correlations'])('%s is announced', async (path) => {
  const answer = await ask(`/v1/buildings/de-one${path}`);
  expect(answer.status).toBe(501);
  expect((await problemOf(answer)).code).toBe('not-built');
});

test('other methods are refused', async () => {
  expect((await ask('/v1/buildings/de-one/latest', { method: 'DELETE' })).status).toBe(405);
});

test('files of the serving layer are for tokens that reach every building', async () => {
  expect((await ask('/v1/data')).status).toBe(403);
  expect((await ask('/v1/data', { claims: { ...raw, buildings: ['de-one'] } })).status).toBe(403);
  const list = await ask('/v1/data', { claims: raw });
  expect(await list.json()).toMatchObject({ rows: [{ api: 'summaries', endpoint: 'pt1h' }] });
  const files = await ask('/v1/data/summaries/pt1h', { claims: raw });
  expect(await files.json()).toMatchObject({
    rows: [{ path: 'data/large.parquet' }, { path: 'data/one.parquet', bytes: 10 }, {}],
  });
  const part = await ask('/v1/data/summaries/pt1h/data/one.parquet', {
    claims: raw,
    headers: { Range: 'bytes=2-4' },
  });
  expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
    206,
    'bytes 2-4/10',
    '234',
  ]);
  const large = await ask('/v1/data/summaries/pt1h/data/large.parquet', { claims: raw });
  expect(Buffer.from(await large.arrayBuffer()).equals(largeFile)).toBe(true);
  const beyond = { claims: raw, headers: { Range: 'bytes=10-' } };
  const refused = await ask('/v1/data/summaries/pt1h/data/one.parquet', beyond);
  expect([refused.status, refused.headers.get('content-range')]).toEqual([416, 'bytes */10']);
});

test.each([
  '/v1/data/summaries/..%2f..%2flanding%2freadings/v1/secret.parquet',
  '/v1/data/..%2flanding/readings/secret.parquet',
  '/v1/data/summaries/pt1h/..%2f..%2f..%2f..%2flanding/readings/v1/secret.parquet',
  '/v1/data/summaries/pt1h/%2e%2e/secret.parquet',
  '/v1/data/summaries/pt1h/nothing.parquet',
])('%s is not found', async (path) => {
  expect((await ask(path, { claims: raw })).status).toBe(404);
});

test('the account adds up, page by page', async () => {
  const plain = { quarantined: [], duplicates: 1, unnumbered: 0, unreadable: 0 };
  const at = { windowStartMs: start + 60_000, boot: 'b' };
  view.account.take({
    building: 'de-one',
    entries: ['r1-air', 'r2-air'].map((device) => ({
      ...plain,
      ...at,
      device,
      received: [[2, 5]],
    })),
  });
  const path = `/v1/buildings/de-one/account?from=2026-11-23T07:01:30Z&to=2026-11-23T07:01:31Z`;
  const first = accountAnswer.parse(await (await ask(`${path}&limit=1`)).json());
  expect(first.totals).toMatchObject({
    expected: 12,
    received: 8,
    missing: 4,
    duplicates: 2,
    landed: 0,
    expired: 0,
  });
  expect(first.rows).toMatchObject([{ device: 'r1-air', first: 0, last: 5, missing: [[0, 1]] }]);
  const next = accountAnswer.parse(
    await (await ask(`${path}&limit=1&cursor=${first.next}`)).json(),
  );
  expect(next).toMatchObject({ totals: first.totals, rows: [{ device: 'r2-air' }], next: null });
});
