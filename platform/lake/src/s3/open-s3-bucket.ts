import { PlatformError } from '@domicile/core/errors.ts';
import type { LakeSecret } from '../admin/open-bucket-admin.ts';
import type { ErasableStore } from '../object-store.ts';

export function openS3Bucket(_options: {
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly secret: LakeSecret | undefined;
}): (bucket: string) => { store: ErasableStore; locate(): Promise<string | undefined> } {
  throw new PlatformError('NOT_BUILT', 'Cannot open buckets of S3 yet');
}
