import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import {
  asked,
  callGcs,
  type GcsAccess,
  type GcsCall,
  type GcsOptions,
  openGcs,
  statusOf,
} from '../gcs/gcs-client.ts';
import { bindingsWith, type GcsBinding, gcsBindingSchema, grantsOf } from '../model/gcs-grants.ts';
import { retainedDataPrefixes } from '../model/retained-data.ts';
import type {
  BucketAdmin,
  BucketChange,
  BucketSettings,
  BucketState,
  LocationType,
} from './bucket-admin.ts';

const dayS = 86_400;
const policyVersion = 3;

const locationTypes: Readonly<Record<string, LocationType>> = {
  region: 'region',
  'dual-region': 'dual-region',
  'multi-region': 'multi-region',
};

const ruleSchema = z.looseObject({
  action: z.looseObject({ type: z.string() }),
  condition: z.record(z.string(), z.unknown()).default({}),
});
type Rule = z.output<typeof ruleSchema>;

/** Of a bucket resource of the JSON API; numbers may come as text. */
const bucketSchema = z.object({
  location: z.string(),
  locationType: z.string().default('unknown'),
  metageneration: z.coerce.string(),
  iamConfiguration: z
    .object({
      uniformBucketLevelAccess: z.object({ enabled: z.boolean() }).default({ enabled: false }),
      publicAccessPrevention: z.string().default('inherited'),
    })
    .prefault({}),
  versioning: z.object({ enabled: z.boolean() }).default({ enabled: false }),
  softDeletePolicy: z
    .object({ retentionDurationSeconds: z.coerce.number() })
    .default({ retentionDurationSeconds: 0 }),
  retentionPolicy: z.object({ retentionPeriod: z.coerce.number() }).optional(),
  lifecycle: z.object({ rule: z.array(ruleSchema).default([]) }).prefault({}),
  labels: z.record(z.string(), z.string()).default({}),
});
type BucketResource = z.output<typeof bucketSchema>;

const policySchema = z.object({
  etag: z.string().default(''),
  bindings: z.array(gcsBindingSchema).default([]),
});

/** Buckets of a project of Google Cloud. */
export class GcsBucketAdmin implements BucketAdmin {
  readonly #access: GcsAccess;

  readonly #project: string;

  /** `project`: where buckets are created. */
  constructor(options: GcsOptions & { readonly project: string }) {
    this.#access = openGcs(options);
    this.#project = options.project;
  }

  async describe(bucket: string): Promise<BucketState | undefined> {
    try {
      const { etag, bindings } = await this.#policy(bucket);
      const resource = await this.#resource(bucket);
      return stateOf(bucket, { resource, etag, bindings });
    } catch (error) {
      if (error instanceof PlatformError && statusOf(error.cause) === 404) return undefined;
      throw error;
    }
  }

  async create(
    bucket: string,
    wanted: BucketSettings & { readonly location: string },
  ): Promise<BucketState> {
    const { location, grants, lockedDays, ...others } = wanted;
    const settings = { ...others, ...(lockedDays !== undefined && { lockedDays }) };
    await this.#call({
      method: 'POST',
      path: 'b',
      query: { project: this.#project },
      body: { name: bucket, location, ...resourceOf(settings, []) },
    });
    const made = await this.#state(bucket);
    return grants.length === 0 ? made : this.update(bucket, { grants }, made.metageneration);
  }

  async update(
    bucket: string,
    change: BucketChange,
    ifMetageneration: string,
  ): Promise<BucketState> {
    const { grants, revokePublic = false, ...settings } = change;
    const [metageneration = '', etag = ''] = ifMetageneration.split(' ');
    const hasPolicy = grants !== undefined || revokePublic;
    if (hasPolicy) await this.#setPolicy(bucket, { grants, revokePublic, etag });
    if (Object.keys(settings).length > 0) {
      const resource = await this.#resource(bucket);
      // A policy counts as a change of the bucket.
      const isOurs = hasPolicy && resource.metageneration === `${BigInt(metageneration) + 1n}`;
      if (resource.metageneration !== metageneration && !isOurs) throw changedSince();
      await this.#call({
        method: 'PATCH',
        path: `b/${bucket}`,
        query: { ifMetagenerationMatch: resource.metageneration },
        body: resourceOf(settings, resource.lifecycle.rule),
      });
    }
    return this.#state(bucket);
  }

  async #setPolicy(
    bucket: string,
    of: {
      grants: BucketSettings['grants'] | undefined;
      revokePublic: boolean;
      etag: string;
    },
  ): Promise<void> {
    const { etag, bindings } = await this.#policy(bucket);
    if (etag !== of.etag) throw changedSince();
    const policy = {
      version: policyVersion,
      etag,
      bindings: bindingsWith(bindings, { bucket, ...of }),
    };
    await this.#call({ method: 'PUT', path: `b/${bucket}/iam`, body: policy });
  }

  async #policy(bucket: string): Promise<{ etag: string; bindings: GcsBinding[] }> {
    const query = { optionsRequestedPolicyVersion: `${policyVersion}` };
    return policySchema.parse(await this.#call({ path: `b/${bucket}/iam`, query }));
  }

  async #resource(bucket: string): Promise<BucketResource> {
    return bucketSchema.parse(await this.#call({ path: `b/${bucket}` }));
  }

  async #state(bucket: string): Promise<BucketState> {
    const state = await this.describe(bucket);
    if (state) return state;
    throw new PlatformError('NOT_FOUND', 'Cannot find the bucket: it is gone');
  }

  /** Every precondition here is a fence. */
  async #call(call: GcsCall): Promise<unknown> {
    try {
      return await asked(this.#access, async () => (await callGcs(this.#access, call)).json());
    } catch (error) {
      const isFenced = error instanceof PlatformError && error.code === 'PRECONDITION_FAILED';
      throw isFenced ? changedSince(error) : error;
    }
  }
}

