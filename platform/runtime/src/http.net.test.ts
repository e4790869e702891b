import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { Router } from 'express';
import { expect, test } from 'vitest';
import { startAdmin } from './admin.ts';
import { addRoute } from './http-route.ts';
import { type HttpOptions, startHttp, stoppingOf } from './http.ts';
import { createLog } from './log.ts';
import { createRegistry } from './metrics.ts';

const lines: string[] = [];
const log = createLog('test', { write: (line) => lines.push(line) });

function routes(hold?: () => Promise<void>): Router {
  const router = Router();
  addRoute(router, '/held', {
    GET: async (_request, response) => {
      await hold?.();
      response.json('done');
    },
  });
  addRoute(router, '/echo', {
    GET: (request, response) => void response.json(request.query),
    POST: (request, response) => void response.json(request.body),
  });
  addRoute(router, '/bug', {
    GET: () => {
      throw new TypeError('the secret of the bug');
    },
  });
  addRoute(router, '/refused', {
    GET: async () => {
      await wait(1);
      throw new PlatformError('VALUE_INVALID', 'Cannot read it: no');
    },
  });
  addRoute(router, '/stream', {
    GET: (request, response) => {
      response.write('first');
      stoppingOf(request).addEventListener('abort', () => response.end('last'));
    },
  });
  addRoute(router, '/stuck', { GET: (_request, response) => void response.write('first') });
  return router;
}

const start = (more: Partial<HttpOptions> = {}) =>
  startHttp(routes(), { host: '127.0.0.1', port: 0, log, ...more });

/** What `/held` waits for: `begun` tells that a request is there, and `release` lets it be answered. */
function holding() {
  const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const hold = () => {
    begun.resolve();
    return held.promise;
  };
  return { hold, begun: begun.promise, release: held.resolve };
}

const post = (url: string, body: string, type = 'application/json') =>
  fetch(`${url}/echo`, { method: 'POST', body, headers: { 'content-type': type } });

async function rawly(port: number, request: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  socket.end(request);
  return text(socket);
}

test('every failure is a problem of its kind', async () => {
  await using server = await start({ bodyBytesMax: 100 });
  const answers = {
    'not-found': fetch(`${server.url}/nothing`),
    'method-not-allowed': fetch(`${server.url}/bug`, { method: 'POST' }),
    'payload-too-large': post(server.url, JSON.stringify('x'.repeat(100))),
    'media-type-unsupported': post(server.url, 'x=1', 'application/x-www-form-urlencoded'),
    'request-malformed': post(server.url, '{"a":'),
    'value-invalid': fetch(`${server.url}/refused`),
    internal: fetch(`${server.url}/bug`),
  };
  const statuses: Record<string, number> = {};
  for (const [code, answer] of Object.entries(answers)) {
    const response = await answer;
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const body: unknown = await response.json();
    expect(body).toMatchObject({ code, type: `/problems/${code}`, status: response.status });
    statuses[code] = response.status;
  }
  expect(Object.values(statuses)).toEqual([404, 405, 413, 415, 400, 400, 500]);
  expect((await fetch(`${server.url}/bug`, { method: 'PUT' })).headers.get('allow')).toBe(
    'GET, HEAD',
  );
});

test('a bug is told to the log alone', async () => {
  await using server = await start();
  const response = await fetch(`${server.url}/bug`);
  expect(await response.text()).not.toContain('secret of the bug');
  const id = response.headers.get('x-request-id') ?? 'none';
  expect(lines.find((line) => line.includes(id))).toContain('the secret of the bug');
});

test('bytes that are no HTTP, and heads without end, are answered and cut', async () => {
  await using server = await start();
  expect(await rawly(server.port, 'GET / NONSENSE\r\n\r\n')).toMatch(
    /^HTTP\/1\.1 400 .*request-malformed/s,
  );
  expect(
    await rawly(server.port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`),
  ).toMatch(/^HTTP\/1\.1 431 .*headers-too-large/s);
  expect(
    await rawly(
      server.port,
      'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ),
  ).toMatch(/^HTTP\/1\.1 400 /);
});

test('answers carry the headers of a guarded house and an id that strangers cannot choose', async () => {
  await using server = await start();
  const response = await fetch(`${server.url}/echo?a=1`, { headers: { 'x-request-id': 'mine' } });
  expect(await response.json()).toEqual({ a: '1' });
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'x-request-id': expect.not.stringContaining('mine'),
  });
  expect(response.headers.has('x-powered-by')).toBe(false);
  await using behind = await start({ trustRequestId: true });
  const passedOn = await fetch(`${behind.url}/echo`, { headers: { 'x-request-id': 'mine' } });
  expect(passedOn.headers.get('x-request-id')).toBe('mine');
});

test('a close lets open requests and streams end and takes no new ones', async () => {
  const { hold, begun, release } = holding();
  const server = await startHttp(routes(hold), { host: '127.0.0.1', port: 0, log });
  const slow = fetch(`${server.url}/held`);
  const stream = await fetch(`${server.url}/stream`);
  await begun;
  const closed = server[Symbol.asyncDispose]();
  await expect(fetch(`${server.url}/echo`)).rejects.toThrow('fetch failed');
  release();
  expect(await (await slow).json()).toBe('done');
  expect(await stream.text()).toBe('firstlast');
  await closed;
});

test('a close does not wait for ever', async () => {
  const server = await start({ drainTimeoutMs: 50 });
  const stuck = await fetch(`${server.url}/stuck`);
  await server[Symbol.asyncDispose]();
  await expect(stuck.text()).rejects.toThrow('terminated');
});

test('a taken port is refused at the start', async () => {
  await using server = await start();
  await expect(start({ port: server.port })).rejects.toThrow('EADDRINUSE');
});

test('the admin port tells life, readiness with its reasons, and metrics by route', async () => {
  const registry = createRegistry({ service: 'test' });
  let ready: boolean | string[] = ['no Kafka'];
  await using admin = await startAdmin({
    host: '127.0.0.1',
    port: 0,
    log,
    registry,
    ready: () => ready,
  });
  await using server = await start({ registry });
  expect((await fetch(`${admin.url}/livez`)).status).toBe(200);
  const notYet = await fetch(`${admin.url}/readyz`);
  expect([notYet.status, await notYet.json()]).toEqual([
    503,
    { ready: false, reasons: ['no Kafka'] },
  ]);
  ready = true;
  expect((await fetch(`${admin.url}/readyz`)).status).toBe(200);
  await (await fetch(`${server.url}/echo?building=de-7f3k`)).text();
  const metrics = await (await fetch(`${admin.url}/metrics`)).text();
  expect(metrics).toContain('{service="test",method="GET",route="/echo",status="200"} 1');
  expect(metrics).not.toContain('de-7f3k');
});

test('a socket that listens already is served, and closed with the server when all is answered', async () => {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { hold, begun, release } = holding();
  const server = await startHttp(routes(hold), { host: '127.0.0.1', port: 0, log, listener });
  await fetch(`${server.url}/echo`);
  const open = fetch(`${server.url}/held`);
  await begun;
  const closed = server[Symbol.asyncDispose]().then(() => 'closed');
  expect(await Promise.race([closed, wait(50, 'open')])).toBe('open');
  release();
  expect(await (await open).json()).toBe('done');
  expect(await closed).toBe('closed');
  await expect(fetch(`${server.url}/echo`)).rejects.toThrow('fetch failed');
});
