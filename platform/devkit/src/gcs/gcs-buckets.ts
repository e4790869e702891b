import { z } from 'zod';
import { badRequest, conditionNotMet, GcsFault } from './gcs-fault.ts';
import { policySchema, requirePolicy, shownBindings } from './gcs-policy.ts';
import type { GcsBucket, GcsBucketFields, GcsBucketRules, GcsState } from './gcs-state.ts';

const multiRegions: ReadonlySet<string> = new Set(['US', 'EU', 'ASIA']);
const dualRegions: ReadonlySet<string> = new Set(['ASIA1', 'EUR4', 'EUR5', 'EUR7', 'EUR8', 'NAM4']);
/** A bucket without it has the provider's: seven days. */
const softDeleteSeconds = 604_800;

const seconds = z.coerce.number().int().min(0);
const fieldsSchema = z.looseObject({
  iamConfiguration: z
    .looseObject({
      uniformBucketLevelAccess: z.looseObject({ enabled: z.boolean() }).default({ enabled: false }),
      publicAccessPrevention: z.enum(['inherited', 'enforced']).default('inherited'),
    })
    .prefault({}),
  retentionPolicy: z.looseObject({ retentionPeriod: seconds }).optional(),
  softDeletePolicy: z
    .looseObject({ retentionDurationSeconds: seconds })
    .default({ retentionDurationSeconds: softDeleteSeconds }),
  versioning: z.looseObject({ enabled: z.boolean() }).default({ enabled: false }),
  labels: z.record(z.string(), z.string()).default({}),
});
const lifecycleSchema = z
  .looseObject({ rule: z.array(z.looseObject({ action: z.looseObject({ type: z.string() }) })) })
  .optional();

const insertSchema = z.looseObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/),
  location: z.string().default('US'),
});

/** What a bucket's fields say about its objects. */
export function rulesOf({ fields }: GcsBucket): GcsBucketRules {
  const { versioning, retentionPolicy, softDeletePolicy } = fieldsSchema.parse(fields);
  return {
    versioned: versioning.enabled,
    retentionMs: (retentionPolicy?.retentionPeriod ?? 0) * 1000,
    softDeleteMs: softDeletePolicy.retentionDurationSeconds * 1000,
  };
}

export function createBucket(state: GcsState, body: unknown): GcsBucket {
  const read = insertSchema.safeParse(body);
  if (!read.success) throw badRequest('Invalid bucket name or location.');
  const { name, location, ...rest } = read.data;
  if (state.buckets.has(name))
    throw new GcsFault(
      409,
      'conflict',
      'Your previous request to create the named bucket succeeded.',
    );
  const fields = checked({ ...rest, location: location.toUpperCase() });
  return state.addBucket(name, { ...fields, locationType: locationTypeOf(fields) });
}

function locationTypeOf(fields: GcsBucketFields): string {
  const location = String(fields['location']);
  if (fields['customPlacementConfig'] !== undefined || dualRegions.has(location))
    return 'dual-region';
  if (multiRegions.has(location)) return 'multi-region';
  if (!/^[A-Z]+-[A-Z]+\d+$/.test(location))
    throw badRequest('The specified location is not valid.');
  return 'region';
}

function checked(fields: GcsBucketFields): GcsBucketFields {
  const read = fieldsSchema.safeParse(fields);
  if (!read.success || !lifecycleSchema.safeParse(fields['lifecycle']).success)
    throw badRequest('Invalid argument.');
  return read.data;
}

/** A merge patch: null removes, objects are merged, lists are replaced. */
export function patchBucket(
  bucket: GcsBucket,
  patch: unknown,
  ifMetagenerationMatch: number | undefined,
): void {
  if (ifMetagenerationMatch !== undefined && ifMetagenerationMatch !== bucket.metageneration)
    throw conditionNotMet();
  const read = z.record(z.string(), z.unknown()).safeParse(patch);
  if (!read.success) throw badRequest('Invalid argument.');
  for (const fixed of ['location', 'locationType', 'name', 'customPlacementConfig'])
    if (fixed in read.data) throw badRequest(`The ${fixed} of a bucket cannot be changed.`);
  const merged = merge(bucket.fields, read.data);
  bucket.fields = checked(z.record(z.string(), z.unknown()).parse(merged));
  bucket.metageneration += 1;
}

function merge(before: unknown, patch: unknown): unknown {
  const change = z.record(z.string(), z.unknown()).safeParse(patch);
  if (!change.success) return patch;
  const own = z.record(z.string(), z.unknown()).safeParse(before);
  const merged = own.success ? { ...own.data } : {};
  for (const [name, value] of Object.entries(change.data))
    if (value === null) delete merged[name];
    else merged[name] = merge(merged[name], value);
  return merged;
}

export function bucketResource(bucket: GcsBucket) {
  return {
    kind: 'storage#bucket',
    id: bucket.name,
    name: bucket.name,
    projectNumber: '1',
    storageClass: 'STANDARD',
    timeCreated: new Date(bucket.createdMs).toISOString(),
    metageneration: `${bucket.metageneration}`,
    etag: etagOf(bucket),
    ...bucket.fields,
  };
}

export function policyOf(bucket: GcsBucket, requestedVersion: number) {
  const bindings = shownBindings(bucket.bindings, requestedVersion);
  const isConditional = requestedVersion === 3 && bindings.some((one) => 'condition' in one);
  return {
    kind: 'storage#policy',
    resourceId: `projects/_/buckets/${bucket.name}`,
    version: isConditional ? 3 : 1,
    etag: etagOf(bucket),
    bindings,
  };
}

/** Throws 412 for a policy that was read before the last change. */
export function setPolicy(bucket: GcsBucket, body: unknown): void {
  const read = policySchema.safeParse(body);
  if (!read.success) throw badRequest('Invalid argument.');
  if (read.data.etag !== undefined && read.data.etag !== etagOf(bucket)) throw conditionNotMet();
  const { iamConfiguration } = fieldsSchema.parse(bucket.fields);
  requirePolicy(read.data, {
    uniform: iamConfiguration.uniformBucketLevelAccess.enabled,
    publicPrevented: iamConfiguration.publicAccessPrevention === 'enforced',
  });
  bucket.bindings = read.data.bindings;
  bucket.metageneration += 1;
}

/** Of the bucket and of its policy, which are versioned together. */
function etagOf({ metageneration }: GcsBucket): string {
  return Buffer.from(`m${metageneration}`).toString('base64');
}
