import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import type { LakeSecret } from './admin/open-bucket-admin.ts';
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
}

export interface OpenBuckets extends BucketPlaces {
  readonly store: 'gcs' | 's3';
  /** For s3. */
  readonly region?: string | undefined;
  /** Absent for gcs: what the environment gives. */
  readonly secret?: LakeSecret | undefined;
}

/** Opens the lake as the settings say. Throws `CONFIG_INVALID` for a secret that cannot be read. */
export async function openLake(options: LakeOptions): Promise<Lake> {
  if (options.store === 'fs') return openFolder(options.dir);
  return openBuckets({ ...options, secret: await secretOf(options) });
}

function openFolder(dir: string): Lake {
  return {
    store: new FsObjectStore(dir),
    dir,
    locate: async (part) => realpath(join(dir, part)).catch(() => undefined),
  };
}

/** Opens the buckets of a lake, for whoever holds their secret in memory. Throws `CONFIG_INVALID`. */
export async function openBuckets(options: OpenBuckets): Promise<Lake> {
  const open = await bucketOpener(options);
  const parts = {
    landing: options.landingBucket === undefined ? undefined : open(options.landingBucket),
    serving: options.servingBucket === undefined ? undefined : open(options.servingBucket),
  };
  return {
    store: new TwoBucketStore({ landing: parts.landing?.store, serving: parts.serving?.store }),
    dir: undefined,
    locate: async (part) => parts[part]?.locate(),
  };
}

interface OpenBucket {
  readonly store: ErasableStore;
  locate(): Promise<string | undefined>;
}

/** A provider's client is loaded if it is used. */
async function bucketOpener(options: OpenBuckets): Promise<(bucket: string) => OpenBucket> {
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
