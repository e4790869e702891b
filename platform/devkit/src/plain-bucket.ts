import type { BucketSettings } from '@domicile/lake/admin/bucket-admin.ts';

/** For tests: settings of a bucket that is nobody's but the tests', in which nothing goes by itself. */
export const plainBucket: Omit<BucketSettings, 'grants'> = {
  uniformAccess: true,
  publicAccessPrevented: true,
  versioning: false,
  softDeleteDays: 7,
  noncurrentDays: undefined,
  deleteAfterDays: undefined,
  lockedDays: undefined,
  labels: {},
};
