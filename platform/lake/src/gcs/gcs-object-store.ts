import { BucketObjectStore } from '../bucket/bucket-object-store.ts';
import type { Persistence } from '../bucket/persistently.ts';
import { GcsBucketClient } from './gcs-bucket-client.ts';
import { type GcsOptions, openGcs } from './gcs-client.ts';

/** A bucket of Google Cloud Storage as a store. */
export class GcsObjectStore extends BucketObjectStore {
  constructor(options: GcsOptions & { readonly bucket: string }, persistence?: Persistence) {
    super(new GcsBucketClient(openGcs(options), options.bucket), persistence);
  }
}
