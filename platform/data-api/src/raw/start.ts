import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildingRecord } from '@domicile/core/building.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { endOffsets, TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { lakeOptionsOf } from '@domicile/lake/lake-settings.ts';
import { LandedManifests } from '@domicile/lake/landed-manifests.ts';
import { filesOfFolder, LocalCopies, type LocalFiles } from '@domicile/lake/local-files.ts';
import { type Lake, openLake } from '@domicile/lake/open-lake.ts';
import { SummarySnapshots } from '@domicile/lake/serving-summaries.ts';
import { whileStoreFails } from '@domicile/lake/while-store-fails.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop, terminationSignal } from '@domicile/runtime/service.ts';
import { Router } from 'express';
import { followStream, type Handler } from '../follow.ts';
import { Door } from '../http/door.ts';
import { observeLake } from '../lake-outage.ts';
import { RegistryBook } from '../model/registry-book.ts';
import { SummaryTail } from '../model/summary-tail.ts';
import { analysisRoutes } from './analysis/routes.ts';
import { kafkaOf, type RawConfig } from './config.ts';
import { Engine } from './engine.ts';
import { type RawEvents, rawEvents } from './events.ts';
import { Gate } from './gate.ts';
import type { RawZone } from './raw-zone.ts';
import { rawRoutes } from './routes.ts';
import { Tail } from './tail.ts';

export interface RawService extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
}

type Fail = (error: unknown) => void;

/**
 * Starts the raw API of a cell. It listens when it has read the manifests, and is ready when it has caught up with its streams.
 * Then it stays so while the store is out: what needs the store is answered 503, the rest goes on.
 */
