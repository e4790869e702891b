import { createHmac } from 'node:crypto';
import { readClaims, type Scope } from '@domicile/runtime/claims.ts';
import jwt from 'jsonwebtoken';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { routes } from './model/routes.ts';
import {
  allScopes,
  issuer,
  keys,
  publicJwk,
  rawly,
  secrets,
  startTestCell,
  type TestCell,
  tokenOf,
  usCell,
  webOrigin,
} from './test-support.ts';

let cell: TestCell;
beforeAll(async () => {
  cell = await startTestCell({
    GATEWAY_LIMIT_REQUESTS: '100000',
    GATEWAY_LIMIT_FAILURES: '100000',
  });
});
afterAll(() => cell[Symbol.asyncDispose]());
beforeEach(() => {
  cell.seen.length = 0;
  cell.answer = undefined;
});

const problemSchema = z.looseObject({ code: z.string(), status: z.number(), detail: z.string() });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

function ask(path: string, headers: Record<string, string> = bearer(tokenOf()), init = {}) {
  return fetch(`${cell.url}${path}`, { headers, redirect: 'manual', ...init });
}

async function refused(answer: Promise<Response>): Promise<[number, string]> {
  const response = await answer;
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const { code, status } = problemSchema.parse(await response.json());
  expect(status).toBe(response.status);
  return [status, code];
}

const example = (path: string) =>
  path
    .replace('{building}', 'de-7f3k')
    .replace('{device}', 'r101-air')
    .replace('{command}', 'c1')
    .replace('{name}', 'load-profile')
    .replace('{api}', 'summaries')
    .replace('{endpoint}', 'pt1m')
    .replace('{path...}', 'v1/latest.json');

const tokenKinds: Record<string, { headers: () => Record<string, string>; scopes?: Scope[] }> = {
  nobody: { headers: () => ({}) },
  client: { headers: () => bearer(tokenOf()), scopes: ['summary:read', 'command:write'] },
  analyst: {
    headers: () => bearer(tokenOf({ client: '*', scope: 'raw:read analysis:run' }, keys.rs)),
    scopes: ['raw:read', 'analysis:run'],
  },
  sre: {
    headers: () => bearer(tokenOf({ client: '*', scope: 'residency:read' })),
    scopes: ['residency:read'],
  },
  'API key': { headers: () => ({ 'x-api-key': cell.apiKey }), scopes: ['raw:read'] },
  expired: { headers: () => bearer(tokenOf({ scope: allScopes, exp: 1_700_000_000 })) },
  forged: { headers: () => bearer(tokenOf({ scope: allScopes }, keys.forger)) },
  'of the other cell': { headers: () => bearer(tokenOf({ scope: allScopes, aud: 'domicile:us' })) },
};

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const paths = [...new Set(routes.map(({ path }) => path))];

/** What must come out, said apart from the code under test. */
function expectedStatus(path: string, method: string, kind: string): number {
  const route = routes.find(
    (one) => one.path === path && one.method === (method === 'HEAD' ? 'GET' : method),
  );
  if (!route) return 405;
  const { scopes } = tokenKinds[kind] ?? {};
  if (!scopes) return 401;
  if (!scopes.includes(route.scope)) return 403;
  return route.isBuilt === false ? 501 : 200;
}

test.each(Object.keys(tokenKinds))(
  'every route and method answers %s as it should',
  async (kind) => {
    const answers: Record<string, number> = {};
    const expected: Record<string, number> = {};
    for (const path of paths)
      for (const method of methods) {
        const json = { 'content-type': 'application/json' };
        const headers = { ...tokenKinds[kind]?.headers(), ...(method === 'POST' && json) };
        const body = method === 'POST' ? { body: '{}' } : {};
        const response = await ask(example(path), headers, { method, ...body });
        await response.text();
        answers[`${method} ${path}`] = response.status;
        expected[`${method} ${path}`] = expectedStatus(path, method, kind);
      }
    expect(answers).toEqual(expected);
    expect(cell.seen).toHaveLength(Object.values(expected).filter((one) => one === 200).length);
  },
);

test('each route goes to the service that answers it, with who asks', async () => {
  for (const route of routes.filter(({ isBuilt }) => isBuilt !== false)) {
    const token = tokenOf({ scope: allScopes, buildings: ['de-7f3k'] });
    const post = { method: 'POST', body: '{"set":{}}' };
    const headers = {
      ...bearer(token),
      'content-type': 'application/json',
      'idempotency-key': 'k1',
    };
    await ask(`${example(route.path)}?a=1`, headers, route.method === 'POST' ? post : {});
    const seen = cell.seen.at(-1);
    expect(seen).toMatchObject({
      upstream: route.upstream,
      method: route.method,
      url: `${example(route.path)}?a=1`,
      body: route.method === 'POST' ? '{"set":{}}' : '',
      headers: { 'idempotency-key': 'k1' },
    });
    expect(readClaims({ headers: seen?.headers ?? {} }, secrets[route.upstream])).toMatchObject({
      subject: 'anna',
      client: 'acme',
      buildings: ['de-7f3k'],
    });
  }
});

