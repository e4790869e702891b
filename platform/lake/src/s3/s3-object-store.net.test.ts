import { randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { FaultProxy } from '@domicile/devkit/fault-proxy.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { S3Server } from '@domicile/devkit/s3/s3-server.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BucketObjectStore } from '../bucket/bucket-object-store.ts';
import { bucketPromises, persistence, type TestBucket } from '../bucket/test-bucket-promises.ts';
import { openBuckets } from '../open-lake.ts';
import { S3BucketClient } from './s3-bucket-client.ts';
import { openS3 } from './s3-client.ts';

const region = 'onprem-ch-attic';
const secret = { accessKeyId: 'test', secretAccessKey: 'test-secret' };
/** The server is fetched from a registry once. */
const installTimeoutMs = 400_000;
let server: S3Server;
let client: S3Client;

beforeAll(async () => {
  server = await S3Server.start();
  client = openS3({ endpoint: server.url, region, secret });
  for (const name of ['lake', 'versioned'])
    await client.send(
      new CreateBucketCommand({
        Bucket: name,
        // A region of one's own is none that the client knows.
        CreateBucketConfiguration: JSON.parse(JSON.stringify({ LocationConstraint: region })),
      }),
    );
  await client.send(
    new PutBucketVersioningCommand({
      Bucket: 'versioned',
      VersioningConfiguration: { Status: 'Enabled' },
    }),
  );
}, installTimeoutMs);
afterAll(async () => server[Symbol.asyncDispose]());

function storeOf(bucket: TestBucket = 'lake'): BucketObjectStore {
  return new BucketObjectStore(new S3BucketClient(client, bucket), persistence);
}

bucketPromises('s3', storeOf);

test('of what was erased in a versioned bucket no version stays', async () => {
  const store = storeOf('versioned');
  const folder = freshName('erased');
  await store.createOnly(`${folder}/a`, Buffer.from('two buildings'));
  const first = (await store.head(`${folder}/a`))?.generation ?? '';
  expect(await store.replace(`${folder}/a`, Buffer.from('one'), first)).toBe(true);
  const second = (await store.head(`${folder}/a`))?.generation ?? '';
  expect(await store.remove(`${folder}/a`, second)).toBe(true);
  const left = await client.send(
    new ListObjectVersionsCommand({ Bucket: 'versioned', Prefix: `${folder}/` }),
  );
  expect([left.Versions ?? [], left.DeleteMarkers ?? []]).toEqual([[], []]);
});

test('another client of S3 reads the same bytes', async () => {
  const content = randomBytes(3_000_000);
  const key = `${freshName('large')}/a.parquet`;
  expect(await storeOf().createOnly(key, content)).toBe(true);
  const { Body } = await client.send(new GetObjectCommand({ Bucket: 'lake', Key: key }));
  expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(content)).toBe(true);
});

/** A store behind a link that can be cut, and the link. */
async function behindLink() {
  const link = await FaultProxy.start({ targets: [Number(new URL(server.url).port)] });
  const endpoint = `http://127.0.0.1:${link.port}`;
  const cut = openS3({ endpoint, region, secret });
  return { link, store: new BucketObjectStore(new S3BucketClient(cut, 'lake'), persistence) };
}

test('a store that does not answer is given up, and told as such', async () => {
  const { link, store } = await behindLink();
  await using _closed = link;
  link.cut();
  await expect(store.head('a/b')).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  link.mend();
  expect(await store.head('a/b')).toBe(undefined);
});

test('a create whose answer was lost is known as its own', async () => {
  const { link, store } = await behindLink();
  await using _closed = link;
  const key = `${freshName('lost')}/a`;
  await store.head(key);
  link.setWeather({ delayMs: 1_500 });
  const created = store.createOnly(key, Buffer.from('mine'));
  await waitFor('the object', async () => (await storeOf().head(key)) !== undefined);
  // It is there, and its answer is on the way.
  link.reset();
  link.setWeather({});
  expect(await created).toBe(true);
  expect(await store.createOnly(key, Buffer.from('mine'))).toBe(false);
});

test('two buckets are one lake, each in its place', async () => {
  const lake = await openBuckets({
    store: 's3',
    endpoint: server.url,
    region,
    secret,
    landingBucket: 'lake',
    servingBucket: 'versioned',
  });
  const name = freshName('part');
  await lake.store.createOnly(`landing/${name}/a`, Buffer.from('1'));
  await lake.store.createOnly(`serving/${name}/b`, Buffer.from('2'));
  expect(await storeOf('lake').list(`landing/${name}/`, { limit: 9 })).toHaveLength(1);
  expect(await storeOf('versioned').list(`serving/${name}/`, { limit: 9 })).toHaveLength(1);
  expect(await storeOf('versioned').head(`landing/${name}/a`)).toBe(undefined);
  expect(await lake.locate('landing')).toBe(region);
  await expect(lake.store.get('elsewhere/a')).rejects.toMatchObject({ code: 'VALUE_INVALID' });
});
