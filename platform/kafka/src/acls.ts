import type { Grant } from '@domicile/core/streams.ts';
import {
  type Acl,
  AclOperations,
  AclPermissionTypes,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka';

const resources = {
  topic: ResourceTypes.TOPIC,
  group: ResourceTypes.GROUP,
  'transactional-id': ResourceTypes.TRANSACTIONAL_ID,
} as const;
const operations = { read: AclOperations.READ, write: AclOperations.WRITE } as const;

/** A right as Kafka keeps it: for every host, of the user of that name. */
export function aclOf(user: string, { resource, name, isPrefix, operation }: Grant): Acl {
  return {
    resourceType: resources[resource],
    resourceName: name,
    resourcePatternType: isPrefix ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    principal: `User:${user}`,
    host: '*',
    operation: operations[operation],
    permissionType: AclPermissionTypes.ALLOW,
  };
}

/** What an entry of Kafka's grants, as one of ours; undefined for what we never grant. */
export function grantOf(acl: Acl): Grant | undefined {
  const resource = (['topic', 'group', 'transactional-id'] as const).find(
    (one) => resources[one] === acl.resourceType,
  );
  const operation = (['read', 'write'] as const).find((one) => operations[one] === acl.operation);
  const isOurs = acl.host === '*' && acl.permissionType === AclPermissionTypes.ALLOW;
  if (resource === undefined || operation === undefined || !isOurs) return undefined;
  const isPrefix = acl.resourcePatternType === ResourcePatternTypes.PREFIXED;
  return { resource, name: acl.resourceName, isPrefix, operation };
}

/** The user of an entry; `*` for everybody. */
export function userOf({ principal }: Acl): string {
  return principal.replace(/^User:/, '');
}

/** Whether an entry lets somebody do more to topics of that prefix than to see that they are there. */
export function reachesTopics(acl: Acl, prefix: string): boolean {
  const { resourceType, resourceName: name, resourcePatternType, operation } = acl;
  if (resourceType !== ResourceTypes.TOPIC || acl.permissionType !== AclPermissionTypes.ALLOW)
    return false;
  if (seeing.has(operation)) return false;
  return resourcePatternType === ResourcePatternTypes.PREFIXED
    ? name.startsWith(prefix) || prefix.startsWith(name)
    : name === '*' || name.startsWith(prefix);
}

const seeing: ReadonlySet<number> = new Set([
  AclOperations.DESCRIBE,
  AclOperations.DESCRIBE_CONFIGS,
]);

/** For people: `READ of topics de.*`. */
export function aclText({
  resourceType,
  resourceName,
  resourcePatternType,
  operation,
}: Acl): string {
  const resource = nameIn(ResourceTypes, resourceType).toLowerCase().replaceAll('_', ' ');
  const isPrefix = resourcePatternType === ResourcePatternTypes.PREFIXED;
  return `${nameIn(AclOperations, operation)} of ${resource} ${resourceName}${isPrefix ? '*' : ''}`;
}

function nameIn(names: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(names).find(([, number]) => number === value)?.[0] ?? `${value}`;
}
