/**
 * What an identity may do with a bucket. `write`: create objects, read them, replace pointers `latest.*`, and neither replace nor
 * delete anything else. `prune`: the same, and delete and replace snapshots and files of summaries. `read`: read, list, and see
 * where the bucket is. `erase`: read, replace and delete, older versions too.
 */
export const bucketRights = ['write', 'prune', 'read', 'erase'] as const;
export type BucketRight = (typeof bucketRights)[number];

export interface BucketGrant {
  /** As the provider names it: see `identityOf`. */
  readonly identity: string;
  readonly right: BucketRight;
}
