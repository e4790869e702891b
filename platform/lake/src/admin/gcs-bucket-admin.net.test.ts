import { fail } from 'node:assert/strict';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { callGcs, openGcs } from '../gcs/gcs-client.ts';
import { parseGcsKey } from '../gcs/gcs-key.ts';
import { GcsObjectStore } from '../gcs/gcs-object-store.ts';
import type { BucketAdmin, BucketSettings } from './bucket-admin.ts';
import { identityOf, openBucketAdmin } from './open-bucket-admin.ts';

const identities = ['admin', 'writer', 'pruner', 'reader', 'eraser', 'stranger'];
const persistence = { attemptsMax: 2, delayMs: 5, delayMsMax: 20, attemptTimeoutMs: 2_000 };
let gcs: GcsEmulator;
let admin: BucketAdmin;
/** Milliseconds that the emulator's clock is ahead. */
let aheadMs = 0;

beforeAll(async () => {
  const now = (): number => Date.now() + aheadMs;
  gcs = await GcsEmulator.start({ identities, admins: ['admin'], now });
  admin = await openBucketAdmin({ ...place, endpoint: gcs.url, secret: secretOf('admin') });
});
afterAll(async () => gcs[Symbol.asyncDispose]());
afterEach(() => {
  gcs.faults.clear();
  aheadMs = 0;
});

const place = { store: 'gcs', region: 'europe-west3' } as const;

function secretOf(identity: string): Record<string, string> {
  return { 'credentials.json': gcs.keyOf(identity) };
}

function memberOf(name: string): string {
  return identityOf('gcs', secretOf(name)) ?? fail('no identity');
}

function storeOf(name: string, bucket: string): GcsObjectStore {
  const key = parseGcsKey(gcs.keyOf(name));
  return new GcsObjectStore({ endpoint: gcs.url, key, bucket }, persistence);
}

function settings(): BucketSettings & { location: string } {
  return {
    location: 'europe-west3',
    uniformAccess: true,
    publicAccessPrevented: true,
    versioning: true,
    softDeleteDays: 7,
    noncurrentDays: 1,
    deleteAfterDays: 400,
    lockedDays: undefined,
    labels: { 'domicile-country': 'de' },
    grants: [
      { identity: memberOf('writer'), right: 'write' },
      { identity: memberOf('pruner'), right: 'prune' },
      { identity: memberOf('reader'), right: 'read' },
      { identity: memberOf('eraser'), right: 'erase' },
    ],
  };
}

/** What a stranger to us does to the bucket. */
async function foreignCall(method: 'PATCH' | 'PUT', path: string, body: unknown): Promise<void> {
  await callGcs(openGcs({ endpoint: gcs.url, key: parseGcsKey(gcs.keyOf('admin')) }), {
    method,
    path,
    body,
  });
}

test('a bucket is as it was wanted, in one region, and a steady state needs nothing', async () => {
  const bucket = freshName('bucket');
  expect(await admin.describe(bucket)).toBe(undefined);
  const made = await admin.create(bucket, settings());
  expect(made).toMatchObject({
    ...settings(),
    locationType: 'region',
    publicGrants: [],
    otherGrants: [],
  });
  expect(await admin.describe(bucket)).toEqual(made);
  await expect(admin.create(bucket, settings())).rejects.toMatchObject({ code: 'CONFLICT' });
});

test('where a bucket really is is told: in several regions, in a continent', async () => {
  for (const [location, locationType] of [
    ['EU', 'multi-region'],
    ['EUR4', 'dual-region'],
    ['us-east1', 'region'],
  ] as const) {
    const bucket = freshName('abroad');
    await admin.create(bucket, { ...settings(), location, grants: [] });
    expect(await admin.describe(bucket)).toMatchObject({
      location: location.toLowerCase(),
      locationType,
    });
  }
});

