/** Both APIs in one process over a lake that stands still; prints its address. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '@domicile/core/invariants.ts';
import { buildingsOf } from '@domicile/core/values.ts';
import { Door } from '@domicile/data-api/http/door.ts';
import { RegistryBook } from '@domicile/data-api/model/registry-book.ts';
import { Engine } from '@domicile/data-api/raw/engine.ts';
import { rawEvents } from '@domicile/data-api/raw/events.ts';
import { Gate } from '@domicile/data-api/raw/gate.ts';
import { rawRoutes } from '@domicile/data-api/raw/routes.ts';
import { Tail } from '@domicile/data-api/raw/tail.ts';
import { servingEvents } from '@domicile/data-api/serving/events.ts';
import { LiveHub } from '@domicile/data-api/serving/live-hub.ts';
import { openServingLayer } from '@domicile/data-api/serving/open-serving-layer.ts';
import { servingRoutes } from '@domicile/data-api/serving/routes.ts';
import { emptyView } from '@domicile/data-api/serving/view.ts';
import { FsObjectStore } from '@domicile/lake/fs/fs-object-store.ts';
import { LandedManifests } from '@domicile/lake/landed-manifests.ts';
import { filesOfFolder } from '@domicile/lake/local-files.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { Router } from 'express';
import { buildings, partitions } from './make-lake.ts';

const [lakeDir, secret] = process.argv.slice(2).map((one) => must(one, 'an argument'));
const store = new FsObjectStore(must(lakeDir, 'the lake'));
const registry = new RegistryBook();
const declared = Object.fromEntries(
  buildings.map((id) => [id, { client: 'acme', timeZone: 'Europe/Berlin', floors: {} }]),
);
for (const building of buildingsOf({ buildings: declared }, 'DE')) registry.take(building);
const door = new Door({ country: 'DE', secret: must(secret, 'the secret'), buildings: registry });
const log = createLog('benchmark', { write: () => undefined });
const metrics = createRegistry({});
const scratchDir = await mkdtemp(join(must(lakeDir, 'the lake'), 'scratch-'));
const gate = new Gate({ runningMax: 4, waitingMax: 32, timeoutMs: 60_000 });
const routes = Router();
routes.use(
  servingRoutes({
    door,
    view: emptyView(new LiveHub(), await openServingLayer(store)),
    events: servingEvents(log, metrics),
    liveReadersMax: 1,
  }),
);
routes.use(
  rawRoutes({
    door,
    gate,
    engine: await Engine.start({
      readable: [join(must(lakeDir, 'the lake'), 'landing'), scratchDir],
      memoryMegabytesMax: 1_024,
      threads: 1,
      gate,
    }),
    zone: { landed: await LandedManifests.open({ store, partitions }), tail: new Tail() },
    events: rawEvents(log, metrics),
    files: filesOfFolder(must(lakeDir, 'the lake')),
    scratchDir,
  }),
);
const server = await startHttp(routes, { host: '127.0.0.1', port: 0, log });
process.send?.({ url: server.url });
