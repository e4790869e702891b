import { isMetricName } from '@domicile/core/identities.ts';
import { z } from 'zod';
import {
  type MetricValue,
  faultsOfRule,
  lineOf,
  offLine,
  valueOf,
  valueRuleFields,
} from './value-rule.ts';

/** Object types with a present value that a reading may hold, by their numbers (ASHRAE 135, clause 21). */
const objectTypes = {
  'analog-input': 0,
  'analog-output': 1,
  'analog-value': 2,
  'binary-input': 3,
  'binary-output': 4,
  'binary-value': 5,
  'multi-state-input': 13,
  'multi-state-output': 14,
  'multi-state-value': 19,
  'characterstring-value': 40,
  'integer-value': 45,
  'large-analog-value': 46,
  'positive-integer-value': 48,
} as const;

export type BacnetObjectType = keyof typeof objectTypes;

export interface BacnetObjectId {
  readonly type: number;
  readonly instance: number;
}

/** Tags of values (clause 20.2.1.4). */
export const tags = { unsigned: 2, signed: 3, real: 4, double: 5, enumerated: 9 } as const;

const object = z.strictObject({
  object: z
    .string()
    .transform((text, context) => {
      const [type = '', instance = ''] = text.split(':');
      if (isObjectType(type) && /^\d{1,7}$/.test(instance) && Number(instance) < 4_194_303)
        return { kind: type, id: { type: objectTypes[type], instance: Number(instance) } };
      context.addIssue(
        `expected a type and an instance such as analog-input:1; types are ${Object.keys(objectTypes).join(', ')}`,
      );
      return z.NEVER;
    })
    .describe('Type and instance, for example analog-input:1; its present value is read.'),
  write: z.boolean().default(false).describe('A command may set it.'),
  priority: z
    .number()
    .int()
    .min(1)
    .max(16)
    .default(16)
    .describe('Of a write; 16 gives way to all.'),
  ...valueRuleFields,
});

export type BacnetObject = z.output<typeof object>;

/** Objects of a kind of device: metric, and whose present value it is. */
export const objectMapSchema = z.record(z.string(), object).superRefine((map, context) => {
  if (Object.keys(map).length === 0) context.addIssue('needs at least one object');
  for (const [metric, one] of Object.entries(map)) {
    const faults = faultsOfRule(ruleOf(one));
    if (!isMetricName(metric)) faults.push('is no metric name');
    if (one.write && one.object.kind.endsWith('-input')) faults.push('an input cannot be set');
    if (one.write && one.object.kind === 'characterstring-value') faults.push('text cannot be set');
    for (const message of faults) context.addIssue({ code: 'custom', path: [metric], message });
  }
});

export type ObjectMap = Readonly<Record<string, BacnetObject>>;

function isObjectType(text: string): text is BacnetObjectType {
  return Object.hasOwn(objectTypes, text);
}

function ruleOf({ as, scale, offset, from, to, true: yes, false: no }: BacnetObject) {
  return { as, scale, offset, from, to, true: yes, false: no };
}

function isBinary({ object: { kind } }: BacnetObject): boolean {
  return kind.startsWith('binary-');
}

/** What an object's present value means. */
export function meaningOf(
  one: BacnetObject,
  presentValue: unknown,
): { readonly value: MetricValue } | { readonly fault: string } {
  const isFlag = isBinary(one) && !one.true && one.as === undefined;
  if (isFlag && (presentValue === 0 || presentValue === 1)) return { value: presentValue === 1 };
  return valueOf(presentValue, ruleOf(one));
}

/** What is written to set it; a `string` in `fault` says why nothing is. */
export function wordOf(
  one: BacnetObject,
  value: MetricValue,
): { readonly tag: number; readonly value: number } | { readonly fault: string } {
  const { kind } = one.object;
  if (isBinary(one)) {
    if (typeof value !== 'boolean') return { fault: 'must be true or false' };
    const word = one.true ? (value ? one.true[0] : (one.false?.[0] ?? 0)) : Number(value);
    return typeof word === 'number'
      ? { tag: tags.enumerated, value: word }
      : { fault: 'has no number in true and false' };
  }
  if (typeof value !== 'number') return { fault: 'must be a number' };
  const told = offLine(value, lineOf(ruleOf(one)));
  if (kind === 'large-analog-value') return { tag: tags.double, value: told };
  if (kind.startsWith('analog-')) return { tag: tags.real, value: Math.fround(told) };
  const whole = Math.round(told);
  if (kind === 'integer-value') return { tag: tags.signed, value: whole };
  return whole < 0 ? { fault: 'cannot be negative' } : { tag: tags.unsigned, value: whole };
}
