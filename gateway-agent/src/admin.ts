import { PlatformError } from '@domicile/core/errors.ts';
import { isDeviceId } from '@domicile/core/identities.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type HttpServer, startHttp } from '@domicile/runtime/http.ts';
import { type RequestHandler, Router } from 'express';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { AgentConfig } from './config.ts';
import type { Driver } from './drivers/driver.ts';
import { dropRequestSchema } from './model/dropped.ts';
import { countOf } from './model/ranges.ts';
import type { Store } from './store/store.ts';
import type { Uplink } from './uplink/uplink.ts';

export interface AdminParts {
  readonly config: AgentConfig;
  readonly log: Logger;
  readonly registry: Registry;
  readonly store: Store;
  readonly uplink: Uplink;
  readonly drivers: readonly Driver[];
  readonly now: () => number;
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
    GET: (_request, response) => void response.json(statusOf(parts)),
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

function statusOf({ config, store, uplink, drivers, now }: AdminParts) {
  const { boot, next, unsent, bytes } = store;
  const { numbers, dropped } = store.account(now());
  return {
    building: config.building,
    connected: uplink.connected,
    store: { boot, next, bytes, unsent, unsentRecords: countOf(unsent) },
    devices: Object.entries(numbers).map(([device, { own, passed }]) => ({
      device,
      ...(own !== undefined && { own: { boot, next: own } }),
      ...(passed && { passed }),
    })),
    dropped,
    drivers: drivers.map(({ name, port }) => ({ name, ...(port !== undefined && { port }) })),
  };
}
