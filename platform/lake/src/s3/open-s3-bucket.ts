import { GetBucketLocationCommand, type S3Client } from '@aws-sdk/client-s3';
import { PlatformError } from '@domicile/core/errors.ts';
import type { LakeSecret } from '../admin/open-bucket-admin.ts';
import { BucketObjectStore } from '../bucket/bucket-object-store.ts';
import type { Persistence } from '../bucket/persistently.ts';
import { S3BucketClient } from './s3-bucket-client.ts';
import { askedS3, openS3 } from './s3-client.ts';

/** Where buckets without a location are. Source: Amazon S3, GetBucketLocation. */
const firstRegion = 'us-east-1';

/** Lower case. */
export async function s3LocationOf(client: S3Client, bucket: string): Promise<string> {
  const answer = await askedS3(() => client.send(new GetBucketLocationCommand({ Bucket: bucket })));
  const location: string = answer.LocationConstraint ?? '';
  if (location === '') return firstRegion;
  return location === 'EU' ? 'eu-west-1' : location.toLowerCase();
}

/** Buckets of one identity, by one client. Throws `CONFIG_INVALID`. */
export function openS3Bucket(options: {
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly secret: LakeSecret | undefined;
}) {
  const { endpoint, region, secret } = options;
  if (region === undefined || secret === undefined)
    throw new PlatformError(
      'CONFIG_INVALID',
      'Cannot open the store: s3 needs a region and an access key',
    );
  const client = openS3({ endpoint, region, secret });
  return (bucket: string, persistence?: Persistence) => ({
    store: new BucketObjectStore(new S3BucketClient(client, bucket), persistence),
    locate: async () => s3LocationOf(client, bucket),
  });
}
