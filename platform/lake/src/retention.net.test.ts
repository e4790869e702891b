import { fail } from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { plainBucket } from '@domicile/devkit/plain-bucket.ts';
import { askPython } from '@domicile/devkit/python-oracle.ts';
import { S3Server } from '@domicile/devkit/s3/s3-server.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBucketAdmin } from './admin/open-bucket-admin.ts';
import { keysBelow } from './erasure/erasure-run.ts';
import { FsObjectStore } from './fs/fs-object-store.ts';
import { LandedAudit } from './landed-audit.ts';
import { LandedManifests } from './landed-manifests.ts';
import { LandingCheckpoints } from './landing-checkpoints.ts';
import { filesOfFolder, LocalCopies, type LocalFiles } from './local-files.ts';
import type { ErasableStore } from './object-store.ts';
import { openBuckets } from './open-lake.ts';
import { afterDays, counts, dayMs, landDays, period } from './test-days.ts';

const retentionDays = 20;
/** The server of S3 is fetched from a registry once. */
const installTimeoutMs = 400_000;
const all = new AsyncDisposableStack();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'retention-'));
  all.defer(() => rm(folder, { recursive: true }));
});
afterAll(() => all.disposeAsync());

interface Kept {
  readonly store: ErasableStore;
  readonly files: LocalFiles;
  /** The time by which the store's rule goes. */
  readonly setTime: (atMs: number) => void;
  /** Does what the rule of the store does in its own time. */
  readonly carryOutRule: () => Promise<void>;
}

const settings = { ...plainBucket, softDeleteDays: 0, deleteAfterDays: retentionDays, grants: [] };
const landingBucket = 'landing-de';
const servingBucket = 'serving-de';

/** The rule as the operator writes it, carried out by the emulator by its clock. */
async function ofGcs(): Promise<Kept> {
  let nowMs = 0;
  const gcs = all.use(
    await GcsEmulator.start({ identities: ['admin'], admins: ['admin'], now: () => nowMs }),
  );
  const secret = { 'credentials.json': gcs.keyOf('admin') };
  const region = 'europe-west3';
  const place = { store: 'gcs', endpoint: gcs.url, secret } as const;
  const admin = await openBucketAdmin({ ...place, region });
  for (const bucket of [landingBucket, servingBucket])
    await admin.create(bucket, { ...settings, location: region });
  const { store } = await openBuckets({ ...place, landingBucket, servingBucket });
  return {
    store,
    files: await copiesOf(store, 'gcs'),
    setTime: (atMs) => (nowMs = atMs),
    carryOutRule: async () => void gcs.carryOutLifecycle(),
  };
}

/** The rule stands in the bucket; the server does not carry rules out. */
async function ofS3(): Promise<Kept> {
  const server = all.use(await S3Server.start());
  const secret = { accessKeyId: 'test', secretAccessKey: 'test-secret' };
  const region = 'onprem-de-attic';
  const place = { store: 's3', endpoint: server.url, region, secret } as const;
  const admin = await openBucketAdmin(place);
  for (const bucket of [landingBucket, servingBucket])
    await admin.create(bucket, { ...settings, location: region });
  expect((await admin.describe(landingBucket))?.deleteAfterDays).toBe(retentionDays);
  const { store } = await openBuckets({ ...place, landingBucket, servingBucket });
  return { store, files: await copiesOf(store, 's3'), ...byName(store) };
}

async function ofFolder(): Promise<Kept> {
  const dir = join(folder, 'fs');
  const store = new FsObjectStore(dir);
  return { store, files: filesOfFolder(dir), ...byName(store) };
}

async function copiesOf(store: ErasableStore, name: string): Promise<LocalFiles> {
  const dir = join(folder, `copies-${name}`);
  return all.use(await LocalCopies.open({ store, dir, bytesMax: 1 << 20 }));
}

