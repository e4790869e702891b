import { fail } from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { rawList } from '@domicile/core/answers/raw.ts';
import { residencyAnswer } from '@domicile/core/answers/residency.ts';
import { accountAnswer, summaryList } from '@domicile/core/answers/serving.ts';
import { freePorts } from '@domicile/devkit/free-ports.ts';
import { askPython } from '@domicile/devkit/python-oracle.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { openBuckets } from '@domicile/lake/open-lake.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Buckets, buckets, gcsBuckets, s3Buckets } from './test-buckets.ts';
import {
  askJson,
  ended,
  gaugeOf,
  minuteOf,
  readingOf,
  TestCell,
  unreadinessOf,
} from './test-cell.ts';
import { headersOf } from './test-support.ts';

// Lander, serving builder and both APIs as processes over buckets, on real Kafka.

/** The server of S3 is fetched from a registry once. */
const startTimeoutMs = 400_000;
const patience = { timeout: 40_000 };
const isOut = /bucket is out since .*Cannot reach/;
/** Four processes at once. */
const startPatience = { timeout: 180_000 };
const services = ['lander', 'serving-builder', 'raw', 'serving'] as const;
type Service = (typeof services)[number];

/** The four services over buckets, which can be ended and started again at the same ports. */
class Services implements AsyncDisposable {
  readonly #cell: TestCell;
  readonly #lake: Buckets;
  readonly #folder: string;
  readonly #ports: Readonly<Record<Service, { admin: string; api: string }>>;
  readonly running = new Map<Service, ChildProcess>();

  static async start(cell: TestCell, lake: Buckets, folder: string): Promise<Services> {
    const free = await freePorts(2 * services.length);
    const port = (at: number): string => `${free[at] ?? fail('no port')}`;
    const ports = services.map((name, at) => [
      name,
      { admin: port(2 * at), api: port(2 * at + 1) },
    ]);
    const started = new Services({ cell, lake, folder, ports: Object.fromEntries(ports) });
    await started.startAll();
    return started;
  }

  private constructor(of: {
    cell: TestCell;
    lake: Buckets;
    folder: string;
    ports: Readonly<Record<Service, { admin: string; api: string }>>;
  }) {
    this.#cell = of.cell;
    this.#lake = of.lake;
    this.#folder = of.folder;
    this.#ports = of.ports;
  }

  url(name: 'raw' | 'serving'): string {
    return `http://127.0.0.1:${this.#ports[name].api}`;
  }

  admin(name: Service): string {
    return `http://127.0.0.1:${this.#ports[name].admin}`;
  }

