import { PlatformError } from '@domicile/core/errors.ts';
import { isDeviceId } from '@domicile/core/identities.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type HttpServer, startHttp } from '@domicile/runtime/http.ts';
import { type RequestHandler, Router } from 'express';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { dropRequestSchema } from './model/dropped.ts';
import { registerStatusMetrics } from './status/metrics.ts';
import { pagePolicy, statusPage } from './status/page.ts';
import { type ReportParts, statusReport } from './status/report.ts';
import type { Store } from './store/store.ts';

export interface AdminParts extends ReportParts {
  readonly log: Logger;
  readonly registry: Registry;
  /** Starts the next agent; resolves when it takes connections. */
  readonly upgrade: () => Promise<{ readonly pid: number }>;
}

/**
 * The status page at `/`, `/livez`, `/readyz`, `/metrics`, `GET /status`, `POST /upgrade`, and with `allowDrop` `POST /drop {"device","from","to"}`: these numbers
 * are dropped when their turn to be sent comes, and stand in the account as dropped by an operator.
 */
export async function startAgentAdmin(parts: AdminParts): Promise<HttpServer> {
  const { config, log, registry } = parts;
  registerStatusMetrics(registry, parts);
  const router = Router();
  addRoute(router, '/livez', { GET: (_request, response) => void response.json({ live: true }) });
  addRoute(router, '/readyz', {
    GET: (_request, response) => void response.json({ ready: true, reasons: [] }),
  });
  addRoute(router, '/metrics', {
    GET: async (_request, response) => {
      const text = await registry.metrics();
      response.setHeader('Content-Type', registry.contentType);
      response.end(text);
    },
  });
  router.use(refuseOtherSites);
  addRoute(router, '/', {
    GET: async (_request, response) => {
      response.setHeader('Content-Security-Policy', pagePolicy);
      response.setHeader('Content-Type', 'text/html; charset=utf-8');
      response.end(statusPage(await statusReport(parts)));
    },
  });
  addRoute(router, '/status', {
    GET: async (_request, response) => void response.json(await statusReport(parts)),
  });
  addRoute(router, '/upgrade', {
    POST: async (_request, response) => void response.status(202).json(await parts.upgrade()),
  });
  if (config.allowDrop) addRoute(router, '/drop', { POST: dropHandler(parts.store) });
  return startHttp(router, { ...config.admin, log, drainTimeoutMs: 1000 });
}

/** The port asks for no password: no page of another site may press its buttons through a browser. */
const refuseOtherSites: RequestHandler = (request, _response, next) => {
  const site = request.get('sec-fetch-site') ?? 'none';
  if (
    request.method !== 'GET' &&
    request.method !== 'HEAD' &&
    site !== 'same-origin' &&
    site !== 'none'
  )
    throw new PlatformError('FORBIDDEN', 'Cannot do it: the request comes from another site');
  next();
};

function dropHandler(store: Store): RequestHandler {
  return async (request, response) => {
    const order = dropRequestSchema.safeParse(request.body);
    if (!order.success || !isDeviceId(order.data.device))
      throw new PlatformError('VALUE_INVALID', 'Cannot drop: send {"device","from","to"}');
    await store.order(order.data);
    response.status(202).json(order.data);
  };
}
