import { buildingSpecSchema } from '@domicile/core/values.ts';
import { z } from 'zod';
import type { Claim } from './claim.ts';

/** While it is set, the API server keeps a deleted building until it is offboarded. */
export const buildingFinalizer = 'domicile.dev/building';

/** What is asked of the operator beside the spec: any new value rotates. */
export const rotateAnnotations = {
  password: 'domicile.dev/rotate-password',
  token: 'domicile.dev/rotate-enrolment-token',
} as const;

const resourceSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    generation: z.number().default(0),
    creationTimestamp: z.string(),
    deletionTimestamp: z.string().optional(),
    annotations: z.record(z.string(), z.string()).default({}),
    finalizers: z.array(z.string()).default([]),
  }),
  spec: z.unknown(),
});

/** A `Building` as the API server has it. */
export interface BuildingResource {
  readonly name: string;
  readonly namespace: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly claim: Claim;
  /** Unix milliseconds; undefined unless it is being deleted. */
  readonly deletedAtMs: number | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  readonly finalizers: readonly string[];
  /** Not read yet: an older operator may have let it in. */
  readonly spec: unknown;
}

/** Throws what zod throws for what is no object of the API server. */
export function buildingResourceOf(object: unknown): BuildingResource {
  const { metadata, spec } = resourceSchema.parse(object);
  const { name, namespace, uid, resourceVersion, generation, annotations, finalizers } = metadata;
  const createdAtMs = Date.parse(metadata.creationTimestamp);
  return {
    name,
    namespace,
    resourceVersion,
    generation,
    claim: { namespace, uid, generation, createdAtMs },
    deletedAtMs:
      metadata.deletionTimestamp === undefined ? undefined : Date.parse(metadata.deletionTimestamp),
    annotations,
    finalizers,
    spec,
  };
}

export interface Farewell {
  readonly deletionPolicy: 'Retain' | 'Delete';
  readonly exportBeforeDelete: boolean;
  readonly legalHold: boolean;
}

/** What becomes of its data. Of a spec that cannot be read nothing is erased. */
export function farewellOf(spec: unknown): Farewell {
  const read = buildingSpecSchema.safeParse(spec);
  if (!read.success)
    return { deletionPolicy: 'Retain', exportBeforeDelete: false, legalHold: true };
  const { deletionPolicy, exportBeforeDelete, legalHold } = read.data;
  return { deletionPolicy, exportBeforeDelete, legalHold };
}

/** The country that the resource itself says, for messages; undefined if it says none. */
export function countryTold(spec: unknown): string | undefined {
  const read = z.object({ country: z.string() }).safeParse(spec);
  return read.data?.country;
}
