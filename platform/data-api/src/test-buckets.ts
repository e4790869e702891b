/** For tests: the buckets of a lake, at each provider, and what may befall them. */
import { fail } from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FaultProxy } from '@domicile/devkit/fault-proxy.ts';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { plainBucket } from '@domicile/devkit/plain-bucket.ts';
import { S3Server } from '@domicile/devkit/s3/s3-server.ts';
import { identityOf, openBucketAdmin } from '@domicile/lake/admin/open-bucket-admin.ts';

export const buckets = { landing: 'lake-landing-de', serving: 'lake-serving-de' } as const;
export type Part = keyof typeof buckets;
export type Identity = 'writer' | 'serving-reader' | 'raw-reader';
export type Outage = 'answers 503' | 'answers 429' | 'refuses' | 'hangs' | 'is cut off';

/** Settings by which the services take a second for what takes half a minute. */
const quick = { LAKE_TIMEOUT_MS: '1000' };

export interface Buckets extends AsyncDisposable {
  readonly region: string;
  readonly outages: readonly Outage[];
  /** Settings of a process that may see these parts as this identity. */
  env(identity: Identity, parts: readonly Part[]): Record<string, string>;
  /** Until `mend`, for every request. */
  begin(outage: Outage): void;
  mend(): void;
  /** Copies the landed files, as they are in the bucket, below a folder. */
  copyLanded(folder: string): Promise<void>;
  /** What a rule of the bucket does to data of one day of receipt; gives the names. */
  expire(day: string): Promise<string[]>;
}

function bucketEnv(parts: readonly Part[]): Record<string, string> {
  return {
    ...(parts.includes('landing') && { LAKE_LANDING_BUCKET: buckets.landing }),
    ...(parts.includes('serving') && { LAKE_SERVING_BUCKET: buckets.serving }),
  };
}

/** Who may read what; the writer writes both. */
const readersOf: Readonly<Record<Part, readonly Identity[]>> = {
  landing: ['raw-reader'],
  serving: ['serving-reader', 'raw-reader'],
};

export interface GcsBuckets extends Buckets {
  readonly gcs: GcsEmulator;
}

/** At the emulator, each process by an identity of its own. */
export async function gcsBuckets(folder: string): Promise<GcsBuckets> {
  const region = 'europe-west3';
  const identities = ['admin', 'writer', 'serving-reader', 'raw-reader'];
  const gcs = await GcsEmulator.start({ identities, admins: ['admin'] });
  await gcs.writeKeys(folder);
  const keyOf = (name: string) => ({ 'credentials.json': gcs.keyOf(name) });
  const endpoint = gcs.url;
  const admin = await openBucketAdmin({ store: 'gcs', endpoint, region, secret: keyOf('admin') });
  const granted = (name: Identity, right: 'read' | 'write' | 'prune') => ({
    identity: identityOf('gcs', keyOf(name)) ?? fail(name),
    right,
  });
  for (const part of ['landing', 'serving'] as const)
    await admin.create(buckets[part], {
      ...plainBucket,
      location: region,
      grants: [
        granted('writer', part === 'serving' ? 'prune' : 'write'),
        ...readersOf[part].map((name) => granted(name, 'read')),
      ],
    });
  const landed = () => gcs.buckets.get(buckets.landing)?.live ?? fail('no bucket');
  return {
    gcs,
    region,
    outages: ['answers 503', 'answers 429', 'refuses', 'hangs'],
    env: (identity, parts) => ({
      LAKE_STORE: 'gcs',
      LAKE_ENDPOINT: gcs.url,
      LAKE_CREDENTIALS_FILE: join(folder, `${identity}.json`),
      ...quick,
      ...bucketEnv(parts),
    }),
    begin(outage) {
      if (outage === 'hangs') gcs.faults.hangNext(Infinity);
      else gcs.faults.failNext(Infinity, outage === 'refuses' ? 403 : Number(outage.slice(-3)));
    },
    mend: () => gcs.faults.clear(),
    async copyLanded(copy) {
      for (const object of landed().values())
        if (object.name.endsWith('.parquet'))
          await copyTo(join(copy, object.name), object.content());
    },
    async expire(day) {
      const names = [...landed().keys()].filter((name) => name.includes(`/dt=${day}/`));
      for (const name of names) landed().delete(name);
      return names;
    },
    [Symbol.asyncDispose]: () => gcs[Symbol.asyncDispose](),
  };
}

/** At an independent server of S3 that checks no rights, behind a link that can be cut. */
export async function s3Buckets(folder: string): Promise<Buckets> {
  await using parts = new AsyncDisposableStack();
  const region = 'onprem-de-attic';
  const server = parts.use(await S3Server.start());
  const link = parts.use(await FaultProxy.start({ targets: [Number(new URL(server.url).port)] }));
  const secret = { accessKeyId: 'test', secretAccessKey: 'test-secret' };
  for (const [name, text] of Object.entries(secret)) await writeFile(join(folder, name), text);
  const admin = await openBucketAdmin({ store: 's3', endpoint: server.url, region, secret });
  for (const part of ['landing', 'serving'] as const)
    await admin.create(buckets[part], { ...plainBucket, location: region, grants: [] });
  const landing = `${server.url}/${buckets.landing}`;
  const landedNames = async (): Promise<string[]> => {
    const listed = await ask(`${landing}?list-type=2&prefix=landing/readings/v1/dt%3D`);
    return [...listed.toString().matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, name = '']) => name);
  };
  const moved = parts.move();
  return {
    region,
    outages: ['is cut off', 'hangs'],
    env: (_identity, opened) => ({
      LAKE_STORE: 's3',
      LAKE_ENDPOINT: `http://127.0.0.1:${link.port}`,
      LAKE_REGION: region,
      LAKE_ACCESS_KEY_ID_FILE: join(folder, 'accessKeyId'),
      LAKE_SECRET_ACCESS_KEY_FILE: join(folder, 'secretAccessKey'),
      ...quick,
      ...bucketEnv(opened),
    }),
    begin(outage) {
      if (outage === 'hangs') link.silence();
      else link.cut();
    },
    mend() {
      link.reset();
      link.mend();
    },
    async copyLanded(copy) {
      for (const name of await landedNames())
        await copyTo(join(copy, name), await ask(`${landing}/${name}`));
    },
    async expire(day) {
      const names = (await landedNames()).filter((name) => name.includes(`/dt=${day}/`));
      for (const name of names) await ask(`${landing}/${name}`, 'DELETE');
      return names;
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** As no client of ours does; the server wants a signature and does not look at it. */
async function ask(url: string, method = 'GET'): Promise<Buffer> {
  const credential = 'Credential=test/20260101/x/s3/aws4_request';
  const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=host, Signature=none`;
  const answer = await fetch(url, { method, headers: { authorization } });
  if (!answer.ok) fail(`${method} ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

async function copyTo(file: string, content: Buffer): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}