test('what has drifted is put back, and foreign fields stay', async () => {
  const bucket = freshName('drift');
  await admin.create(bucket, settings());
  const foreignRule = {
    action: { type: 'Delete' },
    condition: { age: 3, matchesPrefix: ['tmp/'] },
  };
  await foreignCall('PATCH', `b/${bucket}`, {
    versioning: { enabled: false },
    softDeletePolicy: { retentionDurationSeconds: 0 },
    retentionPolicy: { retentionPeriod: 86_400 },
    lifecycle: { rule: [foreignRule] },
    labels: { owner: 'sre' },
  });
  const drifted = (await admin.describe(bucket)) ?? fail('no bucket');
  expect(drifted).toMatchObject({
    versioning: false,
    softDeleteDays: 0,
    lockedDays: 1,
    deleteAfterDays: undefined,
    noncurrentDays: undefined,
  });
  const { location: _location, grants: _grants, ...wanted } = settings();
  const back = await admin.update(bucket, wanted, drifted.metageneration);
  expect(back).toMatchObject(wanted);
  expect(back.labels).toEqual({ owner: 'sre', 'domicile-country': 'de' });
  expect(gcs.buckets.get(bucket)?.fields['lifecycle']).toMatchObject({
    rule: [
      foreignRule,
      {
        condition: { age: 400, matchesPrefix: expect.arrayContaining(['landing/readings/v1/dt=']) },
      },
      { condition: { daysSinceNoncurrentTime: 1 } },
    ],
  });
  const changed = await admin.update(bucket, { deleteAfterDays: undefined }, back.metageneration);
  expect(changed).toMatchObject({ deleteAfterDays: undefined, noncurrentDays: 1 });
});

test('rights that were taken or added are seen and put right; those of others stay', async () => {
  const bucket = freshName('rights');
  await admin.create(bucket, { ...settings(), publicAccessPrevented: false });
  const policy = {
    version: 3,
    bindings: [
      { role: 'roles/storage.objectViewer', members: ['allUsers', memberOf('stranger')] },
      { role: 'roles/storage.objectUser', members: [memberOf('reader')] },
    ],
  };
  await foreignCall('PUT', `b/${bucket}/iam`, policy);
  const drifted = (await admin.describe(bucket)) ?? fail('no bucket');
  expect(drifted.grants).toEqual([]);
  expect(drifted.publicGrants).toEqual(['allUsers roles/storage.objectViewer']);
  expect(drifted.otherGrants).toEqual([
    `${memberOf('stranger')} roles/storage.objectViewer`,
    `${memberOf('reader')} roles/storage.objectUser`,
  ]);
  const { grants } = settings();
  const change = { grants, revokePublic: true, publicAccessPrevented: true } as const;
  const back = await admin.update(bucket, change, drifted.metageneration);
  expect(back).toMatchObject({ grants, publicGrants: [], publicAccessPrevented: true });
  expect(back.otherGrants).toEqual([`${memberOf('stranger')} roles/storage.objectViewer`]);
});

test('an update of what has changed since is refused and changes nothing', async () => {
  const bucket = freshName('fenced');
  const { metageneration } = await admin.create(bucket, settings());
  await foreignCall('PATCH', `b/${bucket}`, { labels: { owner: 'sre' } });
  const before = await admin.describe(bucket);
  for (const change of [{ versioning: false }, { grants: [] }, { grants: [], versioning: false }])
    await expect(admin.update(bucket, change, metageneration)).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  expect(await admin.describe(bucket)).toEqual(before);
});

