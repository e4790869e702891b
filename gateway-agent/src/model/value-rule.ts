import { textValueLengthMax } from '@domicile/core/telemetry.ts';
import { z } from 'zod';
import { type Line, conversion } from './unit-conversion.ts';

/** As the platform keeps it. */
export type MetricValue = number | boolean | string;

const word = z.union([z.string(), z.number(), z.boolean()]);
const words = z.union([word.transform((one) => [one]), z.array(word).min(1)]);

/** Fields of a setting that says how what a device tells becomes a value. */
export const valueRuleFields = {
  as: z
    .enum(['number', 'boolean', 'text'])
    .optional()
    .describe('What it must be; absent: a number if it reads as one, else as it is.'),
  scale: z.number().optional().describe('The number is multiplied by this,'),
  offset: z.number().optional().describe('then this is added.'),
  from: z.string().optional().describe('UCUM unit that the device measures in,'),
  to: z.string().optional().describe('and the one that is wanted.'),
  true: words.optional().describe('What stands for true, for example [ON, 1].'),
  false: words.optional().describe('What stands for false; absent: everything else.'),
};

export const valueRuleSchema = z.strictObject(valueRuleFields);

export type ValueRule = z.output<typeof valueRuleSchema>;

/** What contradicts itself in a rule; empty if nothing does. */
export function faultsOfRule(rule: ValueRule): string[] {
  const { from, to, as } = rule;
  const faults: string[] = [];
  if ((from === undefined) !== (to === undefined)) faults.push('from and to go together');
  if (from !== undefined && to !== undefined && !conversion(from, to))
    faults.push(`there is no way from ${from} to ${to}`);
  if (rule.false && !rule.true) faults.push('false needs true beside it');
  if (rule.true && isNumeric(rule)) faults.push('true and false make no number');
  if (isNumeric(rule) && as !== undefined && as !== 'number')
    faults.push(`scale, offset, from and to make a number, not ${as}`);
  return faults;
}

function isNumeric({ scale, offset, from }: ValueRule): boolean {
  return scale !== undefined || offset !== undefined || from !== undefined;
}

/** The line that a number runs through: scale and offset first, then the unit. */
export function lineOf({ scale = 1, offset = 0, from, to }: ValueRule): Line {
  const unit = (from !== undefined && to !== undefined && conversion(from, to)) || undefined;
  const { factor, offset: shift } = unit ?? { factor: 1, offset: 0 };
  return { factor: scale * factor, offset: offset * factor + shift };
}

/** What a device told, as a value; a `string` in `fault` says why it is none. */
export function valueOf(
  told: unknown,
  rule: ValueRule,
): { readonly value: MetricValue } | { readonly fault: string } {
  if (rule.true) return booleanBy(told, rule.true, rule.false);
  const wanted = rule.as ?? (isNumeric(rule) ? 'number' : undefined);
  if (wanted === 'boolean') return plainBoolean(told);
  if (wanted === 'text') return textOf(told);
  const number = numberOf(told);
  if (number !== undefined) return { value: onLine(number, lineOf(rule)) };
  if (wanted === 'number') return { fault: 'is no number' };
  if (typeof told === 'boolean') return { value: told };
  if (told === 'true' || told === 'false') return { value: told === 'true' };
  return textOf(told);
}

/** Rounded to 12 digits: 0.1 × 234 is 23.4, not 23.400000000000002. */
export function onLine(value: number, { factor, offset }: Line): number {
  if (factor === 1 && offset === 0) return value;
  return Number((value * factor + offset).toPrecision(12));
}

/** The told value whose `onLine` this is. */
export function offLine(value: number, { factor, offset }: Line): number {
  const told = Number(((value - offset) / factor).toPrecision(12));
  // What is left of rounding near zero.
  return Math.abs(told * factor) < 1e-9 * Math.abs(offset) ? 0 : told;
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function numberOf(told: unknown): number | undefined {
  if (typeof told === 'number') return Number.isFinite(told) ? told : undefined;
  if (typeof told !== 'string' || !decimal.test(told.trim())) return undefined;
  const number = Number(told);
  return Number.isFinite(number) ? number : undefined;
}

type Words = NonNullable<ValueRule['true']>;

function booleanBy(told: unknown, yes: Words, no: Words | undefined) {
  const isOneOf = (all: Words) => all.some((one) => one === told || String(one) === told);
  if (isOneOf(yes)) return { value: true };
  if (told === undefined || told === null || typeof told === 'object')
    return { fault: 'is neither true nor false' };
  if (no === undefined || isOneOf(no)) return { value: false };
  return { fault: 'is neither true nor false' };
}

function plainBoolean(told: unknown) {
  const known = booleanBy(told, [true, 'true', 'on', 'ON', 1], [false, 'false', 'off', 'OFF', 0]);
  return known;
}

function textOf(told: unknown) {
  if (typeof told !== 'string' && typeof told !== 'number' && typeof told !== 'boolean')
    return { fault: 'is no text' };
  const value = String(told);
  if (value.length > textValueLengthMax)
    return { fault: `is longer than ${textValueLengthMax} characters` };
  return { value };
}
