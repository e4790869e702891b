import { PlatformError } from '@domicile/core/errors.ts';
import { parseGcsKey } from '../gcs/gcs-key.ts';
import type { BucketAdmin } from './bucket-admin.ts';

/** The data of a Secret, decoded: `credentials.json` for gcs; `accessKeyId`, `secretAccessKey` and perhaps `principal` for s3. */
export type LakeSecret = Readonly<Record<string, string>>;

export interface BucketAdminOptions {
  readonly store: 'gcs' | 's3';
  /** Absent: the provider's own. */
  readonly endpoint?: string | undefined;
  readonly region: string;
  /** Of the identity that may create buckets. */
  readonly secret: LakeSecret;
}

/** A provider's client is loaded if it is used. Throws `CONFIG_INVALID` for a secret that lacks what the store needs. */
export async function openBucketAdmin(options: BucketAdminOptions): Promise<BucketAdmin> {
  const { store, endpoint, region, secret } = options;
  if (store === 's3') {
    const { S3BucketAdmin } = await import('./s3-bucket-admin.ts');
    return new S3BucketAdmin({ endpoint, region, secret });
  }
  const { GcsBucketAdmin } = await import('./gcs-bucket-admin.ts');
  const key = parseGcsKey(requireEntry(secret, 'credentials.json'));
  return new GcsBucketAdmin({ endpoint, key, project: key.project_id });
}

/**
 * As policies of the store name whoever holds the secret. Undefined for an s3 identity without `principal` (an ARN): then rights
 * are the store owner's business. Throws `CONFIG_INVALID`.
 */
export function identityOf(store: 'gcs' | 's3', secret: LakeSecret): string | undefined {
  if (store === 's3') return secret['principal'];
  const { client_email: email } = parseGcsKey(requireEntry(secret, 'credentials.json'));
  return `serviceAccount:${email}`;
}

export function requireEntry(secret: LakeSecret, name: string): string {
  const value = secret[name]?.trim();
  if (value !== undefined && value !== '') return value;
  throw new PlatformError(
    'CONFIG_INVALID',
    `Cannot open the store: the secret has no entry ${name}; add it`,
  );
}
