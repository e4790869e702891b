import { z } from 'zod';
import { type LakeSecret, requireEntry } from '../admin/open-bucket-admin.ts';
import { BucketObjectStore } from '../bucket/bucket-object-store.ts';
import type { Persistence } from '../bucket/persistently.ts';
import { GcsBucketClient } from './gcs-bucket-client.ts';
import { asked, callGcs, openGcs } from './gcs-client.ts';
import { parseGcsKey } from './gcs-key.ts';

const locationSchema = z.object({ location: z.string() });

/** Buckets of one identity, by one client. Throws `CONFIG_INVALID`. */
export function openGcsBucket(options: {
  readonly endpoint: string | undefined;
  /** Absent: what the environment gives. */
  readonly secret: LakeSecret | undefined;
}) {
  const { endpoint, secret } = options;
  const key = secret && parseGcsKey(requireEntry(secret, 'credentials.json'));
  const access = openGcs({ endpoint, key });
  return (bucket: string, persistence?: Persistence) => ({
    store: new BucketObjectStore(new GcsBucketClient(access, bucket), persistence),
    async locate() {
      const answer = await asked(access, async () =>
        (await callGcs(access, { path: `b/${bucket}`, query: { fields: 'location' } })).json(),
      );
      return locationSchema.parse(answer).location.toLowerCase();
    },
  });
}
