import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import type { LakeSecret } from './admin/open-bucket-admin.ts';
import { bucketPersistence, type Persistence } from './bucket/persistently.ts';
import { StoreOutage } from './bucket/store-outage.ts';
import { FsObjectStore } from './fs/fs-object-store.ts';
import type { BucketPlaces, LakeOptions } from './lake-settings.ts';
import type { ErasableStore } from './object-store.ts';
import { type LakePart, TwoBucketStore } from './two-bucket-store.ts';

export interface Lake {
  readonly store: ErasableStore;
  /** Undefined if it is in buckets. */
  readonly dir: string | undefined;
  /**
   * Where a part really is: the real path of its folder, or the region that its bucket says, lower case. Undefined if it cannot be
   * found. Throws as the store does.
   */
  locate(part: LakePart): Promise<string | undefined>;
  /** Why buckets cannot be used at present, one text each; empty if they answer. */
  outages(): readonly string[];
  /** For how long the one that is out longest has been; 0 if they answer. */
  outageSeconds(): number;
}

/**
 * A service works on until its store answers; who is asked something says soon that it does not. Upkeep can wait, and what is refused to
 * it is `FORBIDDEN`.
 */
export type LakeUse = 'work' | 'answers' | 'upkeep';

export interface OpenBuckets extends BucketPlaces {
  readonly store: 'gcs' | 's3';
  /** For s3. */
  readonly region?: string | undefined;
  /** Absent for gcs: what the environment gives. */
  readonly secret?: LakeSecret | undefined;
}

/** An answer waits half a minute at most; so does upkeep, which has the next round. */
const brief = { attemptsMax: 3, attemptTimeoutMsMax: 10_000 };

/**
 * Opens the lake as a service's settings say: what its store refuses it passes as an outage does, when its right is given back.
 * Throws `CONFIG_INVALID` for a secret that cannot be read.
 */
export async function openLake(options: LakeOptions, use: LakeUse = 'work'): Promise<Lake> {
  if (options.store === 'fs') return openFolder(options.dir);
  const { attemptTimeoutMs, attemptsMax } = bucketPersistence;
  const timeoutMs = options.timeoutMs ?? attemptTimeoutMs;
  const { attemptsMax: few, attemptTimeoutMsMax } = brief;
  const isBrief = use !== 'work';
  return openParts(
    { ...options, secret: await secretOf(options) },
    {
      ...bucketPersistence,
      attemptsMax: isBrief ? few : attemptsMax,
      attemptTimeoutMs: isBrief ? Math.min(timeoutMs, attemptTimeoutMsMax) : timeoutMs,
      isRefusalPassing: use !== 'upkeep',
    },
  );
}

function openFolder(dir: string): Lake {
  return {
    store: new FsObjectStore(dir),
    dir,
    locate: async (part) => realpath(join(dir, part)).catch(() => undefined),
    outages: () => [],
    outageSeconds: () => 0,
  };
}

/** Opens the buckets of a lake, for whoever holds their secret in memory. Throws `CONFIG_INVALID`. */
export async function openBuckets(options: OpenBuckets): Promise<Lake> {
  return openParts(options, bucketPersistence);
}

async function openParts(options: OpenBuckets, persistence: Persistence): Promise<Lake> {
  const open = await bucketOpener(options);
  const watched: StoreOutage[] = [];
  const partOf = (name: string, bucket: string | undefined): OpenBucket | undefined => {
    if (bucket === undefined) return undefined;
    const outage = new StoreOutage(name);
    watched.push(outage);
    return open(bucket, { ...persistence, outage });
  };
  const parts = {
    landing: partOf('the landing bucket', options.landingBucket),
    serving: partOf('the serving bucket', options.servingBucket),
  };
  return {
    store: new TwoBucketStore({ landing: parts.landing?.store, serving: parts.serving?.store }),
    dir: undefined,
    locate: async (part) => parts[part]?.locate(),
    outages: () => watched.flatMap(({ reason }) => reason ?? []),
    outageSeconds: () => Math.max(0, ...watched.map(({ seconds }) => seconds)),
  };
}

interface OpenBucket {
  readonly store: ErasableStore;
  locate(): Promise<string | undefined>;
}

/** A provider's client is loaded if it is used. */
async function bucketOpener(
  options: OpenBuckets,
): Promise<(bucket: string, persistence: Persistence) => OpenBucket> {
  const { endpoint, region, secret } = options;
  if (options.store === 'gcs') {
    const { openGcsBucket } = await import('./gcs/open-gcs-bucket.ts');
    return openGcsBucket({ endpoint, secret });
  }
  const { openS3Bucket } = await import('./s3/open-s3-bucket.ts');
  return openS3Bucket({ endpoint, region, secret });
}

async function secretOf(
  options: Exclude<LakeOptions, { readonly store: 'fs' }>,
): Promise<LakeSecret | undefined> {
  if (options.store === 'gcs')
    return options.credentialsFile === undefined
      ? undefined
      : { 'credentials.json': await textOf(options.credentialsFile) };
  return {
    accessKeyId: await textOf(options.accessKeyIdFile),
    secretAccessKey: await textOf(options.secretAccessKeyFile),
  };
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new PlatformError('CONFIG_INVALID', `Cannot read the secret of the store at ${file}`, {
      cause,
    });
  }
}
