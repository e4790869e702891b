import { PlatformError } from '@domicile/core/errors.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type HttpServer, startHttp } from '@domicile/runtime/http.ts';
import { type Request, type Response, Router } from 'express';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { z } from 'zod';
import type { Readiness } from './readiness.ts';
import type { SessionRow, SessionsView } from './sessions-view.ts';

export interface BrokerAdminParts {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Logger;
  readonly registry: Registry;
  readonly readiness: Readiness;
  /** Absent while the broker starts. */
  readonly sessions: () => SessionsView | undefined;
  readonly status: () => BrokerStatus;
}

/** What `GET /status` tells beside readiness. */
export interface BrokerStatus {
  readonly country: string;
  readonly replica: string;
  readonly startedAtMs: number;
  readonly connections: number;
  readonly sessions: number;
  readonly inFlight: number;
  readonly ports: Readonly<Record<string, number | undefined>>;
}

const limitMax = 1000;
const limitUsual = 100;

const querySchema = z.object({
  building: z.string().min(1).max(63).optional(),
  limit: z.coerce.number().int().min(1).max(limitMax).default(limitUsual),
  cursor: z.string().max(2048).optional(),
});

/**
 * `/livez`, `/readyz` (503 with its reasons until ready), `/metrics`, `GET /status`, `GET /sessions?building=&limit=&cursor=`,
 * `GET /sessions/{key}` and `POST /sessions/{key}/kick`. For operators alone: whoever reaches the port may do all of it.
 */
export async function startBrokerAdmin(parts: BrokerAdminParts): Promise<HttpServer> {
  const { host, port, log, registry, readiness } = parts;
  const router = Router();
  addRoute(router, '/livez', { GET: (_request, response) => void response.json({ live: true }) });
  addRoute(router, '/readyz', {
    GET: (_request, response) => {
      const { reasons } = readiness;
      const ready = reasons.length === 0;
      response.status(ready ? 200 : 503).json({ ready, reasons });
    },
  });
  addRoute(router, '/metrics', {
    GET: async (_request, response) => {
      const text = await registry.metrics();
      response.setHeader('Content-Type', registry.contentType);
      response.end(text);
    },
  });
  addRoute(router, '/status', {
    GET: (_request, response) => void response.json(statusOf(parts)),
  });
  addSessionRoutes(router, () => {
    const view = parts.sessions();
    if (view) return view;
    throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot show sessions: the broker is starting');
  });
  return startHttp(router, { host, port, log, drainTimeoutMs: 1000 });
}

function addSessionRoutes(router: Router, view: () => SessionsView): void {
  addRoute(router, '/sessions', {
    GET: async (request, response) => {
      const read = querySchema.safeParse(request.query);
      if (!read.success) {
        const message = `Cannot list sessions: limit is 1 to ${limitMax}, and building and cursor are texts`;
        throw new PlatformError('VALUE_INVALID', message);
      }
      const { building, limit, cursor } = read.data;
      const after = cursor === undefined ? undefined : fromCursor(cursor);
      const { rows, more } = await view().list({ building, limit, after });
      const last = rows.at(-1);
      response.json({
        sessions: rows.map(shown),
        ...(more && last && { next: toCursor(last.key) }),
      });
    },
  });
  addRoute(router, '/sessions/:key', {
    GET: async (request, response) => {
      const session = await view().find(keyOf(request));
      if (!session) throw unknownSession();
      response.json(shown(session));
    },
  });
  addRoute(router, '/sessions/:key/kick', {
    POST: async (request, response) => kick(view(), request, response),
  });
}

async function kick(view: SessionsView, request: Request, response: Response): Promise<void> {
  // Browsers say where a page is from: no page may do this behind an operator's back.
  if (request.get('origin') !== undefined) {
    throw new PlatformError('FORBIDDEN', 'Cannot kick from a web page: use the command line');
  }
  const kicked = await view.kick(keyOf(request));
  if (kicked.outcome === 'kicked') response.json({ kicked: true });
  else if (kicked.outcome === 'not-found') throw unknownSession();
  else {
    const why =
      kicked.outcome === 'elsewhere'
        ? `replica ${kicked.replica} serves it: ask there`
        : 'it is not connected';
    throw new PlatformError('CONFLICT', `Cannot kick this session: ${why}`);
  }
}

function statusOf({ readiness, status }: BrokerAdminParts) {
  const { startedAtMs, ...rest } = status();
  const { reasons } = readiness;
  return {
    ready: reasons.length === 0,
    reasons,
    startedAt: new Date(startedAtMs).toISOString(),
    ...rest,
  };
}

function shown<Row extends SessionRow>({ sinceMs, ...row }: Row) {
  return { ...row, ...(sinceMs !== undefined && { since: new Date(sinceMs).toISOString() }) };
}

function keyOf({ params }: Request): string {
  const { key } = params;
  return typeof key === 'string' ? key : '';
}

const toCursor = (key: string): string => Buffer.from(key).toString('base64url');
const fromCursor = (cursor: string): string => Buffer.from(cursor, 'base64url').toString();

function unknownSession(): PlatformError {
  return new PlatformError(
    'NOT_FOUND',
    'There is no such session: its key is {building}/{client id}',
  );
}
