import { z } from 'zod';
import { type BucketGrant, type BucketRight, bucketRights } from './bucket-rights.ts';
import { prunedPrefixes } from './retained-data.ts';

/** A binding of an IAM policy of Cloud Storage. */
export const gcsBindingSchema = z.object({
  role: z.string(),
  members: z.array(z.string()),
  condition: z
    .object({
      title: z.string().default(''),
      description: z.string().optional(),
      expression: z.string().default(''),
    })
    .optional(),
});
export type GcsBinding = z.output<typeof gcsBindingSchema>;

type Condition = GcsBinding['condition'];
interface Role {
  readonly role: string;
  readonly condition?: Condition;
}

/** Replacing an object takes the right to delete it, which a writer has at pointers alone. */
const pointers: Condition = {
  title: 'domicile-pointers',
  expression: 'resource.name.endsWith("/latest.json") || resource.name.endsWith("/latest.csv")',
};

const write: readonly Role[] = [
  { role: 'roles/storage.objectCreator' },
  { role: 'roles/storage.objectViewer' },
  { role: 'roles/storage.objectUser', condition: pointers },
];

function rolesOf(bucket: string): Readonly<Record<BucketRight, readonly Role[]>> {
  const superseded: Condition = {
    title: 'domicile-superseded',
    expression: prunedPrefixes
      .map((prefix) => `resource.name.startsWith("projects/_/buckets/${bucket}/objects/${prefix}")`)
      .join(' || '),
  };
  return {
    write,
    prune: [...write, { role: 'roles/storage.objectUser', condition: superseded }],
    read: [{ role: 'roles/storage.objectViewer' }, { role: 'roles/storage.legacyBucketReader' }],
    erase: [{ role: 'roles/storage.objectUser' }, { role: 'roles/storage.legacyBucketReader' }],
  };
}

const everybody: ReadonlySet<string> = new Set(['allUsers', 'allAuthenticatedUsers']);

function nameOf({ role, condition }: Role): string {
  return condition ? `${role} if ${condition.expression}` : role;
}

function ownRolesOf(bucket: string): ReadonlySet<string> {
  return new Set(bucketRights.flatMap((right) => rolesOf(bucket)[right].map(nameOf)));
}

export interface GrantsSeen {
  readonly grants: readonly BucketGrant[];
  readonly publicGrants: readonly string[];
  readonly otherGrants: readonly string[];
}

/** Which rights the bindings give: an identity has a right if it holds its roles and no other. */
export function grantsOf(bucket: string, bindings: readonly GcsBinding[]): GrantsSeen {
  const held = new Map<string, string[]>();
  for (const binding of bindings)
    for (const member of binding.members) {
      const roles = held.get(member) ?? [];
      roles.push(nameOf(binding));
      held.set(member, roles);
    }
  const grants: BucketGrant[] = [];
  const publicGrants: string[] = [];
  const otherGrants: string[] = [];
  for (const [identity, roles] of held) {
    const right = rightOf(bucket, roles);
    const told = roles.map((role) => `${identity} ${role}`);
    if (everybody.has(identity)) publicGrants.push(...told);
    else if (right) grants.push({ identity, right });
    else otherGrants.push(...told);
  }
  return { grants, publicGrants, otherGrants };
}

function rightOf(bucket: string, roles: readonly string[]): BucketRight | undefined {
  const held = new Set(roles);
  return bucketRights.find((right) => {
    const names = rolesOf(bucket)[right].map(nameOf);
    return names.length === held.size && names.every((name) => held.has(name));
  });
}

/** Bindings that give the grants and take our roles from whoever had a right before; other roles and members stay. */
export function bindingsWith(
  bindings: readonly GcsBinding[],
  of: {
    readonly bucket: string;
    readonly grants: readonly BucketGrant[] | undefined;
    readonly revokePublic: boolean;
  },
): GcsBinding[] {
  const { bucket, grants, revokePublic } = of;
  const before = grantsOf(bucket, bindings).grants;
  const ownRoles = ownRolesOf(bucket);
  const ours = new Set(
    grants === undefined ? [] : [...before, ...grants].map(({ identity }) => identity),
  );
  const kept = bindings.map((binding) => {
    const isOwn = ownRoles.has(nameOf(binding));
    const members = binding.members.filter(
      (member) => !(isOwn && ours.has(member)) && !(revokePublic && everybody.has(member)),
    );
    return { ...binding, members };
  });
  for (const { identity, right } of grants ?? [])
    for (const role of rolesOf(bucket)[right]) {
      const same = kept.find((binding) => nameOf(binding) === nameOf(role));
      if (same) same.members.push(identity);
      else kept.push({ ...role, members: [identity] });
    }
  return kept.filter(({ members }) => members.length > 0);
}