/** Data whose day is so many days over. */
function byName(store: ErasableStore): Pick<Kept, 'setTime' | 'carryOutRule'> {
  let nowMs = 0;
  return {
    setTime: (atMs) => (nowMs = atMs),
    carryOutRule: async () => {
      for await (const key of keysBelow(store, 'landing/readings/v1/')) {
        const [, day] = /\/dt=([^/]+)\//.exec(key) ?? [];
        if (day === undefined || Date.parse(day) + retentionDays * dayMs > nowMs) continue;
        const { generation } = (await store.head(key)) ?? fail(key);
        await store.remove(key, generation);
      }
    },
  };
}

describe.each([
  ['gcs', ofGcs],
  ['s3', ofS3],
  ['a folder', ofFolder],
] as const)('retention of %s', (_name, open) => {
  test(
    'what its rule takes is expired, what goes before is lost, and readers are led to files that are there',
    async () => {
      const { store, files, setTime, carryOutRule } = await open();
      const paths = await landDays(store, 10, { before: setTime });
      await new LandingCheckpoints({
        store,
        stream: 'readings',
        partitions: 1,
        manifestsEach: 3,
        gathered: 2,
      }).round();
      const audit = new LandedAudit({ store, partitions: 1, retentionDays });
      expect(await audit.round(afterDays(10))).toMatchObject({ lost: [], expired: 0 });
      expect(await counts(store)).toEqual([100, 0]);
      let nowMs = afterDays(10);
      const readers = [await LandedManifests.open({ store, partitions: 1, now: () => nowMs })];

      nowMs = afterDays(24);
      setTime(nowMs);
      await carryOutRule();
      expect(await store.head(paths[3] ?? '')).toBe(undefined);
      expect(await store.head(paths[4] ?? '')).toBeDefined();
      expect(await audit.round(nowMs)).toMatchObject({ lost: [], expired: 4 });
      expect(await counts(store)).toEqual([60, 40]);
      readers.push(await LandedManifests.open({ store, partitions: 1, now: () => nowMs }));
      for (const reader of readers) {
        await reader.refresh();
        const named = reader.files(period);
        expect(named.map(({ path }) => path)).toEqual(paths.slice(4));
        const asked = named.map(({ path, bytes }) => ({ key: path, bytes }));
        const signal = AbortSignal.timeout(10_000);
        expect(await files.borrow(asked, signal, async (local) => local.length)).toBe(6);
      }

      // One goes before its time.
      const early = paths[5] ?? '';
      const { generation } = (await store.head(early)) ?? fail(early);
      await store.remove(early, generation);
      expect((await audit.round(nowMs)).lost).toEqual([early]);
      nowMs = afterDays(31);
      setTime(nowMs);
      await carryOutRule();
      expect(await audit.round(nowMs)).toMatchObject({ lost: [], expired: 5 });
      expect(await counts(store)).toEqual([0, 90]);
      expect(readers[0]?.files(period)).toEqual([]);
      expect(await store.list('landing/readings/v1/_manifest/00000/', { limit: 99 })).toHaveLength(
        10,
      );
    },
    installTimeoutMs,
  );
});

test('a stranger finds by manifests and the retention exactly the rows that are kept', async () => {
  const dir = join(folder, 'stranger');
  const store = new FsObjectStore(dir);
  await landDays(store, 10);
  await new LandedAudit({ store, partitions: 1, retentionDays }).round(afterDays(24));
  const { setTime, carryOutRule } = byName(store);
  setTime(afterDays(23));
  await carryOutRule();
  expect(await askPython(byManifests, dir, `${afterDays(24)}`)).toEqual({ files: 6, rows: 60 });
});

/** As docs/api/lake.md tells a stranger. */
const byManifests = `
import sys, json, glob, pyarrow.parquet as pq
root, now = sys.argv[1], int(sys.argv[2])
zone = root + '/landing/readings/v1/'
retention = json.load(open(zone + '_retention/latest.json'))
since = now - retention['days'] * 86400000
files, rows = 0, 0
for name in sorted(glob.glob(zone + '_manifest/*/*.json')):
    manifest = json.load(open(name))
    expired = int(retention['expired'].get(str(manifest['partition']), 0))
    for file in manifest['files']:
        if file['receivedToMs'] <= since or int(manifest['first']) < expired: continue
        files += 1
        rows += pq.read_table(root + '/' + file['path']).num_rows
print(json.dumps({'files': files, 'rows': rows}))
`;
