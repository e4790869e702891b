import { createHash } from 'node:crypto';
import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketPolicyCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
  type LifecycleRule,
  type PublicAccessBlockConfiguration,
  PutBucketLifecycleConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { PlatformError } from '@domicile/core/errors.ts';
import { retainedDataPrefixes } from '../model/retained-data.ts';
import { grantsOfPolicy, policyWith } from '../model/s3-grants.ts';
import { s3LocationOf } from '../s3/open-s3-bucket.ts';
import { askedS3, openS3, s3CodeOf, s3StatusOf, type S3Options } from '../s3/s3-client.ts';
import type { BucketAdmin, BucketChange, BucketSettings, BucketState } from './bucket-admin.ts';

const firstRegion = 'us-east-1';
/** One for each prefix. */
const retentionRules = retainedDataPrefixes.map((prefix, index) => ({
  ID: `domicile-retention-${index}`,
  Filter: { Prefix: prefix },
}));
const noncurrentRule = 'domicile-noncurrent';

/** What a bucket that has none answers, by what is asked. */
const absent: ReadonlySet<string> = new Set([
  'NoSuchBucketPolicy',
  'NoSuchLifecycleConfiguration',
  'NoSuchPublicAccessBlockConfiguration',
  'NoSuchTagSet',
  'ObjectLockConfigurationNotFoundError',
  'OwnershipControlsNotFoundError',
]);

/** Everything that is read of a bucket. */
interface Seen {
  readonly location: string;
  readonly versioning: boolean;
  /** `unknown` if the store does not know it: then it has no such lists of rights. */
  readonly ownership: boolean | 'unknown';
  readonly publicAccessBlock: boolean | 'unknown';
  readonly rules: readonly LifecycleRule[];
  readonly lockedDays: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: string | undefined;
}

/**
 * Buckets of S3 and of stores that speak it. There is no metageneration and no condition on these writes: the fence is a digest of
 * what was read, compared once more right before the writes, so that another writer at that very instant is not seen.
 */
export class S3BucketAdmin implements BucketAdmin {
  readonly #client: S3Client;

  constructor(options: S3Options) {
    this.#client = openS3(options);
  }

  async describe(bucket: string): Promise<BucketState | undefined> {
    const seen = await this.#see(bucket);
    return seen && stateOf(bucket, seen);
  }

