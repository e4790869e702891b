import type { BucketGrant } from '../model/bucket-rights.ts';

export type LocationType = 'region' | 'dual-region' | 'multi-region' | 'unknown';

export interface BucketSettings {
  /** Rights by policies alone, none by lists at single objects. */
  readonly uniformAccess: boolean;
  readonly publicAccessPrevented: boolean;
  readonly versioning: boolean;
  /** How long what was deleted can be brought back. With s3 it is read as `noncurrentDays` and written as that. */
  readonly softDeleteDays: number;
  /** After how many days replaced or deleted versions go; undefined: never. */
  readonly noncurrentDays: number | undefined;
  /** After how many days landed files and files of summaries go; undefined: never. Plans, manifests and snapshots stay. */
  readonly deleteAfterDays: number | undefined;
  /**
   * For how many days the store itself refuses to delete or replace; undefined: not at all, as pointers and erasure need it. Writing
   * undefined removes the policy if it is not locked.
   */
  readonly lockedDays: number | undefined;
  /** Written ones are added to those that are there. */
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Identities that hold the very roles of a right. Writing takes those roles from identities that are not named, and leaves other
   * roles alone.
   */
  readonly grants: readonly BucketGrant[];
}

export interface BucketState extends BucketSettings {
  readonly bucket: string;
  /** Lower case. */
  readonly location: string;
  readonly locationType: LocationType;
  /** Roles that everybody holds, as `member role`. */
  readonly publicGrants: readonly string[];
  /** Roles that are no right of ours, as `member role`. */
  readonly otherGrants: readonly string[];
  /** Rules of its life cycle that are none of ours and delete or move what it holds, for people. */
  readonly otherRules: readonly string[];
  /** Changes with the bucket; of no other meaning. */
  readonly metageneration: string;
}

export interface BucketChange extends Partial<BucketSettings> {
  /** Takes their roles from everybody. */
  readonly revokePublic?: true;
}

/**
 * Buckets, for whoever places them; none is ever deleted or moved. All throw `FORBIDDEN` and, for what may pass by itself,
 * `UPSTREAM_UNAVAILABLE`; `VALUE_INVALID` for what the provider does not take.
 */
export interface BucketAdmin {
  /** Undefined if there is none. */
  describe(bucket: string): Promise<BucketState | undefined>;
  /** In one region, of this kind alone. Throws `CONFLICT` if there is a bucket of that name, whoever owns it. */
  create(
    bucket: string,
    wanted: BucketSettings & { readonly location: string },
  ): Promise<BucketState>;
  /** Writes the fields that are given. Throws `CONFLICT` if the bucket has changed since, `NOT_FOUND` if it is gone. */
  update(bucket: string, change: BucketChange, ifMetageneration: string): Promise<BucketState>;
}
