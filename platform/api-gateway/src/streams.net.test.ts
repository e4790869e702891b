import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@domicile/devkit/free-ports.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import {
  keys,
  listening,
  publicJwk,
  startTestCell,
  type TestCell,
  tokenOf,
} from './test-support.ts';

const live = '/v1/buildings/de-7f3k/live';
const problemSchema = z.looseObject({ code: z.string(), status: z.number() });

interface Asking {
  readonly sub?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

function ask(cell: TestCell, path: string, { sub = 'anna', headers, ...rest }: Asking = {}) {
  const authorization = `Bearer ${tokenOf({ sub })}`;
  return fetch(`${cell.url}${path}`, { ...rest, headers: { authorization, ...headers } });
}

async function codeOf(answer: Promise<Response>): Promise<string> {
  return problemSchema.parse(await (await answer).json()).code;
}

async function metricOf(cell: TestCell, name: string): Promise<string> {
  const text = await (await fetch(`${cell.service.adminUrl}/metrics`)).text();
  return text.split('\n').find((line) => line.startsWith(name) && !line.startsWith('#')) ?? '';
}

test('events come through one by one, and the service is told when the client goes', async () => {
  await using cell = await startTestCell();
  const gone = Promise.withResolvers<void>();
  const next = Promise.withResolvers<void>();
  cell.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('id: 1\n\n');
    void next.promise.then(() => response.write('id: 2\n\n'));
    response.once('close', () => gone.resolve());
  };
  const leave = new AbortController();
  const headers = { 'last-event-id': '0', accept: 'text/event-stream' };
  const answer = await ask(cell, live, { signal: leave.signal, headers });
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  expect(cell.seen[0]?.headers).toMatchObject(headers);
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader?.read())?.value).toBe('id: 1\n\n');
  next.resolve();
  expect((await reader?.read())?.value).toBe('id: 2\n\n');
  expect(await metricOf(cell, 'gateway_streams')).toMatch(/ 1$/);
  leave.abort();
  await gone.promise;
  await expect.poll(() => metricOf(cell, 'gateway_streams')).toMatch(/ 0$/);
});

test('a subject holds so many streams and no more, and gets its place back', async () => {
  await using cell = await startTestCell({ GATEWAY_STREAMS_PER_SUBJECT: '2' });
  cell.answer = (_request, response) => void response.write('id: 1\n\n');
  const leave = new AbortController();
  await ask(cell, live, { signal: leave.signal });
  await ask(cell, live);
  const third = ask(cell, live);
  expect((await third).status).toBe(429);
  expect((await ask(cell, live, { sub: 'bert' })).status).toBe(200);
  leave.abort();
  await expect.poll(async () => (await ask(cell, live)).status).toBe(200);
});

