import { PlatformError } from '@domicile/core/errors.ts';
import type { LocalFiles } from '@domicile/lake/local-files.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type Request, type Response, Router } from 'express';
import { formatOf, linkNext } from '../http/answer.ts';
import type { Door } from '../http/door.ts';
import { parseCursor } from '../model/page.ts';
import {
  idNames,
  limitParameter,
  metricNames,
  pageShape,
  periodShape,
  readQuery,
} from '../model/parameters.ts';
import { periodMsMax } from '../model/period.ts';
import { rawKey } from '../model/raw-rows.ts';
import type { Engine } from './engine.ts';
import type { RawEvents } from './events.ts';
import type { Gate } from './gate.ts';
import { preparePage } from './raw-page.ts';
import { partOf, type RawZone, withPart } from './raw-zone.ts';
import { sendPage } from './send-page.ts';

export interface RawParts {
  readonly door: Door;
  readonly engine: Engine;
  readonly gate: Gate;
  readonly zone: RawZone;
  readonly events: RawEvents;
  /** Landed files where the engine can read them. */
  readonly files: LocalFiles;
  readonly scratchDir: string;
}

export const rowsDefault = 1_000;
/** A building of 100 devices says about 108,000 values an hour. */
export const rowsMax = 200_000;

const readingsShape = {
  ...periodShape,
  ...pageShape,
  limit: limitParameter({ default: rowsDefault, max: rowsMax }),
  building: idNames,
  device: idNames.optional(),
  metric: metricNames.optional(),
};

const formats = ['json', 'ndjson', 'csv', 'parquet', 'arrow'] as const;

/** `/v1/raw/…`: single readings, for internal teams. */
export function rawRoutes(parts: RawParts): Router {
  const router = Router();
  addRoute(router, '/v1/raw/readings', {
    GET: (request, response) => answerReadings(parts, request, response),
  });
  const announced = (request: Request): never => {
    parts.door.claims(request, 'raw:read');
    throw new PlatformError('NOT_BUILT', 'Cannot answer yet: this part is announced and not built');
  };
  addRoute(router, '/v1/raw/files', { GET: announced });
  addRoute(router, '/v1/raw/files/*path', { GET: announced });
  return router;
}

/** Since when readings are kept, if the period begins before it: what was received earlier has gone. */
function retainedFromOf({ landed }: RawZone, fromMs: number): string | undefined {
  const sinceMs = landed.keptSinceMs;
  return fromMs < sinceMs ? new Date(sinceMs).toISOString() : undefined;
}

async function answerReadings(
  parts: RawParts,
  request: Request,
  response: Response,
): Promise<void> {
  const { door, engine, zone, events, scratchDir } = parts;
  const claims = door.claims(request, 'raw:read');
  door.requireHome(request.query['building']);
  const query = readQuery(readingsShape, request.query, periodMsMax);
  const format = formatOf(request, formats);
  const buildings = door.allOf(claims, query.building).map(({ id }) => id);
  const after = parseCursor(query.cursor, rawKey);
  const filter = {
    fromMs: query.from,
    toMs: query.to,
    devices: query.device,
    metrics: query.metric,
  };
  events.readingsAsked(claims.subject, buildings);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const answer = engine.run(gone.signal, async ({ connection, signal }) => {
    events.queriesRun(parts.gate.running);
    const question = { ...filter, buildings, limit: query.limit, after };
    const page = await withPart(
      { zone, files: parts.files, signal },
      () => partOf(zone, buildings, filter),
      ({ paths, tail }) => preparePage(connection, { ...question, tail, files: paths }),
    );
    response.vary('Accept');
    linkNext(request, response, page.next);
    const retainedFrom = retainedFromOf(zone, query.from);
    if (retainedFrom !== undefined) response.setHeader('Domicile-Retained-From', retainedFrom);
    await sendPage(format, response, { connection, page, retainedFrom, scratchDir, signal });
  });
  await answer.catch((error: unknown) => {
    if (!gone.signal.aborted) throw error; // nobody waits for it any more
  });
}
