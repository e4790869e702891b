import { InvariantError, must } from '@domicile/core/invariants.ts';
import { z } from 'zod';
import { celText } from '../model/cel-text.ts';

/** What the API server checks beside types: a CEL rule. `message` or `messageExpression` says what to do next. */
export interface Rule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly fieldPath?: string;
  readonly reason?: 'FieldValueForbidden' | 'FieldValueInvalid';
}

/** What a zod schema cannot say to the API server, or says in code that it cannot run. */
export interface Amendment {
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly minProperties?: number;
  readonly rules?: readonly Rule[];
  /** By which entries of a list are told apart when several managers write it. */
  readonly listKeys?: readonly string[];
  /** Entries of the list are told apart by themselves. */
  readonly isSet?: boolean;
  /** So deep that a rule on its keys would cost the API server too much: the operator checks them. */
  readonly keysUnchecked?: boolean;
}

/** By path from the root: `/lake/region`, `*` for the values of a map, `[]` for the entries of a list. */
export type Amendments = Readonly<Record<string, Amendment>>;

/** A node of a structural schema (OpenAPI v3 as CustomResourceDefinitions take it). */
export interface StructuralSchema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: StructuralSchema;
  readonly items?: StructuralSchema;
  readonly [keyword: string]: unknown;
}

/** Of strings that say no bound themselves: the longest name of DNS. */
const lengthDefault = 253;

const jsonSchema = z.object({
  type: z.enum(['object', 'array', 'string', 'integer', 'number', 'boolean']).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.unknown().optional(),
  propertyNames: z
    .object({ pattern: z.string().optional(), maxLength: z.number().optional() })
    .optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.object({ type: z.string(), const: z.unknown() })).optional(),
  enum: z.array(z.unknown()).optional(),
  default: z.unknown().optional(),
  pattern: z.string().optional(),
  format: z.enum(['uri', 'date-time']).optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
});

type JsonSchema = z.output<typeof jsonSchema>;

/**
 * The structural schema of what `schema` takes in. Every list, map and text gets a bound, since the API server prices CEL rules by
 * them: a map or list without one must be amended. Throws `InvariantError` for what cannot be said structurally.
 */
export function structuralSchema(schema: z.ZodType, amendments: Amendments): StructuralSchema {
  const unused = new Set(Object.keys(amendments));
  const root = nodeOf(z.toJSONSchema(schema, { io: 'input' }), '', { amendments, unused });
  if (unused.size > 0)
    throw new InvariantError(`no such path in the schema: ${[...unused].join(', ')}`);
  return root;
}

interface Work {
  readonly amendments: Amendments;
  readonly unused: Set<string>;
}

function nodeOf(json: unknown, path: string, work: Work): StructuralSchema {
  const read = jsonSchema.parse(json);
  const amendment = work.amendments[path] ?? {};
  work.unused.delete(path);
  const { description, rules = [] } = amendment;
  const ofKeys = amendment.keysUnchecked === true ? [] : keyRules(read.propertyNames);
  const all = [...ofKeys, ...rules];
  return {
    ...(description !== undefined && { description }),
    ...shapeOf(read, path, { amendment, work }),
    ...(read.default !== undefined && { default: read.default }),
    ...(all.length > 0 && { 'x-kubernetes-validations': all }),
  };
}

function shapeOf(
  read: JsonSchema,
  path: string,
  { amendment, work }: { amendment: Amendment; work: Work },
): StructuralSchema {
  if (read.anyOf) return choice(read.anyOf, path);
  const type = must(read.type, `${path} has a type that the API server can check`);
  if (type === 'object')
    return read.properties === undefined
      ? mapOf(read, path, { amendment, work })
      : objectOf(read, path, work);
  if (type === 'array') return listOf(read, path, { amendment, work });
  if (type === 'string') return textOf(read, amendment);
  return { type, ...present({ minimum: read.minimum, maximum: read.maximum }) };
}

function objectOf(read: JsonSchema, path: string, work: Work): StructuralSchema {
  const properties = Object.entries(read.properties ?? {}).map(
    ([name, property]) => [name, nodeOf(property, `${path}/${name}`, work)] as const,
  );
  return {
    type: 'object',
    ...(read.required && { required: read.required }),
    properties: Object.fromEntries(properties),
  };
}

function mapOf(
  read: JsonSchema,
  path: string,
  { amendment, work }: { amendment: Amendment; work: Work },
): StructuralSchema {
  const { minProperties, maxProperties } = amendment;
  if (maxProperties === undefined) throw new InvariantError(`the map ${path} has no bound`);
  return {
    type: 'object',
    ...present({ minProperties, maxProperties }),
    additionalProperties: nodeOf(read.additionalProperties, `${path}/*`, work),
  };
}

function listOf(
  read: JsonSchema,
  path: string,
  { amendment, work }: { amendment: Amendment; work: Work },
): StructuralSchema {
  const maxItems = amendment.maxItems ?? read.maxItems;
  if (maxItems === undefined) throw new InvariantError(`the list ${path} has no bound`);
  return {
    type: 'array',
    ...present({ minItems: read.minItems }),
    maxItems,
    ...(amendment.isSet === true && { 'x-kubernetes-list-type': 'set' }),
    ...(amendment.listKeys && {
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': amendment.listKeys,
    }),
    items: nodeOf(read.items, `${path}/[]`, work),
  };
}

function textOf(read: JsonSchema, amendment: Amendment): StructuralSchema {
  const choices = amendment.enum ?? read.enum;
  if (choices) return { type: 'string', enum: choices };
  return {
    type: 'string',
    ...present({
      format: read.format,
      // zod spells a format out as a pattern too.
      pattern: amendment.pattern ?? (read.format === undefined ? read.pattern : undefined),
      minLength: read.minLength,
    }),
    maxLength: amendment.maxLength ?? read.maxLength ?? lengthDefault,
  };
}

function choice(of: NonNullable<JsonSchema['anyOf']>, path: string): StructuralSchema {
  const values = of.map((one) => one.const);
  if (values.every((value) => Number.isInteger(value))) return { type: 'integer', enum: values };
  throw new InvariantError(`${path} is a union, which no structural schema can say`);
}

function keyRules(names: JsonSchema['propertyNames']): Rule[] {
  const pattern = names?.pattern;
  const lengthMax = names?.maxLength;
  return [
    ...(pattern === undefined
      ? []
      : [
          {
            rule: `self.all(key, key.matches(${celText(pattern)}))`,
            message: `every key must match ${pattern}`,
          },
        ]),
    ...(lengthMax === undefined
      ? []
      : [
          {
            rule: `self.all(key, key.size() <= ${lengthMax})`,
            message: `a key has at most ${lengthMax} characters`,
          },
        ]),
  ];
}

function present(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
