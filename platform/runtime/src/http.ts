import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { Server as Listener } from 'node:net';
import type { Duplex } from 'node:stream';
import { PlatformError } from '@domicile/core/errors.ts';
import { assert } from '@domicile/core/invariants.ts';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { httpMetrics } from './metrics.ts';
import { type Problem, problemMediaType, problemOfAny, problemOfStatus } from './problem.ts';

export interface HttpOptions {
  /** The address to listen on, never a default: what is open is said. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Listens already, for example since another process. Its connections are taken from this turn on; closed with the server. */
  readonly listener?: Listener;
  readonly log: Logger;
  readonly registry?: Registry;
  /** Bodies must be JSON and are parsed; `false` leaves them to the routes as streams. */
  readonly jsonBodies?: boolean;
  readonly bodyBytesMax?: number;
  /** Take the caller's `x-request-id`: for services behind the gateway alone. */
  readonly trustRequestId?: boolean;
  /** How long open requests may take to end at a close before they are cut. */
  readonly drainTimeoutMs?: number;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
}

const bodyBytesMax = 256 * 1024;
const headerBytesMax = 16 * 1024;
const headersMax = 100;
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const keepAliveTimeoutMs = 15_000;
const idleTimeoutMs = 120_000;
const connectionsMax = 4_096;
const drainTimeoutMs = 10_000;

const securityHeaders = {
  'Cache-Control': 'private, no-cache',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

const stopping = new WeakMap<object, AbortSignal>();

/** Aborts when the server is told to stop: streams without an end close then. */
export function stoppingOf(request: Request): AbortSignal {
  const signal = stopping.get(request.app);
  assert(signal !== undefined, 'The request is not of a server that startHttp started');
  return signal;
}

/**
 * Serves `routes` (an express Router, or any handler) with what every HTTP service of the platform has:
 * request ids, security headers, bounds, RFC 9457 problems for every failure. Disposing stops taking in,
 * lets open requests end, and cuts what is left after `drainTimeoutMs`.
 */
export async function startHttp(routes: RequestHandler, options: HttpOptions): Promise<HttpServer> {
  const stop = new AbortController();
  const app = shellAround(routes, options);
  stopping.set(app, stop.signal);
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      requestTimeout: requestTimeoutMs,
    },
    app,
  );
  server.maxHeadersCount = headersMax;
  server.maxConnections = connectionsMax;
  server.setTimeout(idleTimeoutMs);
  server.on('clientError', answerBrokenRequest);
  server.on('request', (_request, response) => {
    response.once('close', () => {
      if (stop.signal.aborted) setImmediate(() => server.closeIdleConnections());
    });
  });
  const port = await listen(server, options);
  return {
    port,
    url: `http://${options.host}:${port}`,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await close(server, options);
    },
  };
}

function shellAround(routes: RequestHandler, options: HttpOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  app.use(identified(options), secured);
  if (options.registry) app.use(observed(options.registry));
  if (options.jsonBodies !== false)
    app.use(onlyJson, express.json({ limit: options.bodyBytesMax ?? bodyBytesMax }));
  app.use(routes);
  app.use(() => {
    throw new PlatformError('NOT_FOUND', problemOfStatus(404).detail);
  });
  app.use(answerFailure(options.log));
  return app;
}

const identified =
  ({ trustRequestId = false }: HttpOptions): RequestHandler =>
  (request, response, next) => {
    const given = request.get('x-request-id') ?? '';
    const id = trustRequestId && /^[\w-]{1,64}$/.test(given) ? given : randomUUID();
    response.setHeader('X-Request-Id', id);
    next();
  };

const secured: RequestHandler = (_request, response, next) => {
  for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
  next();
};

function observed(registry: Registry): RequestHandler {
  const observe = httpMetrics(registry);
  return (request, response, next) => {
    const from = performance.now();
    response.once('close', () => {
      observe({
        method: knownMethods.has(request.method) ? request.method : 'other',
        route: routeOf(request),
        status: response.statusCode,
        seconds: (performance.now() - from) / 1000,
      });
    });
    next();
  };
}

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function routeOf(request: Request): string {
  const route: unknown = request.route;
  if (typeof route !== 'object' || route === null || !('path' in route)) return 'none';
  return typeof route.path === 'string' ? route.path : 'none';
}

const onlyJson: RequestHandler = (request, _response, next) => {
  const hasBody =
    request.headers['transfer-encoding'] !== undefined ||
    (request.headers['content-length'] ?? '0') !== '0';
  if (hasBody && request.is('application/json') === false)
    throw new PlatformError('MEDIA_TYPE_UNSUPPORTED', problemOfStatus(415).detail);
  next();
};

/** Express knows an error handler by its four parameters. */
const answerFailure =
  (log: Logger): ErrorRequestHandler =>
  (error: unknown, _request, response, _next) => {
    const answer = problemOfAny(error);
    const requestId = response.getHeader('X-Request-Id');
    if (answer.status >= 500) {
      const isOurs = error instanceof PlatformError;
      // What passes by itself may come a thousand times a minute: one line each, without a stack.
      const why = isOurs && error.decision.retriable ? { why: error.message } : { err: error };
      log[isOurs ? 'warn' : 'error']({ requestId, code: answer.code, ...why }, 'Request failed');
    }
    if (response.headersSent) response.destroy();
    else sendProblem(response, answer);
  };

/** Answers with a problem; what the answer said of its content before is taken back. */
export function sendProblem(response: Response, answer: Problem): void {
  response.removeHeader('Content-Encoding');
  response.removeHeader('ETag');
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Content-Type', problemMediaType);
  response.status(answer.status).end(JSON.stringify(answer));
}

/** Bytes that are no HTTP, or too many of them: no request object exists yet. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const statuses: Readonly<Record<string, number>> = {
    HPE_HEADER_OVERFLOW: 431,
    ERR_HTTP_REQUEST_TIMEOUT: 408,
  };
  const answer = problemOfStatus(statuses[error.code ?? ''] ?? 400);
  const body = JSON.stringify(answer);
  socket.end(
    [
      `HTTP/1.1 ${answer.status} ${answer.title}`,
      'Connection: close',
      `Content-Type: ${problemMediaType}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  );
}

async function listen(server: Server, { host, port, listener }: HttpOptions): Promise<number> {
  if (listener) {
    listener.on('connection', (socket) => server.emit('connection', socket));
    // From here on it watches the time of its connections, and knows the idle ones.
    server.emit('listening');
    return portOf(listener);
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  await promise;
  server.off('error', reject);
  return portOf(server);
}

function portOf(server: Listener): number {
  const address = server.address();
  assert(address !== null && typeof address === 'object', 'A listening server has an address');
  return address.port;
}

async function close(server: Server, options: HttpOptions): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  (options.listener ?? server).close(() => resolve());
  if (options.listener) server.close();
  const timeoutMs = options.drainTimeoutMs ?? drainTimeoutMs;
  const cut = setTimeout(() => server.closeAllConnections(), timeoutMs);
  await promise;
  clearTimeout(cut);
}
