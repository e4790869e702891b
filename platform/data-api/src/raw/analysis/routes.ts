import { comparisonRow, correlationRow, loadProfileRow } from '@domicile/core/answers/analysis.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { z } from 'zod';
import { formatOf, linkNext } from '../../http/answer.ts';
import type { Door } from '../../http/door.ts';
import { sendRows } from '../../http/send-rows.ts';
import {
  analysisCatalogue,
  comparisonShape,
  correlationShape,
  loadProfileShape,
} from '../../model/analysis/catalogue.ts';
import { pageOf } from '../../model/page.ts';
import { invalidRequest, readQuery } from '../../model/parameters.ts';
import { periodMsMax } from '../../model/period.ts';
import type { Gate } from '../gate.ts';
import { compareBuildings, correlate, profileLoad, type Scope } from './analyses.ts';
import type { SummarySource } from './summary-source.ts';

export interface AnalysisParts {
  readonly door: Door;
  readonly gate: Gate;
  readonly source: SummarySource;
}

const formats = ['json', 'ndjson', 'csv', 'parquet', 'arrow'] as const;

/** `/v1/analysis…`: ready-made analyses over one or more buildings. */
export function analysisRoutes(parts: AnalysisParts): Router {
  const { door } = parts;
  const router = Router();
  addRoute(router, '/v1/analysis', {
    GET: (request, response) => {
      door.claims(request, 'analysis:run');
      readQuery({}, request.query);
      response.json({ rows: analysisCatalogue, next: null });
    },
  });
  addRoute(router, '/v1/analysis/sql', {
    POST: (request) => {
      door.claims(request, 'analysis:run');
      throw new PlatformError(
        'NOT_BUILT',
        'Cannot run SQL yet: this part is announced and not built',
      );
    },
  });
  addRoute(router, '/v1/analysis/metric-correlation', { GET: answerCorrelation(parts) });
  addRoute(router, '/v1/analysis/load-profile', { GET: answerLoadProfile(parts) });
  addRoute(router, '/v1/analysis/building-comparison', { GET: answerComparison(parts) });
  return router;
}

function answerCorrelation(parts: AnalysisParts): RequestHandler {
  return async (request, response) => {
    const asked = enter(parts, request);
    const query = readQuery(correlationShape, request.query, periodMsMax);
    if (query.x === query.y)
      throw invalidRequest([{ pointer: '#/query/y', detail: 'must be another metric than x' }]);
    const rows = await run(asked, query, response, (scope) => correlate(scope, query));
    await send(request, response, { query, rows, row: correlationRow, key: ['building', 'id'] });
  };
}

function answerLoadProfile(parts: AnalysisParts): RequestHandler {
  return async (request, response) => {
    const asked = enter(parts, request);
    const query = readQuery(loadProfileShape, request.query, periodMsMax);
    const { metric: metrics, level, id: ids } = query;
    const rows = await run(asked, query, response, (scope) =>
      profileLoad(scope, { metrics, level, ids }),
    );
    const key = ['building', 'metric', 'id', 'dayType', 'hour'] as const;
    await send(request, response, { query, rows, row: loadProfileRow, key });
  };
}

function answerComparison(parts: AnalysisParts): RequestHandler {
  return async (request, response) => {
    const asked = enter(parts, request);
    const query = readQuery(comparisonShape, request.query, periodMsMax);
    const rows = await run(asked, query, response, (scope) =>
      compareBuildings(scope, query.metric),
    );
    await send(request, response, { query, rows, row: comparisonRow, key: ['metric', 'rank'] });
  };
}

interface Asked extends AnalysisParts {
  readonly claims: ReturnType<Door['claims']>;
}

function enter(parts: AnalysisParts, request: Request): Asked {
  const claims = parts.door.claims(request, 'analysis:run');
  parts.door.requireHome(request.query['building']);
  formatOf(request, formats);
  return { ...parts, claims };
}

interface Query {
  readonly building: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

async function run<Rows>(
  { door, gate, source, claims }: Asked,
  { building, from, to }: Query,
  response: Response,
  analyse: (scope: Scope) => Promise<Rows>,
): Promise<Rows> {
  const buildings = door.allOf(claims, building);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gate.run(gone.signal, (signal) =>
    analyse({ source, buildings, fromMs: from, toMs: to, signal }),
  );
}

/** Numbers of a key are padded, so that they come in their order. */
const digits = 6;

async function send<Row extends Readonly<Record<string, string | number | null>>>(
  request: Request,
  response: Response,
  of: {
    query: Query;
    rows: readonly Row[];
    row: z.ZodObject;
    key: readonly (keyof Row & string)[];
  },
): Promise<void> {
  const { limit, cursor } = of.query;
  const keyOf = (row: Row) => of.key.map((name) => `${row[name] ?? ''}`.padStart(digits, '0'));
  const page = pageOf(of.rows, { keyOf, limit, cursor });
  const all = Object.keys(of.row.shape);
  const texts = all.filter((name) => of.rows.some((row) => typeof row[name] === 'string'));
  response.vary('Accept');
  linkNext(request, response, page.next);
  await sendRows(formatOf(request, formats), response, page, { all, texts });
}
