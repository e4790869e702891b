import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import express, { type RequestHandler, Router } from 'express';
import { z } from 'zod';
import type { WebConfig } from './config.ts';

export interface WebService extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
}

const pageConfig = z.looseObject({
  issuer: z.url(),
  cells: z.array(z.looseObject({ api: z.url() })).min(1),
});

/** For names that contain a hash of what is in the file. */
const keptForEver = 'public, max-age=31536000, immutable';

/** Starts the origin of the web app: files and an address book, no data and no credentials. */
export async function startWeb(config: WebConfig): Promise<WebService> {
  const log = createLog('web');
  const registry = createRegistry({ service: 'web' });
  await readPageConfig(config);
  await using parts = new AsyncDisposableStack();
  const host = config.WEB_HOST;
  const routes = webRoutes(config);
  const http = parts.use(
    await startHttp(routes, { host, port: config.WEB_PORT, log, registry, jsonBodies: false }),
  );
  const index = join(config.WEB_FILES, 'index.html');
  const ready = () => (existsSync(index) ? [] : ['the web app is not built']);
  const admin = parts.use(
    await startAdmin({ host, port: config.WEB_ADMIN_PORT, log, registry, ready }),
  );
  const running = parts.move();
  return {
    url: http.url,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function webRoutes(config: WebConfig): Router {
  const router = Router();
  router.use(onlyReading);
  addRoute(router, '/config.json', {
    GET: async (_request, response) => {
      response.json((await readPageConfig(config)).content);
    },
  });
  router.use(
    '/assets',
    express.static(join(config.WEB_FILES, 'assets'), {
      index: false,
      redirect: false,
      cacheControl: false,
      setHeaders: (response) => response.setHeader('Cache-Control', keptForEver),
    }),
    () => {
      throw notFound();
    },
  );
  router.use(
    express.static(config.WEB_FILES, { index: false, redirect: false, cacheControl: false }),
  );
  router.use(page(config));
  return router;
}

const onlyReading: RequestHandler = (request, response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') {
    next();
    return;
  }
  response.setHeader('Allow', 'GET, HEAD');
  throw new PlatformError('METHOD_NOT_ALLOWED', 'Cannot do it: the methods here are GET, HEAD');
};

/** The page itself is at every address that is no file: the app reads the address. */
function page(config: WebConfig): RequestHandler {
  return async (request, response) => {
    if (/\.\w+$/.test(request.path)) throw notFound();
    const [{ policy }, html] = await Promise.all([
      readPageConfig(config),
      readFile(join(config.WEB_FILES, 'index.html')).catch(() => {
        throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot show the page: it is not built');
      }),
    ]);
    response.setHeader('Content-Security-Policy', policy);
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(html);
  };
}

/** The page may ask the cells and the issuer that its own configuration names, and nobody else. */
async function readPageConfig(config: WebConfig) {
  const text = await readFile(config.WEB_CONFIG_FILE, 'utf8');
  const read = pageConfig.safeParse(JSON.parse(text));
  if (!read.success)
    throw new PlatformError('CONFIG_INVALID', 'Cannot read the configuration of the web app');
  const { issuer, cells } = read.data;
  const origins = [issuer, ...cells.map(({ api }) => api)].map(
    (address) => new URL(address).origin,
  );
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "manifest-src 'self'",
    `connect-src 'self' ${[...new Set(origins)].join(' ')}`,
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
  return { content: read.data, policy };
}

function notFound(): PlatformError {
  return new PlatformError('NOT_FOUND', 'Cannot find it: there is no such file');
}
