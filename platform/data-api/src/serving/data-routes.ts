import { PlatformError } from '@domicile/core/errors.ts';
import type { ObjectStore } from '@domicile/lake/object-store.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type Request, Router } from 'express';
import { z } from 'zod';
import type { Door } from '../http/door.ts';
import { sendObject } from '../http/send-object.ts';
import { cursorText, parseCursor } from '../model/page.ts';
import { pageShape, readQuery } from '../model/parameters.ts';

const part = /^[A-Za-z0-9_=][A-Za-z0-9_=.-]{0,127}$/;
const version = 'v1';
const partsMax = 8;

/**
 * `/v1/data`: the serving layer as files. They hold several buildings, so they are for tokens that reach all of them. The
 * way to the newest files is `latest.json`, which names the snapshot, which names the data files.
 */
export function dataRoutes({ door, store }: { door: Door; store: ObjectStore }): Router {
  const router = Router();
  const enter = (request: Request): void => door.requireAll(door.claims(request, 'summary:read'));

  addRoute(router, '/v1/data', {
    GET: async (request, response) => {
      enter(request);
      readQuery({}, request.query);
      response.json({ rows: await endpointsOf(store), next: null });
    },
  });
  addRoute(router, '/v1/data/:api/:endpoint', {
    GET: async (request, response) => {
      enter(request);
      const { limit, cursor } = readQuery(pageShape, request.query);
      const folder = folderOf(partsOf([request.params['api'], request.params['endpoint']]));
      const after = parseCursor(cursor, z.tuple([z.string()]))?.[0];
      const keys = await store.list(folder, { limit: limit + 1, ...(after && { after }) });
      if (keys.length === 0 && after === undefined) throw notFound();
      const rows = await Promise.all(
        keys.slice(0, limit).map(async (key) => {
          const path = key.slice(folder.length);
          const bytes = (await store.head(key))?.bytes ?? 0;
          return { path, bytes, href: `${request.path}/${path}` };
        }),
      );
      const last = keys[limit - 1];
      response.json({ rows, next: keys.length > limit && last ? cursorText([last]) : null });
    },
  });
  addRoute(router, '/v1/data/:api/:endpoint/*path', {
    GET: async (request, response) => {
      enter(request);
      readQuery({}, request.query);
      const { api, endpoint, path } = request.params;
      const inside = partsOf([path].flat());
      const rest = inside[0] === version ? inside.slice(1) : inside;
      if (rest.length === 0) throw notFound();
      const key = folderOf(partsOf([api, endpoint])) + rest.join('/');
      await sendObject(store, key, request, response);
    },
  });
  return router;
}

function folderOf([api = '', endpoint = '']: readonly string[]): string {
  return `serving/${api}/${endpoint}/${version}/`;
}

/** Path parts that can only lead downwards. Anything else does not exist. */
function partsOf(given: readonly (string | string[] | undefined)[]): string[] {
  const read = z.array(z.string().regex(part)).min(1).max(partsMax).safeParse(given.flat());
  if (read.success) return read.data;
  throw notFound();
}

function notFound(): PlatformError {
  return new PlatformError('NOT_FOUND', 'Cannot find the file');
}

/** What endpoints there are: known by their pointer. */
async function endpointsOf(store: ObjectStore) {
  const found = await Promise.all(
    servingEndpoints.map(async ([api, endpoint]) => {
      const head = await store.head(`${folderOf([api, endpoint])}latest.json`);
      return head ? [{ api, endpoint, class: 'summary', href: `/v1/data/${api}/${endpoint}` }] : [];
    }),
  );
  return found.flat();
}

const servingEndpoints = [
  ['summaries', 'pt1m'],
  ['summaries', 'pt15m'],
  ['summaries', 'pt1h'],
  ['summaries', 'p1d'],
  ['account', 'landed'],
] as const;
