import { PlatformError } from '@domicile/core/errors.ts';
import { isDeviceId } from '@domicile/core/identities.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type HttpServer, startHttp } from '@domicile/runtime/http.ts';
import { type RequestHandler, Router } from 'express';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { dropRequestSchema } from './model/dropped.ts';
import { type ReportParts, statusReport } from './status/report.ts';
import type { Store } from './store/store.ts';

export interface AdminParts extends ReportParts {
  readonly log: Logger;
  readonly registry: Registry;
}

/**
 * `/livez`, `/readyz`, `/metrics`, `GET /status`, and with `allowDrop` `POST /drop {"device","from","to"}`: these numbers
 * are dropped when their turn to be sent comes, and stand in the account as dropped by an operator.
 */
export async function startAgentAdmin(parts: AdminParts): Promise<HttpServer> {
  const { config, log, registry } = parts;
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
  addRoute(router, '/status', {
    GET: async (_request, response) => void response.json(await statusReport(parts)),
  });
  if (config.allowDrop) addRoute(router, '/drop', { POST: dropHandler(parts.store) });
  return startHttp(router, { ...config.admin, log, drainTimeoutMs: 1000 });
}

function dropHandler(store: Store): RequestHandler {
  return async (request, response) => {
    const order = dropRequestSchema.safeParse(request.body);
    if (!order.success || !isDeviceId(order.data.device))
      throw new PlatformError('VALUE_INVALID', 'Cannot drop: send {"device","from","to"}');
    await store.order(order.data);
    response.status(202).json(order.data);
  };
}
