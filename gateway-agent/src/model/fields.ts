import { isMetricName } from '@domicile/core/identities.ts';
import { z } from 'zod';
import { type MetricValue, faultsOfRule, valueOf, valueRuleFields } from './value-rule.ts';

const field = z.union([
  z.string().transform((metric) => ({ metric })),
  z.strictObject({ metric: z.string(), ...valueRuleFields }),
]);

/** How the flat fields that a microcontroller posts become a reading. */
export const fieldsSchema = z
  .record(z.string(), field)
  .superRefine((fields, context) => {
    for (const [name, { metric, ...rule }] of Object.entries(fields)) {
      const faults = faultsOfRule(rule);
      if (!isMetricName(metric)) faults.push(`${metric} is no metric name`);
      for (const message of faults) context.addIssue({ code: 'custom', path: [name], message });
    }
  })
  .describe('Field of a form or a flat JSON object: its metric. Others are ignored.');

export const timeFieldSchema = z.strictObject({
  field: z.string().default('at').describe('Field with the time of the reading.'),
  unit: z.enum(['s', 'ms']).default('ms').describe('Unit of a time that is a number.'),
});

export interface FieldMapping {
  readonly fields?: z.output<typeof fieldsSchema> | undefined;
  readonly time?: z.output<typeof timeFieldSchema> | undefined;
}

export interface FieldFault {
  readonly pointer: string;
  readonly detail: string;
}

export type FieldsReading =
  | { readonly reading: Readonly<Record<string, unknown>> }
  | { readonly faults: readonly FieldFault[] };

/**
 * Makes a reading of flat fields: `boot`, `seq` and the time are its own, the rest are values, by their metric or, without a
 * mapping, under their own names.
 */
export function readingOfFields(
  told: readonly (readonly [string, unknown])[],
  mapping: FieldMapping,
): FieldsReading {
  const faults: FieldFault[] = [];
  const values: Record<string, MetricValue> = {};
  const timeField = mapping.time?.field ?? 'at';
  const head: Record<string, unknown> = {};
  const seen = new Set<string>();
  for (const [name, raw] of told) {
    const fault = (detail: string) => void faults.push({ pointer: pointerOf(name), detail });
    if (seen.has(name)) fault('came twice');
    seen.add(name);
    if (name === timeField) head['at'] = timeOf(raw, mapping.time?.unit ?? 'ms');
    else if (name === 'boot') head['boot'] = raw;
    else if (name === 'seq') head['seq'] = wholeOf(raw);
    else takeValue({ name, raw, mapping, values, fault });
  }
  if (faults.length > 0) return { faults };
  if (Object.keys(values).length === 0)
    return { faults: [{ pointer: '', detail: 'holds no field with a value' }] };
  return { reading: { ...head, values } };
}

interface FieldOfReading {
  readonly name: string;
  readonly raw: unknown;
  readonly mapping: FieldMapping;
  readonly values: Record<string, MetricValue>;
  readonly fault: (detail: string) => void;
}

function takeValue({ name, raw, mapping: { fields }, values, fault }: FieldOfReading): void {
  if (fields && !Object.hasOwn(fields, name)) return;
  const { metric, ...rule } = fields?.[name] ?? { metric: name };
  if (!isMetricName(metric)) {
    fault('is no metric name: lower-case letters, digits and _');
    return;
  }
  const read = valueOf(raw, rule);
  if ('fault' in read) fault(read.fault);
  else values[metric] = read.value;
}

/** Numbers are turned to milliseconds; what is none is left for whoever reads times. */
function timeOf(raw: unknown, unit: 's' | 'ms'): unknown {
  const number = wholeOf(raw);
  return typeof number === 'number' && unit === 's' ? Math.round(number * 1000) : number;
}

function wholeOf(raw: unknown): unknown {
  return typeof raw === 'string' && /^\d{1,16}(?:\.\d{1,9})?$/.test(raw) ? Number(raw) : raw;
}

function pointerOf(name: string): string {
  return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
