import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { startBrokerAdmin } from './admin.ts';
import { Readiness } from './readiness.ts';
import { type Kick, pageOf, type SessionRow, type SessionsView } from './sessions-view.ts';

const rows: SessionRow[] = Array.from({ length: 25 }, (_, index) => ({
  key: `de-${index % 2 === 0 ? 'a' : 'b'}/client ${index}/ü`,
  clientId: `client ${index}/ü`,
  building: index % 2 === 0 ? 'de-a' : 'de-b',
  connected: true,
  sinceMs: 0,
  protocolVersion: 5,
  subscriptions: 1,
  replica: 'r1',
}));

let kicks: Kick[] = [];
const kicked: string[] = [];
const view: SessionsView = {
  list: (query) => pageOf(rows, query),
  find(key) {
    const row = rows.find((each) => each.key === key);
    return row && { ...row, filters: ['v1/#'] };
  },
  kick(key) {
    kicked.push(key);
    return kicks.shift() ?? { outcome: 'kicked' };
  },
};

const readiness = new Readiness();
let sessions: SessionsView | undefined = view;
let admin: Awaited<ReturnType<typeof startBrokerAdmin>>;
beforeAll(async () => {
  admin = await startBrokerAdmin({
    host: '127.0.0.1',
    port: 0,
    log: createLog('broker', { write: () => undefined }),
    registry: new Registry(),
    readiness,
    sessions: () => sessions,
    status: () => ({
      country: 'DE',
      replica: 'r1',
      startedAtMs: 0,
      connections: 1,
      sessions: 2,
      inFlight: 3,
      ports: { mqttPort: 1883 },
    }),
  });
});
afterAll(() => admin[Symbol.asyncDispose]());
beforeEach(() => {
  kicks = [];
  kicked.length = 0;
  sessions = view;
});

const pageSchema = z.object({
  sessions: z.array(z.object({ key: z.string(), since: z.string() })),
  next: z.string().optional(),
});

async function get(path: string, method = 'GET'): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${admin.url}${path}`, { method });
  return { status: answer.status, body: await answer.json() };
}

test('readiness says why not, liveness stays', async () => {
  const loaded = readiness.wait('sessions-loading');
  expect(await get('/readyz')).toEqual({
    status: 503,
    body: { ready: false, reasons: ['sessions-loading'] },
  });
  expect((await get('/livez')).status).toBe(200);
  expect((await get('/status')).body).toMatchObject({ ready: false, country: 'DE', inFlight: 3 });
  loaded();
  expect(await get('/readyz')).toEqual({ status: 200, body: { ready: true, reasons: [] } });
});

test('sessions come in pages, each once, by key', async () => {
  const keys: string[] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined;) {
    const { body } = await get(`/sessions?limit=4${cursor === '' ? '' : `&cursor=${cursor}`}`);
    const page = pageSchema.parse(body);
    keys.push(...page.sessions.map(({ key }) => key));
    cursor = page.next;
  }
  expect(keys).toEqual(rows.map(({ key }) => key).toSorted());
  const { body } = await get('/sessions?building=de-b');
  expect(pageSchema.parse(body).sessions).toHaveLength(12);
  expect(pageSchema.parse(body).sessions[0]?.since).toBe('1970-01-01T00:00:00.000Z');
});

test.each([
  '/sessions?limit=0',
  '/sessions?limit=1001',
  '/sessions?limit=x',
  '/sessions?building=',
])('%s is refused', async (path) => {
  expect(await get(path)).toMatchObject({ status: 400, body: { code: 'value-invalid' } });
});

test('one session is shown and kicked by its key, whatever is in it', async () => {
  const key = encodeURIComponent('de-b/client 1/ü');
  expect(await get(`/sessions/${key}`)).toMatchObject({
    status: 200,
    body: { clientId: 'client 1/ü', filters: ['v1/#'] },
  });
  expect(await get(`/sessions/${key}/kick`, 'POST')).toEqual({
    status: 200,
    body: { kicked: true },
  });
  expect(kicked).toEqual(['de-b/client 1/ü']);
  expect((await get('/sessions/de-x%2Fno')).status).toBe(404);
  expect((await get(`/sessions/${key}/kick`)).status).toBe(405);
});

test('who cannot be kicked here is said', async () => {
  kicks = [
    { outcome: 'not-found' },
    { outcome: 'not-connected' },
    { outcome: 'elsewhere', replica: 'r2' },
  ];
  const answers = [
    await get('/sessions/k/kick', 'POST'),
    await get('/sessions/k/kick', 'POST'),
    await get('/sessions/k/kick', 'POST'),
  ];
  expect(answers.map(({ status }) => status)).toEqual([404, 409, 409]);
  expect(JSON.stringify(answers[2]?.body)).toContain('r2');
});

test('while the broker starts there are no sessions to see', async () => {
  sessions = undefined;
  expect((await get('/sessions')).status).toBe(503);
});

test("a web page cannot kick behind an operator's back", async () => {
  const headers = { origin: 'https://elsewhere.example' };
  const answer = await fetch(`${admin.url}/sessions/k/kick`, { method: 'POST', headers });
  expect([answer.status, kicked]).toEqual([403, []]);
});

test('a page of very many sessions is the same as of all, sorted', () => {
  const many = Array.from({ length: 5000 }, (_, index): SessionRow => {
    const key = `de-a/${(index * 7919) % 5000}`;
    return {
      key,
      clientId: key,
      building: 'de-a',
      connected: true,
      subscriptions: 0,
      replica: 'r',
    };
  });
  const sorted = many.map(({ key }) => key).toSorted();
  const page = pageOf(many, { building: undefined, limit: 10, after: sorted[99] });
  expect(page.rows.map(({ key }) => key)).toEqual(sorted.slice(100, 110));
  expect(page.more).toBe(true);
  expect(pageOf(many, { building: undefined, limit: 10, after: sorted[4995] })).toMatchObject({
    rows: { length: 4 },
    more: false,
  });
});
