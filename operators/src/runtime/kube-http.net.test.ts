import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { expect, test } from 'vitest';
import { KubeHttp, type KubeHttpOptions } from './kube-http.ts';
import { accessTo, status } from './test-fake-api.ts';

async function serve(listener: RequestListener, options: Partial<KubeHttpOptions> = {}) {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const http = new KubeHttp({ access: accessTo(port), userAgent: 'test', ...options });
  return {
    http,
    server,
    access: accessTo(port),
    async [Symbol.asyncDispose]() {
      http[Symbol.dispose]();
      server.close();
      server.closeAllConnections();
    },
  };
}

const get = { method: 'GET', path: '/x', doing: 'look' } as const;

test.each([
  [400, 'VALUE_INVALID'],
  [401, 'FORBIDDEN'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [409, 'CONFLICT'],
  [422, 'VALUE_INVALID'],
  [429, 'RATE_LIMITED'],
  [500, 'UPSTREAM_UNAVAILABLE'],
  [503, 'UPSTREAM_UNAVAILABLE'],
])('the status %i is %s, with the words of the server', async (code, expected) => {
  await using served = await serve((_request, response) => status(response, code));
  await expect(served.http.call(get)).rejects.toMatchObject({
    code: expected,
    message: `Cannot look: is ${code}`,
  });
});

test('who gives no answer in time is left', async () => {
  await using served = await serve(() => {});
  await expect(served.http.call({ ...get, timeoutMs: 100 })).rejects.toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
    message: expect.stringContaining('nothing within 100 ms'),
  });
});

test('who stops within an answer is left as well', async () => {
  await using served = await serve((_request, response) => {
    response.writeHead(200, { 'Content-Length': '100' });
    response.write('{"half":');
  });
  await expect(served.http.call({ ...get, timeoutMs: 100 })).rejects.toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
    message: expect.stringContaining('nothing within 100 ms'),
  });
});

test('nobody there is said as such', async () => {
  await using served = await serve(() => {});
  served.server.close();
  await expect(served.http.call(get)).rejects.toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
    message: expect.stringContaining('ECONNREFUSED'),
  });
});

test('connections are kept, and one that was closed meanwhile is no failure', async () => {
  let requests = 0;
  await using served = await serve((request, response) => {
    requests += 1;
    if (requests === 3) request.socket.resetAndDestroy();
    else response.end(`{"request":${requests}}`);
  });
  let connections = 0;
  served.server.on('connection', () => (connections += 1));
  await served.http.call(get);
  await served.http.call(get);
  expect(connections).toBe(1);
  expect(await served.http.call(get)).toEqual({ request: 4 });
});

test('what creates is not sent twice', async () => {
  let posts = 0;
  await using served = await serve((request, response) => {
    if (request.method !== 'POST') response.end('{}');
    else {
      posts += 1;
      request.socket.resetAndDestroy();
    }
  });
  await served.http.call(get);
  await expect(served.http.call({ ...get, method: 'POST', body: {} })).rejects.toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
  });
  expect(posts).toBe(1);
});

test('a token that is refused is read again, once', async () => {
  let token = 'old';
  await using served = await serve((request, response) => {
    if (request.headers.authorization === 'Bearer new') response.end('{"in":true}');
    else status(response, 401);
  });
  const access = {
    ...served.access,
    authorization: async (isRefused: boolean) => {
      if (isRefused) token = 'new';
      return `Bearer ${token}`;
    },
  };
  using http = new KubeHttp({ access, userAgent: 'test' });
  expect(await http.call(get)).toEqual({ in: true });
});

test('an abort ends a request at once', async () => {
  await using served = await serve(() => {});
  const stop = new AbortController();
  const call = served.http.call({ ...get, signal: stop.signal });
  const ended = call.catch((error: unknown) => error);
  stop.abort();
  expect(await ended).toMatchObject({ name: 'AbortError' });
});

test('every request is counted by its method and status', async () => {
  const seen: string[] = [];
  const observe = (method: string, code: string) => void seen.push(`${method} ${code}`);
  await using served = await serve(
    (request, response) => (request.url === '/x' ? response.end('{}') : status(response, 404)),
    { observe },
  );
  await served.http.call(get);
  await served.http.call({ ...get, path: '/y' }).catch(() => undefined);
  served.server.close();
  served.server.closeAllConnections();
  await served.http.call({ ...get, method: 'POST', body: {} }).catch(() => undefined);
  await waitFor('the counts', () => seen.length === 3);
  expect(seen).toEqual(['GET 200', 'GET 404', 'POST <error>']);
});