test('a client that goes while its token is judged holds no stream', async () => {
  let reads = 0;
  const readAgain = Promise.withResolvers<void>();
  const published = Promise.withResolvers<void>();
  await using keySet = await listening((_request, response) => {
    reads += 1;
    if (reads === 1) {
      response.writeHead(503).end();
      return;
    }
    readAgain.resolve();
    void published.promise.then(() => response.end(JSON.stringify({ keys: [publicJwk(keys.es)] })));
  });
  const settings = { GATEWAY_JWKS: keySet.url, GATEWAY_STREAMS_PER_SUBJECT: '1' };
  await using cell = await startTestCell(settings);
  cell.answer = (_request, response) => void response.write('id: 1\n\n');
  const leave = new AbortController();
  const judged = async () => {
    const asked = ask(cell, live, { signal: leave.signal }).catch(() => undefined);
    await Promise.race([asked, readAgain.promise]);
    return reads;
  };
  await expect.poll(judged, { timeout: 10_000 }).toBe(2);
  leave.abort();
  const answers = async () => (await fetch(`${cell.service.adminUrl}/metrics`)).text();
  // Nothing was answered, so it is counted as it would have been.
  await expect.poll(answers).toMatch(/http_request_duration_seconds_count\{.*status="200"/);
  published.resolve();
  await expect.poll(async () => (await ask(cell, live)).status).toBe(200);
});

test('streams end when the door closes', async () => {
  const cell = await startTestCell();
  cell.answer = (_request, response) => void response.write('id: 1\n\n');
  const answer = await ask(cell, live);
  const from = performance.now();
  await Promise.all([cell[Symbol.asyncDispose](), answer.text()]);
  expect(performance.now() - from).toBeLessThan(3_000);
});

test('a service that is not there, is too slow, or does not know us is a problem, not a hang', async () => {
  const nobody = await freePort();
  await using cell = await startTestCell({ GATEWAY_COMMANDS_URL: `http://127.0.0.1:${nobody}` });
  const command = '/v1/buildings/de-7f3k/devices/d/commands/c1';
  const answer = await ask(cell, command);
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
  expect(JSON.stringify(await answer.json())).not.toContain(`${nobody}`);
  await using impatient = await startTestCell({ GATEWAY_UPSTREAM_TIMEOUT_MS: '100' });
  impatient.answer = () => undefined;
  expect(await codeOf(ask(impatient, '/v1/buildings'))).toBe('upstream-unavailable');
  cell.answer = (_request, response) => response.writeHead(401).end();
  expect(await codeOf(ask(cell, '/v1/buildings'))).toBe('upstream-unavailable');
  cell.answer = (request) => request.socket.destroy();
  expect(await codeOf(ask(cell, '/v1/buildings'))).toBe('upstream-unavailable');
  const begun = Promise.withResolvers<void>();
  cell.answer = (_request, response) => {
    response.write('half');
    void begun.promise.then(() => response.destroy());
  };
  const half = await ask(cell, '/v1/buildings');
  begun.resolve();
  await expect(half.text()).rejects.toThrow('terminated');
});

test('what a service answers comes back as it is, without what it says of itself', async () => {
  await using cell = await startTestCell();
  cell.answer = (_request, response) => {
    response.writeHead(404, {
      'content-type': 'application/problem+json',
      etag: '"7"',
      server: 'inside',
      'set-cookie': 'a=b',
      'access-control-allow-origin': '*',
    });
    response.end('{"code":"not-found"}');
  };
  const answer = await ask(cell, '/v1/buildings/de-7f3k');
  expect([answer.status, await answer.text()]).toEqual([404, '{"code":"not-found"}']);
  expect(answer.headers.get('etag')).toBe('"7"');
  for (const name of ['server', 'set-cookie', 'access-control-allow-origin'])
    expect(answer.headers.has(name)).toBe(false);
});

test('a kept connection that the service closed meanwhile is not the reader’s trouble', async () => {
  await using cell = await startTestCell();
  let served = 0;
  cell.answer = (request, response) => {
    served += 1;
    if (served % 2 === 0) request.socket.resetAndDestroy();
    else response.end('{}');
  };
  for (let n = 0; n < 5; n += 1) expect((await ask(cell, '/v1/buildings')).status).toBe(200);
  expect(served).toBeGreaterThan(5);
});

test('a subject that asks too much is told how long to wait, and nobody else is', async () => {
  await using cell = await startTestCell({ GATEWAY_LIMIT_REQUESTS: '3' });
  const first = await ask(cell, '/v1/buildings');
  expect(first.headers.get('ratelimit-policy')).toBe('"default";q=3;w=60');
  expect(first.headers.get('ratelimit')).toBe('"default";r=2;t=20');
  await ask(cell, '/v1/buildings');
  await ask(cell, '/v1/buildings');
  const fourth = await ask(cell, '/v1/buildings');
  expect(fourth.status).toBe(429);
  expect(fourth.headers.get('retry-after')).toMatch(/^(1\d|20)$/);
  expect(await codeOf(Promise.resolve(fourth))).toBe('rate-limited');
  expect((await ask(cell, '/v1/buildings', { sub: 'bert' })).status).toBe(200);
  expect(cell.seen).toHaveLength(4);
});

test('an address that shows bad credentials without end is told to stop; good ones still pass', async () => {
  await using cell = await startTestCell({ GATEWAY_LIMIT_FAILURES: '3' });
  const bad = () => fetch(`${cell.url}/v1/buildings`, { headers: { 'x-api-key': 'guess' } });
  const statuses: number[] = [];
  for (let n = 0; n < 5; n += 1) statuses.push((await bad()).status);
  expect(statuses).toEqual([401, 401, 401, 429, 429]);
  expect((await ask(cell, '/v1/buildings')).status).toBe(200);
});

test('strangers’ key ids do not make us ask the issuer again and again', async () => {
  await using cell = await startTestCell();
  for (let n = 0; n < 20; n += 1) {
    const token = tokenOf({}, { ...keys.forger, kid: `made-up-${n}` });
    await fetch(`${cell.url}/v1/buildings`, { headers: { authorization: `Bearer ${token}` } });
  }
  expect(cell.keySetReads).toBe(1);
});

test('a copied key file is as good as the issuer’s address, and a door without keys says so', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jwks-'));
  await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  const file = join(folder, 'jwks.json');
  await writeFile(file, JSON.stringify({ keys: [publicJwk(keys.es)] }));
  await using cell = await startTestCell({ GATEWAY_JWKS: file });
  expect((await ask(cell, '/v1/buildings')).status).toBe(200);
  expect((await fetch(`${cell.service.adminUrl}/readyz`)).status).toBe(200);

  await using keyless = await startTestCell({ GATEWAY_JWKS: join(folder, 'none.json') });
  expect(await codeOf(ask(keyless, '/v1/buildings'))).toBe('upstream-unavailable');
  expect((await fetch(`${keyless.service.adminUrl}/readyz`)).status).toBe(503);
});
