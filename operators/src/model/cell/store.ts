import { lowerCountry } from '@domicile/core/identities.ts';
import type { BucketSettings, BucketState } from '@domicile/lake/admin/bucket-admin.ts';
import type { BucketGrant } from '@domicile/lake/model/bucket-rights.ts';
import type { BucketPlace } from '../residency-guard.ts';
import type { LakeBucket, LakeIdentity } from './access.ts';
import type { CellPlan } from './plan.ts';

/** Identities of the store as its provider names them; undefined where the store's owner keeps the rights himself. */
export type LakeIdentities = Readonly<Record<LakeIdentity, string | undefined>>;

export interface WantedBucket {
  readonly bucket: string;
  readonly location: string;
  readonly settings: BucketSettings;
}

const rightsOf: Readonly<
  Record<LakeBucket, readonly (readonly [LakeIdentity, BucketGrant['right']])[]>
> = {
  landing: [
    ['writer', 'write'],
    ['raw-reader', 'read'],
    ['eraser', 'erase'],
  ],
  serving: [
    ['writer', 'prune'],
    ['serving-reader', 'read'],
    ['raw-reader', 'read'],
    ['eraser', 'erase'],
  ],
};

/** How long a bucket of the cell keeps what is in it. */
export function retentionDaysOf(
  { spec, pack }: Pick<CellPlan, 'spec' | 'pack'>,
  role: LakeBucket,
): number {
  return spec.lake.retentionDays[role] ?? pack.retentionDays[role];
}

/** On the landing bucket: by which authority the cell that fills it knows its gateways. */
const authorityLabel = 'domicile-authority';

/** How a bucket of the cell has to be. `authority`: fingerprint of the certificate of the cell's authority. */
export function wantedBucket(
  { name, spec, pack }: CellPlan,
  role: LakeBucket,
  identities: LakeIdentities,
  authority?: string,
): WantedBucket {
  const { lake } = spec;
  const softDelete = lake.softDeleteDays;
  return {
    bucket: role === 'landing' ? lake.landingBucket : lake.servingBucket,
    location: lake.region,
    settings: {
      uniformAccess: true,
      publicAccessPrevented: true,
      // Where the store brings back what was deleted by itself, versions would only keep what was to be erased.
      versioning: lake.store === 's3' && softDelete > 0,
      softDeleteDays: softDelete,
      noncurrentDays: lake.store === 's3' && softDelete > 0 ? softDelete : undefined,
      deleteAfterDays: retentionDaysOf({ spec, pack }, role),
      lockedDays: undefined,
      labels: {
        'domicile-country': lowerCountry(spec.country),
        'domicile-cell': name,
        ...(role === 'landing' && authority !== undefined && { [authorityLabel]: authority }),
      },
      grants: rightsOf[role].flatMap(([identity, right]) => {
        const who = identities[identity];
        return who === undefined ? [] : [{ identity: who, right }];
      }),
    },
  };
}

export function placeOf({ bucket, location, locationType }: BucketState): BucketPlace {
  return { bucket, location, locationType };
}

/**
 * Why a landing bucket is not this cell's, though it bears its name: the cluster was lost, and its authority is a new one. Undefined if
 * it is, or if somebody said that it is to be.
 */
export function strangeAuthority(
  { bucket, labels }: Pick<BucketState, 'bucket' | 'labels'>,
  authority: { readonly fingerprint: string; readonly accepted: string | undefined },
): string | undefined {
  const { fingerprint, accepted } = authority;
  const found = labels[authorityLabel];
  if (found === undefined || found === fingerprint || accepted === fingerprint) return undefined;
  return `the bucket ${bucket} was filled by a cell whose authority has the fingerprint ${found}, and the authority here has ${fingerprint}: every gateway that trusts the other would be refused. Restore the Secret of the authority from its backup; or, if it is lost for good, annotate the Cell with ${acceptAuthority}=${fingerprint} and give every gateway the new ca.crt`;
}

/** On a Cell: that a new authority is meant. */
export const acceptAuthority = 'domicile.dev/new-authority';

export interface BucketDifference {
  readonly change: Partial<BucketSettings> & { revokePublic?: true };
  /** For people. */
  readonly detail: string;
}

/** Undefined if the bucket is as it is wanted. Speaks of our own settings, rights and labels only. */
export function bucketDifference(
  state: BucketState,
  { settings }: WantedBucket,
): BucketDifference | undefined {
  const plain = [
    'uniformAccess',
    'publicAccessPrevented',
    'versioning',
    'softDeleteDays',
    'noncurrentDays',
    'deleteAfterDays',
    'lockedDays',
  ] as const;
  const differing = plain.filter((field) => state[field] !== settings[field]);
  const told = differing.map(
    (field) => `${field} ${text(state[field])} → ${text(settings[field])}`,
  );
  const change: Record<string, unknown> = Object.fromEntries(
    differing.map((field) => [field, settings[field]]),
  );
  const labels = Object.entries(settings.labels).filter(
    ([key, value]) => state.labels[key] !== value,
  );
  if (labels.length > 0) {
    change['labels'] = Object.fromEntries(labels);
    told.push(`labels ${labels.map(([key]) => key).join(', ')}`);
  }
  if (settings.grants.length > 0 && grantsText(state.grants) !== grantsText(settings.grants)) {
    change['grants'] = settings.grants;
    told.push('rights of our identities');
  }
  if (state.publicGrants.length > 0) {
    change['revokePublic'] = true;
    told.push(`rights of everybody: ${state.publicGrants.join(', ')}`);
  }
  return told.length === 0 ? undefined : { change, detail: told.join('; ') };
}

function text(value: boolean | number | undefined): string {
  return value === undefined ? 'none' : String(value);
}

function grantsText(grants: readonly BucketGrant[]): string {
  return grants
    .map(({ identity, right }) => `${identity} ${right}`)
    .toSorted()
    .join('\n');
}
