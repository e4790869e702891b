import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';

const path = z.string().min(1).optional();
const bucket = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/, 'expected the name of a bucket')
  .optional();

/** What every process that opens the lake is told. */
export const lakeSettings = {
  LAKE_STORE: z
    .enum(['fs', 'gcs', 's3'])
    .default('fs')
    .describe('Where the lake is: a folder, or buckets of Google Cloud Storage or S3'),
  LAKE_DIR: path.describe('The folder of the lake; for fs alone, and required there'),
  LAKE_LANDING_BUCKET: bucket.describe(
    'The bucket of single readings; a process that may not see them is told none and refuses',
  ),
  LAKE_SERVING_BUCKET: bucket.describe('The bucket of summaries'),
  LAKE_ENDPOINT: z
    .url()
    .optional()
    .describe("The address of the buckets' service, unless it is the provider's own"),
  LAKE_REGION: z
    .string()
    .min(1)
    .optional()
    .describe('The region that requests are signed for; for s3 alone, and required there'),
  LAKE_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(30_000)
    .describe('How long one request to the buckets may take before it is made again'),
  LAKE_CREDENTIALS_FILE: path.describe(
    'The key of a service account, for gcs; without it what the environment gives, as workload identity does',
  ),
  LAKE_ACCESS_KEY_ID_FILE: path.describe('The id of an access key; for s3 alone'),
  LAKE_SECRET_ACCESS_KEY_FILE: path.describe('The secret of that access key; for s3 alone'),
};

const schema = z.object(lakeSettings);
type AllSettings = Readonly<z.output<typeof schema>>;
export type LakeSettings = Omit<AllSettings, 'LAKE_TIMEOUT_MS'> &
  Partial<Pick<AllSettings, 'LAKE_TIMEOUT_MS'>>;

/** Files hold secrets and are read when the lake is opened. */
export type LakeOptions =
  | { readonly store: 'fs'; readonly dir: string }
  | (BucketPlaces & { readonly store: 'gcs'; readonly credentialsFile: string | undefined })
  | (BucketPlaces & {
      readonly store: 's3';
      readonly region: string;
      readonly accessKeyIdFile: string;
      readonly secretAccessKeyFile: string;
    });

export interface BucketPlaces {
  readonly endpoint?: string | undefined;
  readonly landingBucket?: string | undefined;
  readonly servingBucket?: string | undefined;
  /** Of one request. */
  readonly timeoutMs?: number | undefined;
}

/** Throws `CONFIG_INVALID` if what the store needs is not set. */
export function lakeOptionsOf(read: LakeSettings): LakeOptions {
  if (read.LAKE_STORE === 'fs') return { store: 'fs', dir: required(read, 'LAKE_DIR') };
  const places = {
    endpoint: read.LAKE_ENDPOINT,
    landingBucket: read.LAKE_LANDING_BUCKET,
    servingBucket: read.LAKE_SERVING_BUCKET,
    timeoutMs: read.LAKE_TIMEOUT_MS,
  };
  if (places.landingBucket === undefined) required(read, 'LAKE_SERVING_BUCKET');
  if (read.LAKE_STORE === 'gcs')
    return { store: 'gcs', ...places, credentialsFile: read.LAKE_CREDENTIALS_FILE };
  return {
    store: 's3',
    ...places,
    region: required(read, 'LAKE_REGION'),
    accessKeyIdFile: required(read, 'LAKE_ACCESS_KEY_ID_FILE'),
    secretAccessKeyFile: required(read, 'LAKE_SECRET_ACCESS_KEY_FILE'),
  };
}

function required(
  read: LakeSettings,
  name: Exclude<keyof LakeSettings, 'LAKE_STORE' | 'LAKE_TIMEOUT_MS'>,
): string {
  const value = read[name];
  if (value !== undefined) return value;
  throw new PlatformError(
    'CONFIG_INVALID',
    `Cannot read settings: ${name}: required with LAKE_STORE=${read.LAKE_STORE}`,
  );
}
