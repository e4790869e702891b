import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { lakeOptionsOf } from '@domicile/lake/lake-settings.ts';
import { openLake } from '@domicile/lake/open-lake.ts';
import { whileStoreFails } from '@domicile/lake/while-store-fails.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop, terminationSignal } from '@domicile/runtime/service.ts';
import { Router } from 'express';
import { Door } from '../http/door.ts';
import { observeLake } from '../lake-outage.ts';
import { kafkaOf, type ServingConfig } from './config.ts';
import { dataRoutes } from './data-routes.ts';
import { devicesSeenRoute } from './devices-seen-route.ts';
import { type ServingEvents, servingEvents } from './events.ts';
import { followStreams } from './follow-streams.ts';
import { LiveHub } from './live-hub.ts';
import { servingLayerOf } from './open-serving-layer.ts';
import { residencyProof } from './residency.ts';
import { servingRoutes } from './routes.ts';
import { emptyView, type ServingView } from './view.ts';

export interface ServingService extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
}

/**
 * Starts the serving API of a cell. It listens when it has read the serving layer, and is ready when it has caught up with its
 * streams. Then it stays so while the store is out: what needs the store is answered 503, the rest goes on.
 */
export async function startServing(
  config: ServingConfig,
  fail: (error: unknown) => void,
): Promise<ServingService> {
  const country = config.CELL_COUNTRY;
  const log = createLog('serving');
  const registry = createRegistry({ service: 'serving', country });
  const events = servingEvents(log, registry);
  const secret = (await readFile(config.SERVING_INTERNAL_SECRET_FILE, 'utf8')).trim();
  const client = kafkaOf(config);

  await using parts = new AsyncDisposableStack();
  const lake = await openLake(lakeOptionsOf(config), 'answers');
  const { store } = lake;
  const hub = parts.use(new LiveHub());
  const answersBytesMax = config.SERVING_ANSWERS_MEGABYTES_MAX * 1024 * 1024;
  const layer = servingLayerOf(store);
  const view = emptyView(hub, layer, answersBytesMax);
  observeLake(registry, lake);
  let followed: Followed | undefined;
  let isListening = false;
  const caughtUp = (): boolean => followed?.caughtUp() ?? false;
  const host = config.SERVING_HOST;
  const admin = parts.use(
    await startAdmin({
      host,
      port: config.SERVING_ADMIN_PORT,
      log,
      registry,
      ready: () =>
        isListening && caughtUp() ? true : [...lake.outages(), 'streams are being read'],
      routes: devicesSeenRoute({ view, caughtUp }),
    }),
  );
  const opening = {
    signal: terminationSignal(),
    retried: (error: unknown) => events.layerUnreadable(error),
  };
  await whileStoreFails(opening, () => layer.open());
  followed = parts.use(await follow({ config, client, view, events, fail }));
  const door = new Door({ country, secret, buildings: view.registry });
  const proof = parts.use(
    residencyProof({
      client,
      country,
      events,
      fail,
      lake,
      places: config.SERVING_PLACES,
      everyMs: config.SERVING_RESIDENCY_EVERY_MS,
      registry: view.registry,
    }),
  );
  const routes = Router();
  routes.use(
    servingRoutes({ door, view, events, liveReadersMax: config.SERVING_LIVE_READERS_MAX }),
  );
  routes.use(dataRoutes({ door, store }));
  routes.use(proof.routes(door));
  const listening = { host, port: config.SERVING_PORT, log, registry, trustRequestId: true };
  const http = parts.use(await startHttp(routes, listening));
  isListening = true;
  events.listening(http.url, admin.url);
  const running = parts.move();
  return {
    url: http.url,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

interface Followed extends AsyncDisposable {
  caughtUp(): boolean;
}

/** Everything that keeps the view new. */
async function follow(of: {
  config: ServingConfig;
  client: ClientOptions;
  view: ServingView;
  events: ServingEvents;
  fail: (error: unknown) => void;
}): Promise<Followed> {
  const { config, view, events, fail } = of;
  await using parts = new AsyncDisposableStack();
  const stop = new AbortController();
  const followers = await followStreams({
    ...of,
    country: config.CELL_COUNTRY,
    tailWindowsMax: config.SERVING_TAIL_WINDOWS_MAX,
    signal: stop.signal,
  });
  for (const follower of followers) parts.use(follower);
  parts.defer(() => stop.abort());
  let caughtUp = false;
  Promise.all(followers.map((follower) => follower.caughtUp)).then(
    () => (caughtUp = true),
    () => undefined,
  );
  parts.use(refreshing(view, { events, everyMs: config.SERVING_REFRESH_MS, fail }));
  const running = parts.move();
  return { caughtUp: () => caughtUp, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

interface Refreshing {
  readonly events: ServingEvents;
  readonly everyMs: number;
  readonly fail: (error: unknown) => void;
}

/** Takes up newer snapshots and drops from the tail what they include. */
function refreshing(view: ServingView, { events, everyMs, fail }: Refreshing): AsyncDisposable {
  return startLoop(async (signal) => {
    while (true) {
      try {
        if (await view.layer.refresh()) view.tail.drop(view.layer.current.offsets);
        events.snapshotRead(view.layer.current.number);
        events.tailChanged(view.tail.windows);
      } catch (error) {
        events.layerUnreadable(error);
      }
      await sleep(everyMs, undefined, { signal });
    }
  }, fail);
}