test('a writer creates and replaces pointers; it replaces and deletes nothing else', async () => {
  const bucket = freshName('writer');
  await admin.create(bucket, settings());
  const store = storeOf('writer', bucket);
  expect(await store.createOnly('landing/a.parquet', Buffer.from('1'))).toBe(true);
  expect(await store.createOnly('landing/a.parquet', Buffer.from('2'))).toBe(false);
  await store.replacePointer('serving/x/latest.json', Buffer.from('1'));
  await store.replacePointer('serving/x/latest.json', Buffer.from('2'));
  expect(await store.list('landing/', { limit: 10 })).toEqual(['landing/a.parquet']);
  const generation = (await store.head('landing/a.parquet'))?.generation ?? '';
  for (const work of [
    () => store.replace('landing/a.parquet', Buffer.from('3'), generation),
    () => store.remove('landing/a.parquet', generation),
  ])
    await expect(work()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(String(await store.get('landing/a.parquet'))).toBe('1');
});

test('a pruner removes snapshots and files of summaries beside what a writer does; it removes nothing else', async () => {
  const bucket = freshName('pruner');
  await admin.create(bucket, settings());
  const store = storeOf('pruner', bucket);
  const removal = async (key: string): Promise<boolean> =>
    store.remove(key, (await store.head(key))?.generation ?? '');
  const superseded = [
    'serving/summaries/pt1m/v1/snapshots/00000000000000000001.json',
    'serving/summaries/p1d/v1/data/00000000000000000001-aa.parquet',
  ];
  const others = [
    'landing/readings/v1/_manifest/00000/00000000000000000000.json',
    'landing/readings/v1/dt=2026-11-23/hour=07/a.parquet',
    'serving/account/landed/v1/snapshots/00000000000000000001.json',
    'serving/summaries/pt1m/v1/other/00000000000000000001.json',
    'serving/summaries-of-others/pt1m/v1/data/a.parquet',
  ];
  for (const key of [...superseded, ...others])
    expect(await store.createOnly(key, Buffer.from('1'))).toBe(true);
  for (const text of ['1', '2'])
    await store.replacePointer('serving/summaries/pt1m/v1/latest.json', Buffer.from(text));
  for (const key of others) {
    await expect(removal(key)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(String(await store.get(key))).toBe('1');
  }
  for (const key of superseded) {
    expect(await removal(key)).toBe(true);
    expect(await store.head(key)).toBe(undefined);
  }
  // Who was a writer becomes a pruner, and a writer again.
  for (const right of ['write', 'prune', 'write'] as const) {
    const before = (await admin.describe(bucket)) ?? fail('no bucket');
    const grants = [{ identity: memberOf('pruner'), right }];
    expect(await admin.update(bucket, { grants }, before.metageneration)).toMatchObject({
      grants,
      otherGrants: [],
    });
  }
  await store.createOnly(superseded[0] ?? fail(), Buffer.from('1'));
  await expect(removal(superseded[0] ?? fail())).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('a reader reads and sees where the bucket is; it writes nothing', async () => {
  const bucket = freshName('reader');
  await admin.create(bucket, settings());
  await storeOf('writer', bucket).createOnly('serving/a', Buffer.from('1'));
  const store = storeOf('reader', bucket);
  expect(String(await store.get('serving/a'))).toBe('1');
  const generation = (await store.head('serving/a'))?.generation ?? '';
  for (const work of [
    () => store.createOnly('serving/b', Buffer.from('x')),
    () => store.replacePointer('serving/latest.json', Buffer.from('x')),
    () => store.replace('serving/a', Buffer.from('x'), generation),
    () => store.remove('serving/a', generation),
  ])
    await expect(work()).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('an eraser replaces and removes, and what it removed is gone when soft deletion is over', async () => {
  const bucket = freshName('eraser');
  await admin.create(bucket, settings());
  await storeOf('writer', bucket).createOnly('landing/a', Buffer.from('two buildings'));
  const store = storeOf('eraser', bucket);
  const generation = (await store.head('landing/a'))?.generation ?? '';
  expect(await store.replace('landing/a', Buffer.from('one'), generation)).toBe(true);
  const second = (await store.head('landing/a'))?.generation ?? '';
  expect(await store.remove('landing/a', second)).toBe(true);
  expect(await softDeleted(bucket)).toHaveLength(2);
  aheadMs = 7 * 86_400_000 + 1_000;
  expect(await softDeleted(bucket)).toEqual([]);
});

async function softDeleted(bucket: string): Promise<unknown[]> {
  const access = openGcs({ endpoint: gcs.url, key: parseGcsKey(gcs.keyOf('admin')) });
  const [files] = await access.storage
    .bucket(bucket)
    .getFiles({ softDeleted: true, autoPaginate: false });
  return files;
}

test('whoever is no administrator is refused, and a store that fails is told as such', async () => {
  const bucket = freshName('refused');
  const { metageneration } = await admin.create(bucket, settings());
  const stranger = await openBucketAdmin({
    ...place,
    endpoint: gcs.url,
    secret: secretOf('writer'),
  });
  for (const work of [
    () => stranger.describe(bucket),
    () => stranger.create(freshName('other'), settings()),
    () => stranger.update(bucket, { versioning: false }, metageneration),
  ])
    await expect(work()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  gcs.faults.failNext(1);
  await expect(admin.describe(bucket)).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  await expect(
    admin.create(freshName('nowhere'), { ...settings(), location: 'atlantis' }),
  ).rejects.toMatchObject({ code: 'VALUE_INVALID' });
});

test('a token that is over is asked for anew', async () => {
  const bucket = freshName('token');
  await admin.create(bucket, settings());
  gcs.expireTokens();
  expect(await admin.describe(bucket)).toMatchObject({ bucket });
});

test('what a secret lacks is said by its name', async () => {
  await expect(openBucketAdmin({ ...place, secret: {} })).rejects.toThrow(/credentials\.json/);
});
