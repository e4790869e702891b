import { accountWindowMs } from '@domicile/core/account.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { Door } from '../http/door.ts';
import { buildingPlanOf, buildingRowOf } from '../model/buildings.ts';
import { deviceRowsOf } from '../model/device-rows.ts';
import { pageOf } from '../model/page.ts';
import { pageShape, periodShape, readQuery } from '../model/parameters.ts';
import { periodMsMax } from '../model/period.ts';
import type { ServingEvents } from './events.ts';
import { liveRoute } from './live-route.ts';
import { answerSummaries } from './summaries-route.ts';
import type { ServingView } from './view.ts';

export interface ServingParts {
  readonly door: Door;
  readonly view: ServingView;
  readonly events: ServingEvents;
  readonly liveReadersMax: number;
  readonly now?: () => number;
}

type Answer = (building: BuildingRecord, request: Request, response: Response) => unknown;

/** `/v1/buildings…`. There is no route to single readings here beyond each point's newest value. */
export function servingRoutes(parts: ServingParts): Router {
  const { door, view, events, liveReadersMax, now = Date.now } = parts;
  const router = Router();
  const live = liveRoute({ hub: view.hub, events, readersMax: liveReadersMax });
  const ofBuilding = (path: string, answer: Answer): void =>
    addRoute(router, `/v1/buildings/:building${path}`, { GET: handler(door, answer) });

  addRoute(router, '/v1/buildings', {
    GET: (request, response) => {
      const claims = door.claims(request, 'summary:read');
      const { limit, cursor } = readQuery(pageShape, request.query);
      const rows = door.visible(claims).map(buildingRowOf);
      response.json(pageOf(rows, { keyOf: ({ id }) => [id], limit, cursor }));
    },
  });
  ofBuilding('', (building, request, response) => {
    readQuery({}, request.query);
    response.json(buildingPlanOf(building, now()));
  });
  ofBuilding('/summaries', (building, request, response) =>
    answerSummaries(view, building, request, response),
  );
  ofBuilding('/latest', (building, request, response) => {
    const { limit, cursor } = readQuery(pageShape, request.query);
    const rows = view.latest.rows(building.id);
    response.json(pageOf(rows, { keyOf: ({ device, metric }) => [device, metric], limit, cursor }));
  });
  ofBuilding('/devices', (building, request, response) => {
    const { limit, cursor } = readQuery(pageShape, request.query);
    const said = {
      lastAtMs: (device: string) => view.latest.lastAtMs(building.id, device),
      reported: (device: string) => view.statuses.stateOf(building.id, device),
    };
    const rows = deviceRowsOf(building, said, now());
    response.json(pageOf(rows, { keyOf: ({ device }) => [device], limit, cursor }));
  });
  ofBuilding('/account', (building, request, response) =>
    answerAccount(view, building, request, response),
  );
  ofBuilding('/live', (building, request, response) => {
    readQuery({}, request.query);
    live(request, response, {
      building: building.id,
      claims: door.claims(request, 'summary:read'),
    });
  });
  for (const path of ['/alerts', '/correlations']) ofBuilding(path, notBuilt);
  return router;
}

function handler(door: Door, answer: Answer): RequestHandler {
  return async (request, response) => {
    const claims = door.claims(request, 'summary:read');
    const { building: id } = request.params;
    await answer(door.building(claims, typeof id === 'string' ? id : ''), request, response);
  };
}

const notBuilt = (): never => {
  throw new PlatformError('NOT_BUILT', 'Cannot answer yet: this part is announced and not built');
};

async function answerAccount(
  view: ServingView,
  building: BuildingRecord,
  request: Request,
  response: Response,
): Promise<void> {
  const query = readQuery({ ...periodShape, ...pageShape }, request.query, periodMsMax);
  // Whole minutes of event time, as the account is kept.
  const period = {
    fromMs: Math.floor(query.from / accountWindowMs) * accountWindowMs,
    toMs: Math.ceil(query.to / accountWindowMs) * accountWindowMs,
  };
  const { landed, expired } = await view.layer.landed({ building: building.id, ...period });
  const { totals, rows } = view.account.within(building.id, period);
  const { limit, cursor } = query;
  const page = pageOf(rows, { keyOf: ({ device, boot }) => [device, boot], limit, cursor });
  response.json({ totals: { ...totals, landed, expired }, ...page });
}