  async create(
    bucket: string,
    wanted: BucketSettings & { readonly location: string },
  ): Promise<BucketState> {
    const { location, lockedDays, ...others } = wanted;
    if (await this.describe(bucket)) throw taken();
    await askedS3(async () => {
      try {
        await this.#client.send(
          new CreateBucketCommand({
            Bucket: bucket,
            ...(location !== firstRegion && {
              CreateBucketConfiguration: { LocationConstraint: constraintOf(location) },
            }),
            ...(lockedDays !== undefined && { ObjectLockEnabledForBucket: true }),
          }),
        );
      } catch (error) {
        if (s3StatusOf(error) === 409) throw taken(error);
        throw error;
      }
    });
    const made = await this.#state(bucket);
    const change = { ...others, ...(lockedDays !== undefined && { lockedDays }) };
    return this.update(bucket, change, made.metageneration);
  }

  async update(
    bucket: string,
    change: BucketChange,
    ifMetageneration: string,
  ): Promise<BucketState> {
    const seen = await this.#see(bucket);
    if (!seen) throw gone();
    if (stateOf(bucket, seen).metageneration !== ifMetageneration)
      throw new PlatformError('CONFLICT', 'Cannot change the bucket: it has changed since');
    await this.#writeAccess(bucket, change, seen);
    await this.#writePolicy(bucket, change, seen);
    await this.#writeKeeping(bucket, change, seen);
    return this.#state(bucket);
  }

  async #see(bucket: string): Promise<Seen | undefined> {
    const location = await this.#location(bucket);
    if (location === undefined) return undefined;
    const of = { Bucket: bucket };
    const send = this.#client;
    const versioning = await askedS3(() => send.send(new GetBucketVersioningCommand(of)));
    const ownership = await ifKnown(() => send.send(new GetBucketOwnershipControlsCommand(of)));
    const block = await ifKnown(() => send.send(new GetPublicAccessBlockCommand(of)));
    const lifecycle = await ifKnown(() =>
      send.send(new GetBucketLifecycleConfigurationCommand(of)),
    );
    const lock = known(await ifKnown(() => send.send(new GetObjectLockConfigurationCommand(of))));
    const tagging = known(await ifKnown(() => send.send(new GetBucketTaggingCommand(of))));
    const policy = known(await ifKnown(() => send.send(new GetBucketPolicyCommand(of))));
    const blocked = known(block)?.PublicAccessBlockConfiguration ?? {};
    return {
      location,
      versioning: versioning.Status === 'Enabled',
      ownership:
        ownership === 'unknown' ||
        ownership?.OwnershipControls?.Rules?.[0]?.ObjectOwnership === 'BucketOwnerEnforced',
      publicAccessBlock: block === 'unknown' ? 'unknown' : isBlocked(blocked),
      rules: known(lifecycle)?.Rules ?? [],
      lockedDays: lock?.ObjectLockConfiguration?.Rule?.DefaultRetention?.Days,
      labels: Object.fromEntries(
        (tagging?.TagSet ?? []).map(({ Key = '', Value = '' }) => [Key, Value]),
      ),
      policy: policy?.Policy,
    };
  }

  async #location(bucket: string): Promise<string | undefined> {
    try {
      return await s3LocationOf(this.#client, bucket);
    } catch (error) {
      if (error instanceof PlatformError && s3CodeOf(error.cause) === 'NoSuchBucket')
        return undefined;
      throw error;
    }
  }

  async #state(bucket: string): Promise<BucketState> {
    const state = await this.describe(bucket);
    if (state) return state;
    throw gone();
  }

  async #writeAccess(bucket: string, change: BucketChange, seen: Seen): Promise<void> {
    const { uniformAccess, publicAccessPrevented } = change;
    if (uniformAccess !== undefined && uniformAccess !== seen.ownership)
      await ifKnown(() =>
        this.#client.send(
          new PutBucketOwnershipControlsCommand({
            Bucket: bucket,
            OwnershipControls: {
              Rules: [{ ObjectOwnership: uniformAccess ? 'BucketOwnerEnforced' : 'ObjectWriter' }],
            },
          }),
        ),
      );
    if (publicAccessPrevented !== undefined && seen.publicAccessBlock !== 'unknown')
      await askedS3(() =>
        this.#client.send(
          new PutPublicAccessBlockCommand({
            Bucket: bucket,
            PublicAccessBlockConfiguration: {
              BlockPublicAcls: publicAccessPrevented,
              IgnorePublicAcls: publicAccessPrevented,
              BlockPublicPolicy: publicAccessPrevented,
              RestrictPublicBuckets: publicAccessPrevented,
            },
          }),
        ),
      );
  }

  async #writePolicy(bucket: string, change: BucketChange, seen: Seen): Promise<void> {
    const { grants, revokePublic = false } = change;
    if (grants === undefined && !revokePublic) return;
    const Policy = policyWith(seen.policy, { bucket, grants, revokePublic });
    if (Policy !== undefined)
      await askedS3(() =>
        this.#client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy })),
      );
    else if (seen.policy !== undefined)
      await askedS3(() => this.#client.send(new DeleteBucketPolicyCommand({ Bucket: bucket })));
  }

  async #writeKeeping(bucket: string, change: BucketChange, seen: Seen): Promise<void> {
    const { versioning, labels } = change;
    if (versioning !== undefined && versioning !== seen.versioning)
      await askedS3(() =>
        this.#client.send(
          new PutBucketVersioningCommand({
            Bucket: bucket,
            VersioningConfiguration: { Status: versioning ? 'Enabled' : 'Suspended' },
          }),
        ),
      );
    if (labels !== undefined)
      await askedS3(() =>
        this.#client.send(
          new PutBucketTaggingCommand({
            Bucket: bucket,
            Tagging: {
              TagSet: Object.entries({ ...seen.labels, ...labels }).map(([Key, Value]) => ({
                Key,
                Value,
              })),
            },
          }),
        ),
      );
    if ('lockedDays' in change && change.lockedDays !== seen.lockedDays)
      await this.#writeLock(bucket, change.lockedDays);
    if ('deleteAfterDays' in change || 'noncurrentDays' in change)
      await this.#writeRules(bucket, rulesWith(change, seen.rules), seen.rules.length);
  }

  async #writeLock(bucket: string, days: number | undefined): Promise<void> {
    await askedS3(() =>
      this.#client.send(
        new PutObjectLockConfigurationCommand({
          Bucket: bucket,
          ObjectLockConfiguration: {
            ObjectLockEnabled: 'Enabled',
            ...(days !== undefined && {
              Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: days } },
            }),
          },
        }),
      ),
    );
  }

  async #writeRules(bucket: string, Rules: LifecycleRule[], before: number): Promise<void> {
    if (Rules.length > 0)
      await askedS3(() =>
        this.#client.send(
          new PutBucketLifecycleConfigurationCommand({
            Bucket: bucket,
            LifecycleConfiguration: { Rules },
          }),
        ),
      );
    else if (before > 0)
      await askedS3(() => this.#client.send(new DeleteBucketLifecycleCommand({ Bucket: bucket })));
  }
}

