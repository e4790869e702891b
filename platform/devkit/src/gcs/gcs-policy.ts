import { createHash } from 'node:crypto';
import { z } from 'zod';
import { badRequest, GcsFault } from './gcs-fault.ts';
import type { GcsCaller } from './gcs-identities.ts';

/** Source: Google Cloud, "IAM roles for Cloud Storage"; the permissions that the emulator asks for. */
const objectViewer = ['storage.objects.get', 'storage.objects.list'];
const objectUser = [
  ...objectViewer,
  'storage.objects.create',
  'storage.objects.delete',
  'storage.objects.restore',
  'storage.objects.update',
];
const bucketAdmin = [
  'storage.buckets.create',
  'storage.buckets.delete',
  'storage.buckets.get',
  'storage.buckets.getIamPolicy',
  'storage.buckets.list',
  'storage.buckets.setIamPolicy',
  'storage.buckets.update',
];
const roles: Readonly<Record<string, readonly string[]>> = {
  'roles/storage.admin': [...objectUser, ...bucketAdmin],
  'roles/storage.legacyBucketReader': ['storage.buckets.get', 'storage.objects.list'],
  'roles/storage.objectAdmin': objectUser,
  'roles/storage.objectCreator': ['storage.objects.create'],
  'roles/storage.objectUser': objectUser,
  'roles/storage.objectViewer': objectViewer,
};

const bindingSchema = z.object({
  role: z.string(),
  members: z.array(z.string()),
  condition: z.object({ title: z.string(), expression: z.string() }).optional(),
});
export const policySchema = z.object({
  version: z.union([z.literal(1), z.literal(3)]).default(1),
  etag: z.string().optional(),
  bindings: z.array(bindingSchema).default([]),
});

export type GcsBinding = z.output<typeof bindingSchema>;

const publicMembers: ReadonlySet<string> = new Set(['allUsers', 'allAuthenticatedUsers']);

/** Throws 400 for what the real one refuses, or what the emulator does not know. */
export function requirePolicy(
  { version, bindings }: z.output<typeof policySchema>,
  of: { readonly uniform: boolean; readonly publicPrevented: boolean },
): void {
  for (const { role, members, condition } of bindings) {
    if (!(role in roles)) throw badRequest(`Role ${role} is not supported for this resource.`);
    if (of.publicPrevented && members.some((member) => publicMembers.has(member)))
      throw new GcsFault(412, 'conditionNotMet', 'Public access prevention is enforced.');
    if (!condition) continue;
    if (version !== 3) throw badRequest('A policy with conditions must be of version 3.');
    if (!of.uniform)
      throw new GcsFault(412, 'conditionNotMet', 'Conditions need uniform bucket-level access.');
    clausesOf(condition.expression);
  }
}

/** Without a wish for version 3 roles under conditions are told by a name that cannot be set. */
export function shownBindings(bindings: readonly GcsBinding[], version: number) {
  if (version === 3) return bindings;
  return bindings.map(({ role, members, condition }) => {
    if (!condition) return { role, members };
    const hash = createHash('sha256').update(condition.expression).digest('hex').slice(0, 20);
    return { role: `${role}_withcond_${hash}`, members };
  });
}

export interface GcsAsk {
  readonly permission: string;
  /** `projects/_/buckets/{bucket}` or `…/objects/{name}`. */
  readonly resource: string;
}

export function isAllowed(
  { member, isAdmin }: GcsCaller,
  bindings: readonly GcsBinding[],
  { permission, resource }: GcsAsk,
): boolean {
  if (isAdmin) return true;
  return bindings.some(({ role, members, condition }) => {
    const isMember =
      members.includes('allUsers') ||
      (member !== undefined &&
        (members.includes(member) || members.includes('allAuthenticatedUsers')));
    if (!isMember || !(roles[role] ?? []).includes(permission)) return false;
    return condition === undefined || clausesOf(condition.expression).some((one) => one(resource));
  });
}

/** `resource.name.startsWith("…") || resource.name.endsWith("…")`: what the emulator knows of CEL. */
function clausesOf(expression: string): ((resource: string) => boolean)[] {
  return expression.split('||').map((clause) => {
    const [, verb, text = ''] =
      /^\s*resource\.name\.(startsWith|endsWith)\("([^"\\]+)"\)\s*$/.exec(clause) ?? [];
    if (verb === 'startsWith') return (resource) => resource.startsWith(text);
    if (verb === 'endsWith') return (resource) => resource.endsWith(text);
    throw badRequest(`Condition expression cannot be read: ${clause.trim()}`);
  });
}
