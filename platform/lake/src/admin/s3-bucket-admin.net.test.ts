import { fail } from 'node:assert/strict';
import {
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { S3Server } from '@domicile/devkit/s3/s3-server.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openS3 } from '../s3/s3-client.ts';
import type { BucketAdmin, BucketSettings } from './bucket-admin.ts';
import { identityOf, openBucketAdmin } from './open-bucket-admin.ts';

const region = 'onprem-ch-attic';
const secret = { accessKeyId: 'admin', secretAccessKey: 'admin-secret' };
const installTimeoutMs = 400_000;
let server: S3Server;
let admin: BucketAdmin;
let stranger: S3Client;

beforeAll(async () => {
  server = await S3Server.start();
  admin = await openBucketAdmin({ store: 's3', endpoint: server.url, region, secret });
  stranger = openS3({ endpoint: server.url, region, secret });
}, installTimeoutMs);
afterAll(async () => server[Symbol.asyncDispose]());

const principalOf = (name: string): string => `arn:aws:iam::123456789012:user/${name}`;

const settings: BucketSettings & { location: string } = {
  location: region,
  uniformAccess: true,
  publicAccessPrevented: true,
  versioning: true,
  softDeleteDays: 7,
  noncurrentDays: 7,
  deleteAfterDays: 400,
  lockedDays: undefined,
  labels: { 'domicile-country': 'ch' },
  grants: [
    { identity: principalOf('writer'), right: 'write' },
    { identity: principalOf('pruner'), right: 'prune' },
    { identity: principalOf('reader'), right: 'read' },
    { identity: principalOf('eraser'), right: 'erase' },
  ],
};

test('a bucket is as it was wanted, where it was wanted, and a steady state needs nothing', async () => {
  const bucket = freshName('bucket');
  expect(await admin.describe(bucket)).toBe(undefined);
  const made = await admin.create(bucket, settings);
  expect(made).toMatchObject({
    ...settings,
    locationType: 'region',
    publicGrants: [],
    otherGrants: [],
  });
  expect(await admin.describe(bucket)).toEqual(made);
  await expect(admin.create(bucket, settings)).rejects.toMatchObject({ code: 'CONFLICT' });
});

test('a bucket elsewhere says so, and none is made elsewhere than where it is asked for', async () => {
  const bucket = freshName('abroad');
  await expect(
    admin.create(bucket, { ...settings, location: 'eu-central-1' }),
  ).rejects.toMatchObject({ code: 'VALUE_INVALID' });
  const abroad = { store: 's3', endpoint: server.url, region: 'eu-central-1', secret } as const;
  const other = await openBucketAdmin(abroad);
  await other.create(bucket, { ...settings, location: 'eu-central-1' });
  expect(await admin.describe(bucket)).toMatchObject({ location: 'eu-central-1' });
});

test('what has drifted is put back, and what others set stays', async () => {
  const Bucket = freshName('drift');
  await admin.create(Bucket, settings);
  const foreign = {
    Sid: 'Auditor',
    Effect: 'Allow',
    Principal: { AWS: principalOf('auditor') },
    Action: 's3:ListBucket',
    Resource: `arn:aws:s3:::${Bucket}`,
  };
  const everybody = {
    ...foreign,
    Sid: 'Open',
    Principal: '*',
    Action: 's3:GetObject',
    Resource: `arn:aws:s3:::${Bucket}/*`,
  };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [foreign, everybody] });
  const open = {
    BlockPublicAcls: true,
    IgnorePublicAcls: true,
    BlockPublicPolicy: false,
    RestrictPublicBuckets: true,
  };
  const rule = { ID: 'theirs', Status: 'Enabled', Filter: { Prefix: 'tmp/' } } as const;
  const Rules = [{ ...rule, Expiration: { Days: 1 } }];
  for (const work of [
    () =>
      stranger.send(
        new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: open }),
      ),
    () => stranger.send(new PutBucketPolicyCommand({ Bucket, Policy })),
    () =>
      stranger.send(
        new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }),
      ),
    () =>
      stranger.send(
        new PutBucketTaggingCommand({
          Bucket,
          Tagging: { TagSet: [{ Key: 'owner', Value: 'sre' }] },
        }),
      ),
    () =>
      stranger.send(
        new PutBucketVersioningCommand({
          Bucket,
          VersioningConfiguration: { Status: 'Suspended' },
        }),
      ),
  ])
    await work();
  const drifted = (await admin.describe(Bucket)) ?? fail('no bucket');
  expect(drifted).toMatchObject({
    versioning: false,
    publicAccessPrevented: false,
    deleteAfterDays: undefined,
    noncurrentDays: undefined,
    softDeleteDays: 0,
    grants: [],
    publicGrants: ['* s3:GetObject'],
    otherGrants: [`${principalOf('auditor')} s3:ListBucket`],
  });
  const { location: _location, ...wanted } = settings;
  const change = { ...wanted, revokePublic: true } as const;
  const back = await admin.update(Bucket, change, drifted.metageneration);
  expect(back).toMatchObject({ ...wanted, labels: { owner: 'sre', 'domicile-country': 'ch' } });
  expect(back.publicGrants).toEqual([]);
  expect(back.otherGrants).toEqual([`${principalOf('auditor')} s3:ListBucket`]);
  const less = await admin.update(Bucket, { deleteAfterDays: undefined }, back.metageneration);
  expect(less).toMatchObject({ deleteAfterDays: undefined, noncurrentDays: 7 });
});

test('a statement of ours that somebody changed gives no right any more, and is written anew', async () => {
  const Bucket = freshName('changed');
  const { metageneration } = await admin.create(Bucket, settings);
  const wide = {
    Sid: 'DomicileWriteCreate',
    Effect: 'Allow',
    Principal: { AWS: [principalOf('writer')] },
    Action: ['s3:*'],
    Resource: [`arn:aws:s3:::${Bucket}/*`],
  };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [wide] });
  await stranger.send(new PutBucketPolicyCommand({ Bucket, Policy }));
  const { grants } = settings;
  await expect(admin.update(Bucket, { grants }, metageneration)).rejects.toMatchObject({
    code: 'CONFLICT',
  });
  const drifted = (await admin.describe(Bucket)) ?? fail('no bucket');
  expect(drifted.grants).toEqual([]);
  const back = await admin.update(Bucket, { grants }, drifted.metageneration);
  expect(back.grants).toEqual(grants);
  const none = await admin.update(Bucket, { grants: [] }, back.metageneration);
  expect(none.grants).toEqual([]);
});

test('an update of a bucket that is gone, and a store that does not answer, are told as such', async () => {
  await expect(admin.update(freshName('gone'), { labels: {} }, 'x')).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  const endpoint = 'http://127.0.0.1:9';
  const nowhere = await openBucketAdmin({ store: 's3', endpoint, region, secret });
  await expect(nowhere.describe('lake')).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
});

test('who holds a secret is known by its principal, and what a secret lacks is said by its name', async () => {
  expect(identityOf('s3', { ...secret, principal: principalOf('reader') })).toBe(
    principalOf('reader'),
  );
  expect(identityOf('s3', secret)).toBe(undefined);
  await expect(
    openBucketAdmin({ store: 's3', region, secret: { accessKeyId: 'x' } }),
  ).rejects.toThrow(/secretAccessKey/);
});