  async startAll(): Promise<void> {
    for (const name of services) this.running.set(name, await this.#start(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.running.values()) await ended(child, 'SIGKILL');
  }

  async #start(name: Service): Promise<ChildProcess> {
    const { admin, api } = this.#ports[name];
    const secret = join(this.#cell.folder, 'secret');
    const stream = (env: Record<string, string>) => ({
      main: `platform/stream/src/${name}-main.ts`,
      env: { ADMIN_PORT: admin, ...env },
    });
    const dataApi = (env: Record<string, string>) => ({
      main: `platform/data-api/src/${name}-main.ts`,
      env,
    });
    const of = {
      lander: () =>
        stream({
          ...this.#lake.env('writer', ['landing', 'serving']),
          LANDER_FLUSH_MS: '200',
          LANDER_AUDIT_MS: '500',
          LANDER_CHECKPOINT_MS: '500',
          LANDER_CHECKPOINT_MANIFESTS: '4',
          LANDER_RETENTION_DAYS: '400',
        }),
      'serving-builder': () =>
        stream({
          ...this.#lake.env('writer', ['serving']),
          SERVING_FLUSH_MS: '200',
          SERVING_PRUNE_AFTER_MS: '2000',
        }),
      raw: () =>
        dataApi({
          ...this.#lake.env('raw-reader', ['landing', 'serving']),
          RAW_INTERNAL_SECRET_FILE: secret,
          RAW_CACHE_DIR: join(this.#folder, 'cache'),
          RAW_SCRATCH_DIR: this.#folder,
          RAW_PORT: api,
          RAW_ADMIN_PORT: admin,
        }),
      serving: () =>
        dataApi({
          ...this.#lake.env('serving-reader', ['serving']),
          SERVING_INTERNAL_SECRET_FILE: secret,
          SERVING_RESIDENCY_EVERY_MS: '500',
          SERVING_PLACES: JSON.stringify({ lakeLocation: this.#lake.region }),
          SERVING_PORT: api,
          SERVING_ADMIN_PORT: admin,
        }),
    };
    return this.#cell.start({ principal: name, ...of[name]() });
  }
}

const hourMs = 3_600_000;
/** Yesterday's, which no retention takes. */
const startMs = Math.floor(Date.now() / (24 * hourMs)) * 24 * hourMs - 17 * hourMs;
const [from, to] = [-8, 16].map((hours) => new Date(startMs + hours * hourMs).toISOString());
const period = `from=${from}&to=${to}`;
const analyst = { client: '*', scopes: new Set(['raw:read'] as const) };
const cells = new AsyncDisposableStack();
let cell: TestCell;
/** Of all that was acked in this file: every lake lands all of it. */
const sent: string[] = [];

beforeAll(async () => {
  cell = cells.use(await TestCell.start());
  await cell.writeBuildings();
});
afterAll(() => cells.disposeAsync());

/** The next so many readings, by two buildings in turn. */
async function send(count: number, between?: (seq: number) => void): Promise<void> {
  for (const end = sent.length + count; sent.length < end;) {
    const seq = sent.length;
    const building = seq % 2 === 0 ? 'de-one' : 'de-two';
    await cell.write('readings', building, readingOf(building, seq, startMs + seq * 1000));
    sent.push(`${building} ${seq}`);
    between?.(seq);
  }
}

async function rawSeqs(url: string): Promise<string[]> {
  const path = `/v1/raw/readings?building=de-one,de-two&${period}&limit=10000`;
  let answer: Response | undefined;
  // A store that is slow for once is told as out; what is answered is whole.
  await waitFor('an answer', async () => {
    answer = await fetch(`${url}${path}`, { headers: headersOf(analyst) });
    return answer.status !== 503;
  });
  const { rows } = rawList.parse(await answer?.json());
  return rows.map(({ building, seq }) => `${building} ${seq}`).toSorted();
}

async function statusOf(url: string, path: string, claims = {}): Promise<number> {
  return (await fetch(`${url}${path}`, { headers: headersOf(claims) })).status;
}

/** Received longer ago than the landing zone keeps data, and how many of these were sent. */
const earlyMs = Date.UTC(2025, 5, 1, 12);
let early = 0;
let minutes = 0;
async function sendMinutes(count: number): Promise<void> {
  for (const end = minutes + count; minutes < end; minutes += 1)
    await cell.write('summaries', 'de-one', minuteOf(startMs + minutes * 60_000, 400 + minutes));
}

const readLanding = `
import sys, json, pyarrow.dataset as ds, pyarrow.compute as pc
own = pc.field('building').isin(['de-one', 'de-two'])
table = ds.dataset(sys.argv[1] + '/landing/readings/v1', format='parquet').to_table(filter=own)
places = set(zip(table['kafka_partition'].to_pylist(), table['kafka_offset'].to_pylist()))
print(json.dumps({'rows': table.num_rows, 'readings': len(places), 'sum': int(pc.sum(table['value']).as_py())}))
`;

interface Opened<Lake> {
  readonly lake: Lake;
  /** Of the serving API. */
  readonly url: string;
  readonly admin: (of: Service) => string;
}

/** What holds over the buckets of every provider, and what `more` adds. */
function promises<Lake extends Buckets>(
  name: string,
  open: (folder: string) => Promise<Lake>,
  more?: (opened: () => Opened<Lake>) => void,
): void {
  describe(`over ${name}`, () => {
    let lake: Lake;
    let running: Services;
    let folder = '';
    beforeAll(async () => {
      folder = join(cell.folder, name);
      await mkdir(folder);
      lake = await open(folder);
      running = await Services.start(cell, lake, folder);
      await ready();
    }, startTimeoutMs);
    afterAll(async () => {
      await running[Symbol.asyncDispose]();
      await lake[Symbol.asyncDispose]();
    });

    const ready = async (): Promise<void> => {
      for (const service of services)
        await waitFor(
          `${service} to be ready`,
          async () => (await unreadinessOf(running.admin(service))).length === 0,
          startPatience.timeout,
        );
    };
    const allLanded = async (): Promise<void> => {
      await expect.poll(() => rawSeqs(running.url('raw')), patience).toEqual(sent.toSorted());
      const tail = () => gaugeOf(running.admin('raw'), 'raw_tail_bytes');
      await expect.poll(tail, patience).toBe(0);
      expect(await rawSeqs(running.url('raw'))).toEqual(sent.toSorted());
    };

    test('what lands in the bucket is at the raw endpoint as before, each reading once', async () => {
      await send(200);
      await allLanded();
      expect((await readdir(join(folder, 'cache', 'landed'))).length).toBeGreaterThan(0);
    });

    test('summaries are served from their bucket', async () => {
      await sendMinutes(30 - (minutes % 30));
      const counts = async () => {
        const path = `/v1/buildings/de-one/summaries?${period}&interval=PT15M&level=building`;
        const { rows } = summaryList.parse(await askJson(running.url('serving'), path));
        return rows.reduce((sum, { count }) => sum + count, 0);
      };
      await expect.poll(counts, patience).toBe(minutes);
      const tail = () => gaugeOf(running.admin('serving'), 'serving_tail_windows');
      await expect.poll(tail, patience).toBe(0);
      expect(await counts()).toBe(minutes);
    });

    test('a store that is out is told and waited for, and no acked reading is lost', async () => {
      for (const outage of lake.outages) {
        lake.begin(outage);
        await send(20);
        await sendMinutes(1);
        for (const writer of ['lander', 'serving-builder'] as const) {
          const told = async () => (await unreadinessOf(running.admin(writer))).join();
          await expect.poll(told, patience).toMatch(isOut);
        }
        const out = () => gaugeOf(running.admin('lander'), 'lake_outage_seconds');
        await expect.poll(out, patience).toBeGreaterThan(1);
        // What needs the store is answered 503, also when it was refused; the rest goes on.
        const [raw, serving] = [running.url('raw'), running.url('serving')];
        expect(await statusOf(serving, `/v1/buildings/de-one/account?${period}`)).toBe(503);
        expect(await statusOf(serving, '/v1/buildings')).toBe(200);
        const asked = `/v1/raw/readings?building=de-one&${period}`;
        expect([200, 503]).toContain(await statusOf(raw, asked, analyst));
        for (const api of ['raw', 'serving'] as const)
          expect(await unreadinessOf(running.admin(api))).toEqual([]);
        lake.mend();
        await allLanded();
        await ready();
        await expect.poll(out, patience).toBe(0);
      }
      for (const child of running.running.values()) expect(child.exitCode).toBe(null);
      // And what its snapshots have superseded is pruned beside.
      const pruned = () =>
        gaugeOf(running.admin('serving-builder'), 'serving_pruned_objects_total');
      await expect.poll(pruned, patience).toBeGreaterThan(0);
    }, 200_000);

    test('what starts while the store is out waits for it', async () => {
      await running[Symbol.asyncDispose]();
      const [outage = fail('no outage')] = lake.outages;
      lake.begin(outage);
      await running.startAll();
      await send(20);
      for (const service of services) {
        const told = async () => (await unreadinessOf(running.admin(service))).join();
        await expect.poll(told, startPatience).toMatch(isOut);
        // Longer than one call is repeated.
        const seconds = () => gaugeOf(running.admin(service), 'lake_outage_seconds');
        await expect.poll(seconds, patience).toBeGreaterThan(8);
      }
      for (const child of running.running.values()) expect(child.exitCode).toBe(null);
      lake.mend();
      await ready();
      await allLanded();
    }, 200_000);

    test('a stranger to our code reads the same readings in the files of the bucket', async () => {
      const copy = join(folder, 'copy');
      await lake.copyLanded(copy);
      const count = sent.length;
      const sum = (count * (count - 1)) / 2;
      expect(await askPython(readLanding, copy)).toEqual({ rows: count, readings: count, sum });
    });

    test('what went by retention is told as such, and counted as expired', async () => {
      // Received longer ago than the landing zone keeps data.
      for (let seq = 0; seq < 10; seq += 1)
        await cell.write('readings', 'de-three', readingOf('de-three', seq, earlyMs + seq * 1000));
      early += 10;
      const day = 'from=2025-06-01T00:00:00Z&to=2025-06-02T00:00:00Z';
      const totals = async () => {
        const path = `/v1/buildings/de-three/account?${day}`;
        const claims = { client: 'other' };
        return accountAnswer.parse(await askJson(running.url('serving'), path, claims)).totals;
      };
      const told = { landed: 0, expired: early };
      await expect.poll(totals, patience).toMatchObject(told);
      // Only now: no rule takes a file that is being written.
      expect((await lake.expire('2025-06-01')).length).toBeGreaterThan(0);
      const asked = `/v1/raw/readings?building=de-three&${day}`;
      const answered = async () =>
        rawList.parse(await askJson(running.url('raw'), asked, analyst)).rows.length;
      await expect.poll(answered, patience).toBe(0);
      const { retainedFrom = '' } = rawList.parse(
        await askJson(running.url('raw'), asked, analyst),
      );
      expect(Date.now() - Date.parse(retainedFrom)).toBeGreaterThan(399 * 86_400_000);
      expect(await totals()).toMatchObject(told);
    });

    more?.(() => ({ lake, url: running.url('serving'), admin: (of) => running.admin(of) }));
  });
}

promises('s3', s3Buckets);
promises('gcs', gcsBuckets, (opened) => {
  test("the serving reader's key opens no landing bucket, and the process is given none", async () => {
    const { gcs } = opened().lake;
    const openedAs = (landingBucket?: string) =>
      openBuckets({
        store: 'gcs',
        endpoint: gcs.url,
        secret: { 'credentials.json': gcs.keyOf('serving-reader') },
        landingBucket,
        servingBucket: buckets.serving,
      });
    const [key = ''] = gcs.buckets.get(buckets.landing)?.live.keys() ?? [];
    const refused = gcs.counts.refused;
    const { store } = await openedAs();
    await expect(store.get(key)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(gcs.counts.refused).toBe(refused);
    const { store: other } = await openedAs(buckets.landing);
    for (const work of [() => other.get(key), () => other.list('landing/', { limit: 1 })])
      await expect(work()).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(gcs.counts.refused).toBeGreaterThan(refused);
    const pointer = 'serving/summaries/pt1m/v1/latest.json';
    expect(await other.get(pointer)).toBeDefined();
    await expect(other.replacePointer(pointer, Buffer.from('{}'))).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
  });

  test('writes whose answers were lost are known as their own', async () => {
    const { lake, url, admin } = opened();
    lake.gcs.faults.loseNextAnswers(5);
    await sendMinutes(5);
    const path = `/v1/buildings/de-one/summaries?${period}&interval=PT1M&level=building`;
    const rows = async () => summaryList.parse(await askJson(url, path)).rows.length;
    await expect.poll(rows, patience).toBe(minutes);
    await expect.poll(() => lake.gcs.faults.left, patience).toBe(0);
    const tail = () => gaugeOf(admin('serving'), 'serving_tail_windows');
    await expect.poll(tail, patience).toBe(0);
    expect(await rows()).toBe(minutes);
  });

  test('the bucket proves its place, and a place abroad is told', async () => {
    const { lake, url } = opened();
    const claims = { scopes: new Set(['residency:read'] as const) };
    const told = async () => {
      const answer = residencyAnswer.safeParse(await askJson(url, '/v1/residency', claims));
      return answer.data?.items.find(({ what }) => what === 'lake');
    };
    await expect.poll(told, patience).toMatchObject({ where: lake.region, ok: true });
    const bucket = lake.gcs.buckets.get(buckets.serving) ?? fail('no bucket');
    bucket.fields = { ...bucket.fields, location: 'EUROPE-WEST4' };
    await expect.poll(told, patience).toMatchObject({ where: 'europe-west4', ok: false });
  });
});
