import type { Kind, Ref } from './kube.ts';

/** Where a kind's objects are listed and created; of all namespaces without one. */
export function collectionPath({ group, version, plural, namespaced }: Kind, namespace?: string) {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope =
    namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${plural}`;
}

export function objectPath(kind: Kind, { name, namespace }: Ref, subresource?: string): string {
  if (kind.namespaced && namespace === undefined)
    throw new Error(`${kind.kind} ${name} wants a namespace`);
  const path = `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

export function apiVersionOf({ group, version }: Kind): string {
  return group === '' ? version : `${group}/${version}`;
}

/** For maps and messages: `namespace/name`, or `name` of what is of the cluster. */
export function keyOf({ name, namespace }: Ref): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

export function refOfKey(key: string): Ref {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export function refOf({ metadata: { name, namespace } }: { readonly metadata: Ref }): Ref {
  return namespace === undefined ? { name } : { name, namespace };
}