test('what a stranger says in the name of the door stays outside', async () => {
  const headers = {
    ...bearer(tokenOf()),
    'x-domicile-claims': Buffer.from('{"sub":"root"}').toString('base64url'),
    'x-domicile-internal': 'guess',
    'x-forwarded-for': '1.2.3.4',
    'x-request-id': 'mine',
    cookie: 'a=b',
  };
  const answer = await ask('/v1/buildings', headers);
  const { headers: seen } = cell.seen.at(-1) ?? {};
  expect(readClaims({ headers: seen ?? {} }, secrets.serving).subject).toBe('anna');
  expect(seen).not.toHaveProperty('authorization');
  expect(seen).not.toHaveProperty('cookie');
  expect(seen).not.toHaveProperty('x-forwarded-for');
  expect(seen?.['x-request-id']).toBe(answer.headers.get('x-request-id'));
  expect(seen?.['x-request-id']).not.toBe('mine');
});

const now = Math.floor(Date.now() / 1000);
const unsigned = (payload: object) =>
  [{ alg: 'none', typ: 'JWT', kid: keys.es.kid }, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
const good = { iss: issuer, aud: 'domicile:de', sub: 'anna', client: 'acme', exp: now + 60 };
const publicPem = keys.rs.publicKey.export({ type: 'spki', format: 'pem' }).toString();

test.each(
  Object.entries({
    'no word': 'Bearer',
    'another scheme': `Basic ${tokenOf()}`,
    rubbish: 'Bearer x.y.z',
    'alg none': `Bearer ${unsigned({ ...good, scope: allScopes })}.`,
    'alg NONE': `Bearer ${unsigned({ ...good, scope: allScopes }).replace('none', 'NONE')}.`,
    'HS256 by the public key': `Bearer ${jwt.sign({ ...good, scope: allScopes }, 'k'.repeat(32), { algorithm: 'HS256', keyid: keys.rs.kid })}`,
    'HS256 by the public PEM': `Bearer ${hmacBy(publicPem)}`,
    expired: `Bearer ${tokenOf({ exp: now - 60 })}`,
    'not yet good': `Bearer ${tokenOf({ nbf: now + 600 })}`,
    'without an end': `Bearer ${tokenOf({ exp: undefined })}`,
    'another issuer': `Bearer ${tokenOf({ iss: 'https://evil.example' })}`,
    'another audience': `Bearer ${tokenOf({ aud: 'domicile:us' })}`,
    'a longer audience': `Bearer ${tokenOf({ aud: 'domicile:de2' })}`,
    'two audiences': `Bearer ${tokenOf({ aud: ['domicile:de', 'domicile:us'] })}`,
    'no audience': `Bearer ${tokenOf({ aud: undefined })}`,
    'no client': `Bearer ${tokenOf({ client: undefined })}`,
    'no subject': `Bearer ${tokenOf({ sub: undefined })}`,
    'a key nobody published': `Bearer ${tokenOf({}, keys.forger)}`,
    'a published id over another key': `Bearer ${tokenOf({}, { ...keys.forger, kid: keys.es.kid })}`,
    'a changed payload': `Bearer ${tampered(tokenOf())}`,
    'a very long token': `Bearer ${tokenOf({ padding: 'x'.repeat(9_000) })}`,
    'a key in its own head': `Bearer ${jwt.sign(good, keys.forger.privateKey, { algorithm: 'ES256', header: { alg: 'ES256', kid: 'own', jwk: publicJwk(keys.forger) } as jwt.JwtHeader })}`,
  }),
)('a token with %s is refused', async (_what, authorization) => {
  const answer = await ask('/v1/buildings', { authorization });
  expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
  expect(await refused(Promise.resolve(answer))).toEqual([401, 'unauthenticated']);
  expect(cell.seen).toEqual([]);
});

function hmacBy(key: string): string {
  // The library refuses to make such a token, so it is made by hand.
  const signed = unsigned(good).replace(/^[^.]+/, base64({ alg: 'HS256', kid: keys.rs.kid }));
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

function base64(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function tampered(token: string): string {
  const [head, , signature] = token.split('.');
  return [head, base64({ ...good, client: '*', scope: allScopes }), signature].join('.');
}

test('API keys are known by their hash and end', async () => {
  const askBy = (key: string) => ask('/v1/raw/readings', { 'x-api-key': key });
  expect((await askBy(cell.apiKey)).status).toBe(200);
  expect(cell.seen.at(-1)?.headers).not.toHaveProperty('authorization');
  expect(cell.seen.at(-1)?.headers).not.toHaveProperty('x-api-key');
  expect(await refused(askBy(cell.oldApiKey))).toEqual([401, 'unauthenticated']);
  expect(await refused(askBy(`${cell.apiKey}x`))).toEqual([401, 'unauthenticated']);
  const both = { 'x-api-key': cell.apiKey, ...bearer(tokenOf()) };
  expect(await refused(ask('/v1/raw/readings', both))).toEqual([401, 'unauthenticated']);
});

test.each([
  '/v1/buildings/us-canary',
  '/v1/buildings/us-canary/latest?canary=1',
  '/v1/buildings/us-canary/nothing',
  '/v1/buildings/us-canary/devices/canary/commands',
  '/v1/raw/readings?building=us-canary',
  '/v1/raw/readings?building=de-7f3k&building=us-canary',
  '/v1/raw/readings?building=de-7f3k,us-canary',
  '/v1/analysis/load-profile?building=us-canary',
])('%s is sent to its own cell, whoever asks, without an echo', async (path) => {
  const headers = [{}, bearer(tokenOf()), { 'x-request-id': 'canary' }, bearer('canary')];
  for (const one of headers) {
    const answer = await ask(path, one);
    const all = JSON.stringify([...answer.headers]) + (await answer.clone().text());
    expect(all).not.toContain('canary');
    expect(await answer.json()).toMatchObject({
      status: 421,
      code: 'residency-violation',
      cell: usCell,
    });
  }
  expect(cell.seen).toEqual([]);
});

test('a country that nobody serves is refused alike, without an address', async () => {
  const answer = await ask('/v1/buildings/fr-1/latest');
  const body = problemSchema.parse(await answer.json());
  expect(body).toMatchObject({ status: 421, code: 'residency-violation' });
  expect(body).not.toHaveProperty('cell');
});

test.each([
  '//v1/buildings',
  '/v1//buildings',
  '/v1/buildings/',
  '/V1/buildings',
  '/v1/Buildings',
  '/v1/buildings/DE-7f3k',
  '/v1/buildings/US-1',
  '/v1/buildings/./de-7f3k',
  '/v1/raw/../buildings',
  '/v1/buildings/%2e%2e/raw/readings',
  '/v1/buildings/..%2fraw%2freadings',
  '/v1/buildings/de-7f3k%2flatest',
  '/v1/buildings/de-7f3k%00',
  '/v1/buildings/%252e%252e/x',
  '/v1/buildings/de-7f3k\\latest',
  '/v1/buildings/de-7f3k;x=1/latest',
  '/v1/buildings/%ff',
  '/v1/buildings/zz-7f3k',
  "/v1/buildings/de-7f3k'%20or%201=1",
  '/v1/data/../raw/readings',
  '/v1/data/..%5craw',
  '/v2/buildings',
  '/',
  '/admin',
  '/livez',
  '/metrics',
  '*',
  'http://127.0.0.1/v1/buildings',
  `/v1/buildings/${'x'.repeat(2_000)}`,
])('the path %s leads nowhere', async (path) => {
  const answer = await rawly(
    cell.port,
    `GET ${path} HTTP/1.1\nHost: x\nAuthorization: Bearer ${tokenOf({ scope: allScopes })}`,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 (404|400) /);
  expect(answer).toContain('"code":');
  expect(cell.seen).toEqual([]);
});

test.each([
  ["' or 1=1--", '..%2f..', '<script>', '$(id)', '\r\nX-Evil: 1', '\u0000', '%25', '🏠', '&&=?#'],
])('what is injected in a parameter goes on as a value and as nothing else', async (...values) => {
  for (const value of values) {
    const query = new URLSearchParams({ from: value, metric: value, cursor: value, [value]: 'x' });
    await ask(`/v1/buildings/de-7f3k/summaries?${query.toString()}`);
    const seen = new URL(cell.seen.at(-1)?.url ?? '', 'http://x');
    expect(seen.pathname).toBe('/v1/buildings/de-7f3k/summaries');
    expect([...seen.searchParams]).toEqual([...query]);
    expect(cell.seen.at(-1)?.headers).not.toHaveProperty('x-evil');
  }
});

test.each(["'; drop table", '..%2f..', '%00', '<b>'])(
  'a device or command %s is passed on as one segment or refused',
  async (value) => {
    const path = `/v1/buildings/de-7f3k/devices/${encodeURIComponent(value)}/commands/c1`;
    const answer = await ask(path);
    const { length } = cell.seen;
    expect(answer.status === 404 ? length : answer.status).toBe(answer.status === 404 ? 0 : 200);
    for (const { url } of cell.seen) expect(url.split('/')).toHaveLength(8);
  },
);

test('anybody may read the description, and what a problem means', async () => {
  const description = await ask('/openapi.json', {});
  expect(await description.json()).toMatchObject({ openapi: '3.1.1' });
  const page = await ask('/docs', {});
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  const { type } = z.looseObject({ type: z.string() }).parse(await (await ask('/x', {})).json());
  const meaning = await ask(type, {});
  expect([meaning.status, meaning.headers.get('location')]).toEqual([
    303,
    '/docs#problem-not-found',
  ]);
  expect(await page.text()).toContain('id="problem-not-found"');
  expect(await refused(ask('/problems/constructor', {}))).toEqual([404, 'not-found']);
  expect(await refused(ask('/docs', {}, { method: 'POST' }))).toEqual([405, 'method-not-allowed']);
});

test('the metrics know routes, not what was asked of them', async () => {
  // It is counted when all of it is answered.
  await (await ask('/v1/buildings/de-canary/latest?metric=canary')).text();
  const answer = await fetch(`${cell.service.adminUrl}/metrics`);
  const text = await answer.text();
  expect(text).toContain('route="/v1/buildings/{building}/latest"');
  expect(text).not.toContain('canary');
});

test('requests that could be read as two are refused', async () => {
  const authorised = `Host: x\nAuthorization: Bearer ${tokenOf()}`;
  const smuggled = 'GET /v1/raw/readings HTTP/1.1\r\nHost: x\r\n\r\n';
  const commands = '/v1/buildings/de-7f3k/devices/d/commands';
  const heads = {
    'two lengths': `POST ${commands} HTTP/1.1\n${authorised}\nContent-Length: 2\nContent-Length: 60`,
    'length and chunks': `POST ${commands} HTTP/1.1\n${authorised}\nContent-Length: 2\nTransfer-Encoding: chunked`,
    'odd chunking': `POST ${commands} HTTP/1.1\n${authorised}\nTransfer-Encoding: xchunked`,
    'a body on a GET': `GET /v1/buildings HTTP/1.1\n${authorised}\nContent-Length: ${smuggled.length}`,
    'a space before the colon': `GET /v1/buildings HTTP/1.1\n${authorised}\nX-A : b`,
    'no host': `GET /v1/buildings HTTP/1.1\nAuthorization: Bearer ${tokenOf()}`,
    'a huge head': `GET /v1/buildings HTTP/1.1\n${authorised}\nX-A: ${'a'.repeat(20_000)}`,
    'very many heads': `GET /v1/buildings HTTP/1.1\nHost: x\n${'X-A: b\n'.repeat(4_000)}X-B: c`,
  };
  for (const [what, head] of Object.entries(heads)) {
    const answer = await rawly(cell.port, head, smuggled);
    expect([what, answer]).toEqual([what, expect.stringMatching(/^HTTP\/1\.1 4(00|31|13) /)]);
  }
  expect(cell.seen).toEqual([]);
});

test('bodies are JSON and bounded', async () => {
  const path = '/v1/buildings/de-7f3k/devices/r101-air/commands';
  const post = (body: string, type = 'application/json', more = {}) =>
    ask(path, { ...bearer(tokenOf()), 'content-type': type, ...more }, { method: 'POST', body });
  expect(await refused(post('x'.repeat(300_000)))).toEqual([413, 'payload-too-large']);
  const endless = ReadableStream.from(Array.from({ length: 30 }, () => Buffer.alloc(10_000, 32)));
  const headers = { ...bearer(tokenOf()), 'content-type': 'application/json' };
  const chunked = ask(path, headers, { method: 'POST', body: endless, duplex: 'half' });
  expect(await refused(chunked)).toEqual([413, 'payload-too-large']);
  expect(await refused(post('a=1', 'text/plain'))).toEqual([415, 'media-type-unsupported']);
  expect(await refused(post('{}', 'application/json', { 'content-encoding': 'gzip' }))).toEqual([
    415,
    'media-type-unsupported',
  ]);
  expect(cell.seen).toEqual([]);
});

test('pages of the web app may ask, and no others', async () => {
  const preflight = (origin: string) =>
    ask('/v1/buildings', { origin, 'access-control-request-method': 'GET' }, { method: 'OPTIONS' });
  const allowed = await preflight(webOrigin);
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get('access-control-allow-origin')).toBe(webOrigin);
  expect(allowed.headers.get('access-control-allow-headers')).toContain('Authorization');
  const other = await preflight('http://evil.example');
  expect(other.headers.has('access-control-allow-origin')).toBe(false);
  const answer = await ask('/v1/buildings', { ...bearer(tokenOf()), origin: webOrigin });
  expect(answer.headers.get('access-control-allow-origin')).toBe(webOrigin);
  const refusal = await ask('/v1/buildings', { origin: webOrigin });
  expect(refusal.headers.get('access-control-allow-origin')).toBe(webOrigin);
  expect(answer.headers.has('access-control-allow-credentials')).toBe(false);
});