function changedSince(cause?: unknown): PlatformError {
  return new PlatformError('CONFLICT', 'Cannot change the bucket: it has changed since', { cause });
}

function stateOf(
  bucket: string,
  of: { resource: BucketResource; etag: string; bindings: readonly GcsBinding[] },
): BucketState {
  const { resource, etag, bindings } = of;
  const { iamConfiguration, retentionPolicy, lifecycle } = resource;
  return {
    bucket,
    location: resource.location.toLowerCase(),
    locationType: locationTypes[resource.locationType] ?? 'unknown',
    uniformAccess: iamConfiguration.uniformBucketLevelAccess.enabled,
    publicAccessPrevented: iamConfiguration.publicAccessPrevention === 'enforced',
    versioning: resource.versioning.enabled,
    softDeleteDays: resource.softDeletePolicy.retentionDurationSeconds / dayS,
    noncurrentDays: daysOf(lifecycle.rule, 'daysSinceNoncurrentTime'),
    deleteAfterDays: daysOf(lifecycle.rule, 'age'),
    lockedDays: retentionPolicy && retentionPolicy.retentionPeriod / dayS,
    labels: resource.labels,
    ...grantsOf(bucket, bindings),
    otherRules: otherRulesOf(lifecycle.rule),
    metageneration: `${resource.metageneration} ${etag}`,
  };
}

type RuleKey = 'age' | 'daysSinceNoncurrentTime';

const conditionsOf: Readonly<Record<RuleKey, Readonly<Record<string, unknown>>>> = {
  age: { matchesPrefix: retainedDataPrefixes },
  daysSinceNoncurrentTime: {},
};

/** Rules of ours delete after a number of days, and are known by what they ask for beside it. */
function isOwnRule({ action, condition }: Rule, key: RuleKey): boolean {
  const { [key]: days, ...others } = condition;
  return (
    action.type === 'Delete' &&
    days !== undefined &&
    inAnyOrder(others) === inAnyOrder(conditionsOf[key])
  );
}

function otherRulesOf(rules: readonly Rule[]): string[] {
  return rules
    .filter((rule) => !isOwnRule(rule, 'age') && !isOwnRule(rule, 'daysSinceNoncurrentTime'))
    .filter(({ action }) => action.type !== 'AbortIncompleteMultipartUpload')
    .map(({ action, condition }) => `${action.type} ${JSON.stringify(condition)}`);
}

function inAnyOrder(condition: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(
    Object.entries(condition).map(([name, value]) => [name, [value].flat().map(String).toSorted()]),
  );
}

function daysOf(rules: readonly Rule[], key: RuleKey): number | undefined {
  const found = rules.find((rule) => isOwnRule(rule, key))?.condition[key];
  return found === undefined ? undefined : Number(found);
}

/** The fields of a bucket resource that are named by the settings; null removes one. */
function resourceOf(settings: BucketChange, rules: readonly Rule[]) {
  const { uniformAccess, publicAccessPrevented, versioning, softDeleteDays, labels } = settings;
  return {
    ...((uniformAccess !== undefined || publicAccessPrevented !== undefined) && {
      iamConfiguration: {
        ...(uniformAccess !== undefined && {
          uniformBucketLevelAccess: { enabled: uniformAccess },
        }),
        ...(publicAccessPrevented !== undefined && {
          publicAccessPrevention: publicAccessPrevented ? 'enforced' : 'inherited',
        }),
      },
    }),
    ...(versioning !== undefined && { versioning: { enabled: versioning } }),
    ...(softDeleteDays !== undefined && {
      softDeletePolicy: { retentionDurationSeconds: softDeleteDays * dayS },
    }),
    ...('lockedDays' in settings && {
      retentionPolicy:
        settings.lockedDays === undefined ? null : { retentionPeriod: settings.lockedDays * dayS },
    }),
    ...(labels !== undefined && { labels }),
    ...(('deleteAfterDays' in settings || 'noncurrentDays' in settings) && {
      lifecycle: { rule: rulesWith(settings, rules) },
    }),
  };
}

function rulesWith(settings: BucketChange, rules: readonly Rule[]): Rule[] {
  const wanted = (key: RuleKey, name: 'deleteAfterDays' | 'noncurrentDays'): Rule[] => {
    if (!(name in settings)) return rules.filter((rule) => isOwnRule(rule, key));
    const days = settings[name];
    if (days === undefined) return [];
    return [{ action: { type: 'Delete' }, condition: { [key]: days, ...conditionsOf[key] } }];
  };
  return [
    ...rules.filter(
      (rule) => !isOwnRule(rule, 'age') && !isOwnRule(rule, 'daysSinceNoncurrentTime'),
    ),
    ...wanted('age', 'deleteAfterDays'),
    ...wanted('daysSinceNoncurrentTime', 'noncurrentDays'),
  ];
}
