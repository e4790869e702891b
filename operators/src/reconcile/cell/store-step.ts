import { PlatformError } from '@domicile/core/errors.ts';
import type { BucketAdmin, BucketState } from '@domicile/lake/admin/bucket-admin.ts';
import type { LakeBucket } from '../../model/cell/access.ts';
import type { CellPlan } from '../../model/cell/plan.ts';
import {
  bucketDifference,
  type LakeIdentities,
  placeOf,
  strangeAuthority,
  type WantedBucket,
  wantedBucket,
} from '../../model/cell/store.ts';
import { type BucketPlace, bucketBreaches, type Home } from '../../model/residency-guard.ts';
import { failed, fine, notYet, type Step, stopped } from './step.ts';

export interface StoreWork {
  readonly plan: CellPlan;
  readonly home: Home;
  readonly identities: LakeIdentities;
  /** Of the cell's authority, and the one that somebody said is meant. */
  readonly authority: { readonly fingerprint: string; readonly accepted: string | undefined };
  readonly open: () => Promise<BucketAdmin>;
  readonly mayAct: (doing: string) => void;
  readonly acted: (bucket: string, detail: string) => void;
}

export interface StoreStep extends Step {
  readonly buckets: readonly BucketPlace[];
}

const type = 'StoreReady';
const roles: readonly LakeBucket[] = ['landing', 'serving'];

/** Both buckets as the cell wants them. One that lies abroad stops both, and is neither changed nor deleted. */
export async function storeStep(work: StoreWork): Promise<StoreStep> {
  const buckets: BucketPlace[] = [];
  try {
    const admin = await work.open();
    const found: { readonly wanted: WantedBucket; readonly state: BucketState | undefined }[] = [];
    for (const role of roles) {
      const { plan, identities, authority } = work;
      const wanted = wantedBucket(plan, role, identities, authority.fingerprint);
      found.push({ wanted, state: await admin.describe(wanted.bucket) });
    }
    buckets.push(...found.flatMap(({ state }) => (state ? [placeOf(state)] : [])));
    const breaches = found.flatMap(({ wanted, state }) =>
      bucketBreaches(work.home, state ? placeOf(state) : placeOfNew(wanted)),
    );
    if (breaches.length > 0) return { ...stopped(type, breaches), buckets };
    const strange = found.flatMap(({ state }) =>
      state ? (strangeAuthority(state, work.authority) ?? []) : [],
    );
    if (strange.length > 0) return { ...stranger(strange.join('; ')), buckets };
    const places: BucketPlace[] = [];
    const foreign: string[] = [];
    for (const { wanted, state } of found) {
      const now = await bringAbout(work, admin, { wanted, state });
      places.push(placeOf(now));
      // Read back: what was asked for is not what counts.
      const breach = bucketBreaches(work.home, placeOf(now));
      if (breach.length > 0) return { ...stopped(type, breach), buckets: places };
      const { bucket, otherRules } = now;
      if (otherRules.length > 0) foreign.push(`${bucket}: ${otherRules.join(', ')}`);
    }
    if (foreign.length > 0) return { ...foreignRules(foreign), buckets: places };
    const told = places.map(({ bucket, location }) => `${bucket} in ${location}`).join(', ');
    return {
      condition: fine(type, 'AsDeclared', told),
      breaches: [],
      isProved: true,
      buckets: places,
    };
  } catch (error) {
    return { ...failed(type, 'Store', error), buckets };
  }
}

/** It is at home, and nothing is begun with it. */
function stranger(message: string): Step {
  return refused('AuthorityIsAnother', message);
}

/** They are somebody's, who may have meant them: they are told and not taken off. */
function foreignRules(found: readonly string[]): Step {
  return refused(
    'ForeignRules',
    `rules of a life cycle that are none of ours delete or move what is kept, whatever the Cell says; take them off: ${found.join('; ')}`,
  );
}

function refused(reason: string, message: string): Step {
  return {
    condition: notYet(type, reason, message),
    breaches: [],
    isProved: true,
    error: new PlatformError('CONFIG_INVALID', message),
  };
}

function placeOfNew({ bucket, location }: WantedBucket): BucketPlace {
  return { bucket, location, locationType: 'region' };
}

async function bringAbout(
  work: StoreWork,
  admin: BucketAdmin,
  { wanted, state }: { readonly wanted: WantedBucket; readonly state: BucketState | undefined },
): Promise<BucketState> {
  const { bucket, location, settings } = wanted;
  if (state === undefined) {
    work.mayAct(`make the bucket ${bucket}`);
    const made = await admin.create(bucket, { ...settings, location }).catch((error: unknown) => {
      throw isTaken(error) ? nameTaken(bucket) : error;
    });
    work.acted(bucket, `made in ${made.location}`);
    return made;
  }
  const difference = bucketDifference(state, wanted);
  if (difference === undefined) return state;
  work.mayAct(`change the bucket ${bucket}`);
  const changed = await admin.update(bucket, difference.change, state.metageneration);
  work.acted(bucket, difference.detail);
  return changed;
}

function isTaken(error: unknown): boolean {
  return error instanceof PlatformError && error.code === 'CONFLICT';
}

function nameTaken(bucket: string): PlatformError {
  return new PlatformError(
    'CONFIG_INVALID',
    `Cannot make the bucket ${bucket}: somebody has one of that name; choose another`,
    { details: { reason: 'BucketNameTaken' } },
  );
}
