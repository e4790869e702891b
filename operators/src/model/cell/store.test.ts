import type { BucketState } from '@domicile/lake/admin/bucket-admin.ts';
import { expect, test } from 'vitest';
import { bucketDifference, type LakeIdentities, strangeAuthority, wantedBucket } from './store.ts';
import { planOfDe, specOfDe } from './test-plan.ts';

const identities: LakeIdentities = {
  writer: 'serviceAccount:writer',
  'serving-reader': 'serviceAccount:serving',
  'raw-reader': 'serviceAccount:raw',
  eraser: 'serviceAccount:eraser',
};

const wanted = wantedBucket(planOfDe(), 'landing', identities);

function state(changes: Partial<BucketState> = {}): BucketState {
  return {
    ...wanted.settings,
    bucket: wanted.bucket,
    location: wanted.location,
    locationType: 'region',
    publicGrants: [],
    otherRules: [],
    otherGrants: ['projectOwner:acme roles/storage.legacyBucketOwner'],
    metageneration: '1',
    ...changes,
  };
}

test('landing is read by raw alone; serving by both; nobody but the eraser deletes', () => {
  const rightsOf = (role: 'landing' | 'serving') =>
    wantedBucket(planOfDe(), role, identities).settings.grants.map(
      ({ identity, right }) => `${identity.split(':')[1]} ${right}`,
    );
  expect(rightsOf('landing')).toEqual(['writer write', 'raw read', 'eraser erase']);
  expect(rightsOf('serving')).toEqual(['writer prune', 'serving read', 'raw read', 'eraser erase']);
});

test('a landing bucket tells which authority its gateways know, and another cell’s is not taken over unasked', () => {
  const authority = (fingerprint: string, accepted?: string) =>
    strangeAuthority(state({ labels: { 'domicile-authority': 'a1' } }), { fingerprint, accepted });
  expect(authority('a1')).toBeUndefined();
  expect(authority('b2')).toContain('domicile.dev/new-authority=b2');
  expect(authority('b2', 'a1')).toContain('Restore the Secret');
  expect(authority('b2', 'b2')).toBeUndefined();
  expect(strangeAuthority(state(), { fingerprint: 'b2', accepted: undefined })).toBeUndefined();
  const labelsOf = (role: 'landing' | 'serving') =>
    wantedBucket(planOfDe(), role, identities, 'a1').settings.labels;
  expect(labelsOf('landing')).toHaveProperty('domicile-authority', 'a1');
  expect(labelsOf('serving')).not.toHaveProperty('domicile-authority');
});

test('retention is the country pack’s unless the Cell says another', () => {
  const lake = { ...specOfDe().lake, retentionDays: { landing: 30 } };
  const days = (plan: ReturnType<typeof planOfDe>, role: 'landing' | 'serving') =>
    wantedBucket(plan, role, identities).settings.deleteAfterDays;
  expect(days(planOfDe(), 'landing')).toBe(400);
  expect(days(planOfDe({ lake }), 'landing')).toBe(30);
  expect(days(planOfDe({ lake }), 'serving')).toBe(3650);
});

test('versions are kept only where the store brings nothing back by itself', () => {
  const s3 = planOfDe({ lake: { ...specOfDe().lake, store: 's3' } });
  expect(wanted.settings).toMatchObject({ versioning: false, softDeleteDays: 7 });
  expect(wantedBucket(s3, 'landing', identities).settings).toMatchObject({
    versioning: true,
    noncurrentDays: 7,
  });
});

test('a bucket that is as it is wanted needs nothing, whatever others have beside', () => {
  const labels = { ...wanted.settings.labels, team: 'sre' };
  expect(bucketDifference(state({ labels }), wanted)).toBeUndefined();
  const reversed = wanted.settings.grants.toReversed();
  expect(bucketDifference(state({ grants: reversed }), wanted)).toBeUndefined();
});

test.each([
  ['lists of rights at objects', { uniformAccess: false }, { uniformAccess: true }],
  ['a lock', { lockedDays: 30 }, { lockedDays: undefined }],
  ['another retention', { deleteAfterDays: 7 }, { deleteAfterDays: 400 }],
  ['a lost label', { labels: {} }, { labels: wanted.settings.labels }],
  [
    'a right too many',
    { grants: [...wanted.settings.grants, { identity: 'serviceAccount:serving', right: 'read' }] },
    { grants: wanted.settings.grants },
  ],
  ['everybody', { publicGrants: ['allUsers roles/storage.objectViewer'] }, { revokePublic: true }],
] as const)('%s is put right, and only that', (_what, drift, change) => {
  expect(bucketDifference(state(drift), wanted)?.change).toEqual(change);
});

test('where the owner of the store keeps the rights, they are not touched', () => {
  const nobody = {
    writer: undefined,
    'serving-reader': undefined,
    'raw-reader': undefined,
    eraser: undefined,
  };
  const without = wantedBucket(planOfDe(), 'landing', nobody);
  expect(without.settings.grants).toEqual([]);
  expect(bucketDifference(state(), without)).toBeUndefined();
});
