import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import { apiVersionOf } from './kube-path.ts';
import type { Kind, KubeObject } from './kube.ts';

/** An object of an answer. Lists leave out the kind of their items. Throws `UPSTREAM_UNAVAILABLE` if it is none. */
export function objectOf(kind: Kind, value: unknown): KubeObject {
  if (!isNamed(value))
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Cannot read the API server's answer: it is no ${kind.kind}`,
    );
  return { ...value, apiVersion: apiVersionOf(kind), kind: kind.kind };
}

/** As it is kept: who manages which field is half of an object, and nobody reads it there. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _managed, ...metadata } = object.metadata;
  return { ...object, metadata };
}

const pageSchema = z.object({
  metadata: z
    .object({ resourceVersion: z.string().default(''), continue: z.string().optional() })
    .prefault({}),
  items: z.array(z.unknown()).nullish(),
});

export interface Page {
  readonly resourceVersion: string;
  /** Absent on the last one. */
  readonly next: string | undefined;
  readonly items: readonly KubeObject[];
}

export function pageOf(kind: Kind, answer: unknown): Page {
  const parsed = pageSchema.safeParse(answer);
  if (!parsed.success)
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Cannot read the API server's answer: it is no list of ${kind.plural}`,
    );
  const { metadata, items } = parsed.data;
  return {
    resourceVersion: metadata.resourceVersion,
    next: metadata.continue === '' ? undefined : metadata.continue,
    items: (items ?? []).map((item) => objectOf(kind, item)),
  };
}

interface Named {
  readonly metadata: { readonly name: string };
}

function isNamed(value: unknown): value is Named {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false;
  const { metadata } = value;
  return (
    typeof metadata === 'object' &&
    metadata !== null &&
    'name' in metadata &&
    typeof metadata.name === 'string'
  );
}
