import { type RequestHandler, Router } from 'express';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { addRoute } from './http-route.ts';
import { type HttpServer, startHttp } from './http.ts';

export interface AdminOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Logger;
  readonly registry: Registry;
  /** `true`, or why not; an empty list is ready too. */
  readonly ready: () => boolean | readonly string[];
  /** What else other processes of the platform ask this one; no data of clients. */
  readonly routes?: RequestHandler;
}

/** `/livez`, `/readyz` (503 with its reasons until ready) and `/metrics` of one process. */
export async function startAdmin(options: AdminOptions): Promise<HttpServer> {
  const { host, port, log, registry, ready, routes } = options;
  const router = Router();
  addRoute(router, '/livez', { GET: (_request, response) => void response.json({ live: true }) });
  addRoute(router, '/readyz', {
    GET: (_request, response) => {
      const state = ready();
      const reasons = typeof state === 'boolean' ? (state ? [] : ['not ready']) : state;
      const isReady = reasons.length === 0;
      response.status(isReady ? 200 : 503).json({ ready: isReady, reasons });
    },
  });
  addRoute(router, '/metrics', {
    GET: async (_request, response) => {
      const text = await registry.metrics();
      response.setHeader('Content-Type', registry.contentType);
      response.end(text);
    },
  });
  if (routes) router.use(routes);
  return startHttp(router, { host, port, log, drainTimeoutMs: 1_000 });
}
