import { z } from 'zod';
import { nearestWord } from './near-word.ts';

/** One thing wrong with a configuration. */
export interface ConfigFault {
  readonly path: readonly (string | number)[];
  /** What is wrong, and what is allowed. */
  readonly detail: string;
  /** `key` if the name itself is wrong, `parent` if something is not there, else `value`. */
  readonly where: 'key' | 'parent' | 'value';
}

/** A part of a JSON schema as zod makes it; what this file does not read is left out. */
const partSchema = z.looseObject({
  type: z.string().optional().catch(undefined),
  description: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  minLength: z.number().optional(),
  minItems: z.number().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
});

type Part = z.output<typeof partSchema>;
type Issue = z.core.$ZodIssue;

/**
 * Faults of `value` in words for a person at a gateway. `jsonSchema` is what zod made of the schema; values are never
 * repeated, since they may be secrets.
 */
export function configFaults(
  issues: readonly Issue[],
  value: unknown,
  jsonSchema: unknown,
): ConfigFault[] {
  return issues.flatMap((issue) => faultsOf(issue, { value, jsonSchema, before: [] }));
}

interface Context {
  readonly value: unknown;
  readonly jsonSchema: unknown;
  /** Of an issue within a union: where the union stands. */
  readonly before: readonly PropertyKey[];
}

function faultsOf(issue: Issue, context: Context): ConfigFault[] {
  const path = [...context.before, ...issue.path].map((key) =>
    typeof key === 'symbol' ? '' : key,
  );
  const parts = partsAt(context.jsonSchema, path);
  if (issue.code === 'unrecognized_keys') {
    const known = [...new Set(parts.flatMap((part) => Object.keys(part.properties ?? {})))];
    return issue.keys.map((key) => ({
      path: [...path, key],
      detail: unknownText(key, known),
      where: 'key' as const,
    }));
  }
  const given = valueAt(context.value, path);
  if (issue.code === 'invalid_union' && given !== undefined) {
    const nearest = issue.errors.toSorted((left, right) => weightOf(left) - weightOf(right))[0];
    if (nearest && nearest.length > 0 && weightOf(nearest) < 100)
      return nearest.flatMap((inner) => faultsOf(inner, { ...context, before: path }));
  }
  const allowed = allowedText(parts, issue);
  const meaning = parts.find(({ description }) => description !== undefined)?.description;
  const detail =
    given === undefined
      ? `is missing; it must be ${allowed}`
      : `must be ${allowed}${mistakenText(issue, given)}`;
  return [
    {
      path,
      detail: meaning === undefined ? detail : `${detail}. ${meaning}`,
      where: given === undefined ? 'parent' : 'value',
    },
  ];
}

/** A branch that fails at its very type is not the one that was meant. */
function weightOf(issues: readonly Issue[]): number {
  const isOther = issues.some(
    ({ code, path }) => path.length === 0 && (code === 'invalid_type' || code === 'invalid_value'),
  );
  return issues.length + (isOther ? 100 : 0);
}

function unknownText(key: string, known: readonly string[]): string {
  const meant = nearestWord(key, known);
  if (meant !== undefined) return `is no setting; did you mean \`${meant}\`?`;
  return known.length === 0 ? 'is no setting' : `is no setting; known here: ${known.join(', ')}`;
}

function allowedText(parts: readonly Part[], issue: Issue): string {
  if (issue.code === 'custom') return wordsOf(issue.message);
  // A message of the schema's own says more than its pattern.
  if (issue.code === 'invalid_format' && !issue.message.startsWith('Invalid'))
    return wordsOf(issue.message);
  const texts = [...new Set(parts.flatMap(branchesOf).map(partText))].filter((text) => text !== '');
  return texts.length > 0 ? texts.join(', or ') : wordsOf(issue.message);
}

function wordsOf(message: string): string {
  return message.replace(/^(?:expected|Invalid input: expected) /, '').replace(/^must be /, '');
}

function branchesOf(part: Part): Part[] {
  const branches = [...(part.anyOf ?? []), ...(part.oneOf ?? [])];
  return branches.length === 0 ? [part] : branches.map((one) => partSchema.parse(one));
}

function partText(part: Part): string {
  if (part.const !== undefined) return `\`${JSON.stringify(part.const)}\``;
  if (part.enum) {
    const values = part.enum.map((one) => `\`${String(one)}\``);
    return values.length > 1 ? `one of ${values.join(', ')}` : values.join('');
  }
  switch (part.type) {
    case 'integer':
      return `a whole number${rangeText(part)}`;
    case 'number':
      return `a number${rangeText(part)}`;
    case 'boolean':
      return 'true or false';
    case 'string': {
      const { pattern } = part;
      if (typeof pattern === 'string') return `text that matches ${pattern}`;
      return (part.minLength ?? 0) > 0 ? 'text that is not empty' : 'text';
    }
    case 'array':
      return (part.minItems ?? 0) > 0 ? 'a list that is not empty' : 'a list';
    case 'object':
      return part.properties
        ? `a mapping of ${Object.keys(part.properties).join(', ')}`
        : 'a mapping';
    case undefined:
    default:
      return '';
  }
}

function rangeText({ minimum, exclusiveMinimum, maximum }: Part): string {
  const highest = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? maximum : undefined;
  const lowest = minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER ? minimum : undefined;
  if (exclusiveMinimum !== undefined && highest === undefined) return ` above ${exclusiveMinimum}`;
  if (lowest !== undefined && highest !== undefined) return ` from ${lowest} to ${highest}`;
  if (lowest !== undefined) return ` of at least ${lowest}`;
  return highest === undefined ? '' : ` of at most ${highest}`;
}

function mistakenText(issue: Issue, given: unknown): string {
  if (issue.code === 'invalid_type') return `, and is ${kindOf(given)}`;
  if (issue.code === 'invalid_value' && typeof given === 'string') {
    const meant = nearestWord(given, issue.values.map(String));
    return meant === undefined ? '' : `; did you mean \`${meant}\`?`;
  }
  return '';
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number')
    return Number.isInteger(value) ? 'a number' : 'a number with a fraction';
  if (typeof value === 'boolean') return 'true or false';
  return 'a mapping';
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  let here: unknown = value;
  for (const key of path) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = Object.entries(here).find(([name]) => name === String(key))?.[1];
  }
  return here;
}

/** What the schema says of a place; more than one part where it leaves a choice on the way. */
function partsAt(jsonSchema: unknown, path: readonly (string | number)[]): Part[] {
  let parts = [partSchema.parse(jsonSchema)];
  for (const key of path)
    parts = parts.flatMap(branchesOf).flatMap((part) => {
      const inner =
        typeof key === 'number'
          ? part.items
          : (part.properties?.[key] ?? withoutNames(part.additionalProperties));
      const read = partSchema.safeParse(inner);
      return read.success ? [read.data] : [];
    });
  return parts;
}

function withoutNames(additional: unknown): unknown {
  return typeof additional === 'object' ? additional : undefined;
}