function taken(cause?: unknown): PlatformError {
  return new PlatformError('CONFLICT', 'Cannot create the bucket: there is one of that name', {
    cause,
  });
}

function gone(): PlatformError {
  return new PlatformError('NOT_FOUND', 'Cannot find the bucket: it is gone');
}

/** Regions of one's own are none that the client's types know. */
function constraintOf(location: string): BucketLocationConstraint {
  const named: Readonly<Record<string, BucketLocationConstraint>> = JSON.parse(
    JSON.stringify({ location }),
  );
  return named['location'] ?? 'EU';
}

/** Undefined if the bucket has none, `unknown` if the store does not know what that is. */
async function ifKnown<Value>(work: () => Promise<Value>): Promise<Value | 'unknown' | undefined> {
  return askedS3(async () => {
    try {
      return await work();
    } catch (error) {
      if (absent.has(s3CodeOf(error))) return undefined;
      if (s3StatusOf(error) === 501 || s3CodeOf(error) === 'NotImplemented') return 'unknown';
      throw error;
    }
  });
}

function known<Value>(value: Value | 'unknown'): Value | undefined {
  return value === 'unknown' ? undefined : value;
}

function isBlocked(block: PublicAccessBlockConfiguration): boolean {
  const { BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets } = block;
  return [BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets].every(
    (one) => one === true,
  );
}

function stateOf(bucket: string, seen: Seen): BucketState {
  const { location, versioning, ownership, publicAccessBlock, rules, lockedDays, labels } = seen;
  const granted = grantsOfPolicy(bucket, seen.policy);
  const ruleOf = (id: string) => rules.find(({ ID, Status }) => ID === id && Status === 'Enabled');
  const noncurrentDays = ruleOf(noncurrentRule)?.NoncurrentVersionExpiration?.NoncurrentDays;
  return {
    bucket,
    location,
    locationType: 'region',
    uniformAccess: ownership !== false,
    publicAccessPrevented:
      publicAccessBlock === 'unknown' ? granted.publicGrants.length === 0 : publicAccessBlock,
    versioning,
    softDeleteDays: versioning ? (noncurrentDays ?? 0) : 0,
    noncurrentDays,
    deleteAfterDays: allTheSame(retentionRules.map(({ ID }) => ruleOf(ID)?.Expiration?.Days)),
    lockedDays,
    labels,
    ...granted,
    otherRules: otherRulesOf(rules),
    metageneration: createHash('sha256').update(JSON.stringify(seen)).digest('hex'),
  };
}

function otherRulesOf(rules: readonly LifecycleRule[]): string[] {
  const ours = new Set([noncurrentRule, ...retentionRules.map(({ ID }) => ID)]);
  const harms = ['Expiration', 'Transitions', 'NoncurrentVersionExpiration'] as const;
  return rules
    .filter(({ ID, Status }) => Status === 'Enabled' && !ours.has(ID ?? ''))
    .flatMap((rule) => {
      const found = harms.filter((harm) => rule[harm] !== undefined);
      return found.length === 0 ? [] : [`${rule.ID ?? 'unnamed'} (${found.join(', ')})`];
    });
}

function allTheSame(days: readonly (number | undefined)[]): number | undefined {
  return days.every((one) => one === days[0]) ? days[0] : undefined;
}

function rulesWith(change: BucketChange, rules: readonly LifecycleRule[]): LifecycleRule[] {
  const written: LifecycleRule[] = [];
  const { deleteAfterDays, noncurrentDays } = change;
  if (deleteAfterDays !== undefined)
    for (const rule of retentionRules)
      written.push({ ...rule, Status: 'Enabled', Expiration: { Days: deleteAfterDays } });
  if (noncurrentDays !== undefined)
    written.push({
      ID: noncurrentRule,
      Status: 'Enabled',
      Filter: { Prefix: '' },
      NoncurrentVersionExpiration: { NoncurrentDays: noncurrentDays },
    });
  const kept = rules.filter(
    ({ ID }) =>
      !('deleteAfterDays' in change && retentionRules.some((rule) => rule.ID === ID)) &&
      !(ID === noncurrentRule && 'noncurrentDays' in change),
  );
  return [...kept, ...written];
}