export async function startRaw(config: RawConfig, fail: Fail): Promise<RawService> {
  const country = config.CELL_COUNTRY;
  const log = createLog('raw');
  const registry = createRegistry({ service: 'raw', country });
  const events = rawEvents(log, registry);
  const secret = (await readFile(config.RAW_INTERNAL_SECRET_FILE, 'utf8')).trim();

  await using parts = new AsyncDisposableStack();
  const scratchDir = await mkdtemp(join(config.RAW_SCRATCH_DIR, 'domicile-raw-'));
  parts.defer(() => rm(scratchDir, { recursive: true, force: true }));
  const gate = new Gate({
    runningMax: config.RAW_QUERIES_MAX,
    waitingMax: config.RAW_QUERIES_WAITING_MAX,
    timeoutMs: config.RAW_QUERY_TIMEOUT_MS,
  });
  const lake = await openLake(lakeOptionsOf(config), 'answers');
  const { store } = lake;
  observeLake(registry, lake);
  let followed: Followed | undefined;
  const host = config.RAW_HOST;
  let isListening = false;
  const ready = () =>
    isListening && followed?.caughtUp() === true
      ? true
      : [...lake.outages(), 'streams are being read'];
  const admin = parts.use(
    await startAdmin({ host, port: config.RAW_ADMIN_PORT, log, registry, ready }),
  );
  const files = await openFiles(config, { lake, scratchDir, parts });
  const readable = [...files.folders, scratchDir];
  const engine = parts.use(await startEngine(config, readable, gate));
  const buildings = new RegistryBook();
  const partitions = (
    await endOffsets({ client: kafkaOf(config), topic: topicOf(country, 'readings') })
  ).length;
  const opening = {
    signal: terminationSignal(),
    retried: (error: unknown) => events.lakeUnreadable(error),
  };
  const landed = await whileStoreFails(opening, () => LandedManifests.open({ store, partitions }));
  const layer = await whileStoreFails(opening, () => SummarySnapshots.open(store));
  const zone = { landed, tail: new Tail() };
  const summaries = { layer, tail: new SummaryTail() };
  followed = parts.use(await follow({ config, zone, files, summaries, buildings, events, fail }));
  const door = new Door({ country, secret, buildings });
  const routes = Router();
  routes.use(analysisRoutes({ door, gate, source: summaries }));
  routes.use(
    rawRoutes({
      door,
      engine,
      gate,
      zone,
      events,
      files,
      scratchDir,
    }),
  );
  const http = parts.use(
    await startHttp(routes, { host, port: config.RAW_PORT, log, registry, trustRequestId: true }),
  );
  isListening = true;
  events.listening(http.url, admin.url);
  const running = parts.move();
  return {
    url: http.url,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function openFiles(
  config: RawConfig,
  { lake, scratchDir, parts }: { lake: Lake; scratchDir: string; parts: AsyncDisposableStack },
): Promise<LocalFiles> {
  if (lake.dir !== undefined) return filesOfFolder(lake.dir);
  const dir = join(config.RAW_CACHE_DIR ?? scratchDir, 'landed');
  const bytesMax = config.RAW_CACHE_MEGABYTES_MAX * 1024 * 1024;
  return parts.use(await LocalCopies.open({ store: lake.store, dir, bytesMax }));
}

function startEngine(config: RawConfig, readable: readonly string[], gate: Gate): Promise<Engine> {
  return Engine.start({
    readable,
    memoryMegabytesMax: config.RAW_MEMORY_MEGABYTES_MAX,
    threads: config.RAW_THREADS,
    gate,
  });
}

interface Following {
  readonly config: RawConfig;
  readonly zone: RawZone & { readonly landed: LandedManifests };
  readonly files: LocalFiles;
  readonly summaries: {
    readonly layer: SummarySnapshots;
    readonly tail: SummaryTail;
  };
  readonly buildings: RegistryBook;
  readonly events: RawEvents;
  readonly fail: Fail;
}

interface Followed extends AsyncDisposable {
  caughtUp(): boolean;
}

const roomCheckMs = 200;

async function follow(following: Following): Promise<Followed> {
  const { config, zone, summaries, buildings, events, fail } = following;
  const client = kafkaOf(config);
  const country = config.CELL_COUNTRY;
  const base = { client, country, service: 'raw', fail };
  await using parts = new AsyncDisposableStack();
  const stop = new AbortController();
  const registry: Handler<BuildingRecord> = {
    take: (record) => buildings.take(record),
    forget: (key) => buildings.forget(key),
    unreadable: () => events.recordUnreadable('registry'),
  };
  const windows: Handler<SummaryRecord> = {
    take: (record, { partition, offset }) => summaries.tail.take(record, partition, offset),
    unreadable: () => events.recordUnreadable('summaries'),
    async room() {
      const max = config.RAW_TAIL_WINDOWS_MAX;
      while (summaries.tail.windows >= max && !stop.signal.aborted) await sleep(roomCheckMs);
    },
  };
  const bytesMax = config.RAW_TAIL_MEGABYTES_MAX * 1024 * 1024;
  const followers = await Promise.all([
    followStream({ ...base, stream: 'registry', handler: registry }),
    followStream({
      ...base,
      stream: 'summaries',
      from: summaries.layer.current.offsets,
      handler: windows,
    }),
    TopicFollower.start({
      client,
      clientId: 'raw-readings',
      topics: [{ name: topicOf(country, 'readings'), from: zone.landed.offsets }],
      fail,
      async onRecords(records) {
        if (zone.tail.bytes >= bytesMax) events.tailHeldBack();
        while (zone.tail.bytes >= bytesMax && !stop.signal.aborted) await sleep(roomCheckMs);
        for (const record of records) zone.tail.take(record);
        events.tailChanged(zone.tail.bytes);
      },
    }),
  ]);
  for (const follower of followers) parts.use(follower);
  parts.defer(() => stop.abort());
  let caughtUp = false;
  Promise.all(followers.map((follower) => follower.caughtUp)).then(
    () => (caughtUp = true),
    () => undefined,
  );
  parts.use(refreshing(following));
  const running = parts.move();
  return { caughtUp: () => caughtUp, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Takes up what has newly landed and drops it from the tail. */
function refreshing(following: Following): AsyncDisposable {
  const { config, zone, files, summaries, events, fail } = following;
  return startLoop(async (signal) => {
    let { withdrawals } = zone.landed;
    while (true) {
      try {
        await zone.landed.refresh();
        zone.tail.drop(zone.landed.offsets);
        // What an erasure has replaced does not live on in copies.
        if (zone.landed.withdrawals !== withdrawals) files.keepOnly(zone.landed.paths());
        ({ withdrawals } = zone.landed);
        if (await summaries.layer.refresh()) summaries.tail.drop(summaries.layer.current.offsets);
        events.tailChanged(zone.tail.bytes);
      } catch (error) {
        events.lakeUnreadable(error);
      }
      await sleep(config.RAW_REFRESH_MS, undefined, { signal });
    }
  }, fail);
}
