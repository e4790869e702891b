import type { Grant } from '@domicile/core/streams.ts';
import {
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
export function aclOf(user: string, { resource, name, isPrefix, operation }: Grant) {
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
export function grantOf(acl: {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly resourcePatternType: number;
  readonly host: string;
  readonly operation: number;
  readonly permissionType: number;
}): Grant | undefined {
  const resource = (['topic', 'group', 'transactional-id'] as const).find(
    (one) => resources[one] === acl.resourceType,
  );
  const operation = (['read', 'write'] as const).find((one) => operations[one] === acl.operation);
  const isOurs = acl.host === '*' && acl.permissionType === AclPermissionTypes.ALLOW;
  if (resource === undefined || operation === undefined || !isOurs) return undefined;
  const isPrefix = acl.resourcePatternType === ResourcePatternTypes.PREFIXED;
  return { resource, name: acl.resourceName, isPrefix, operation };
}
