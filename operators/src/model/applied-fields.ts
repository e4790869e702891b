import { z } from 'zod';

/**
 * Fields of an object as the API server notes who manages them: `f:name` is a field, `k:{…}` the item of a list with these
 * keys, `v:…` an item of a set, `i:n` an item by its place, `.` the thing itself; `{}` is all that is below.
 * (sigs.k8s.io/structured-merge-diff, FieldsV1)
 */
export interface Fields {
  readonly [step: string]: Fields;
}

const fieldsSchema: z.ZodType<Fields> = z.lazy(() => z.record(z.string(), fieldsSchema));

const managedSchema = z.object({
  metadata: z.object({
    managedFields: z
      .array(
        z.object({
          manager: z.string().optional(),
          operation: z.string(),
          apiVersion: z.string().optional(),
          subresource: z.string().optional(),
          fieldsV1: fieldsSchema.optional(),
        }),
      )
      .default([]),
  }),
});

export interface Manager {
  readonly name: string;
  readonly apiVersion: string;
  readonly subresource?: string | undefined;
}

/** What `manager` has applied and still manages; undefined if nothing. */
export function appliedFields(live: unknown, manager: Manager): Fields | undefined {
  const parsed = managedSchema.safeParse(live);
  if (!parsed.success) return undefined;
  return parsed.data.metadata.managedFields.find(
    (one) =>
      one.operation === 'Apply' &&
      one.manager === manager.name &&
      one.apiVersion === manager.apiVersion &&
      (one.subresource ?? '') === (manager.subresource ?? ''),
  )?.fieldsV1;
}

/** Whether an apply of `desired` would change nothing. `false` also if that cannot be told, as of what is normalised or defaulted. */
export function isApplied(desired: unknown, live: unknown, fields: Fields): boolean {
  return (
    covers(fields, withoutIdentity(desired)) &&
    stableJson(projection(fields, desired)) === stableJson(projection(fields, live))
  );
}

/** What stands in the fields, with its places: equal texts are equal in all that the manager manages. */
export function valuesOf(fields: Fields, live: unknown): string {
  return stableJson([fields, projection(fields, live)]);
}

/** JSON with its keys in order. */
export function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isRecord(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** What names an object is managed by nobody. */
function withoutIdentity(desired: unknown): unknown {
  if (!isRecord(desired)) return desired;
  const { apiVersion: _version, kind: _kind, metadata, ...others } = desired;
  if (!isRecord(metadata)) return others;
  const { name: _name, namespace: _namespace, resourceVersion: _rv, uid: _uid, ...meta } = metadata;
  return Object.keys(meta).length === 0 ? others : { ...others, metadata: meta };
}

function covers(fields: Fields, desired: unknown): boolean {
  const steps = Object.keys(fields).filter((step) => step !== '.');
  if (steps.length === 0) return !('.' in fields) || isEmpty(desired);
  if (Array.isArray(desired))
    return desired.every((item: unknown) =>
      steps.some((step) => {
        const below = fields[step];
        if (!isStepOf(step, item)) return false;
        return step.startsWith('v:') || (below !== undefined && covers(below, item));
      }),
    );
  if (!isRecord(desired)) return false;
  return Object.entries(desired).every(([name, value]) => {
    const below = fields[`f:${name}`];
    return below !== undefined && covers(below, value);
  });
}

function projection(fields: Fields, value: unknown): unknown {
  const steps = Object.entries(fields).filter(([step]) => step !== '.');
  if (steps.length === 0) return '.' in fields ? value !== undefined : value;
  return Object.fromEntries(
    steps.map(([step, below]) => [step, projection(below, stepInto(step, value))]),
  );
}

function stepInto(step: string, value: unknown): unknown {
  const rest = step.slice(2);
  if (step.startsWith('f:')) return isRecord(value) ? value[rest] : undefined;
  if (!Array.isArray(value)) return undefined;
  if (step.startsWith('i:')) return value[Number(rest)];
  return value.find((item: unknown) => isStepOf(step, item));
}

function isStepOf(step: string, item: unknown): boolean {
  const named = parseStep(step.slice(2));
  if (step.startsWith('v:')) return stableJson(item) === stableJson(named);
  if (!step.startsWith('k:') || !isRecord(named) || !isRecord(item)) return false;
  // What is left out by us is defaulted by the server, as a port's protocol.
  return Object.entries(named).every(
    ([key, value]) => !(key in item) || stableJson(item[key]) === stableJson(value),
  );
}

function parseStep(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
