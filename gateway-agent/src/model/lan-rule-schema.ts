import { isDeviceId, isMetricName } from '@domicile/core/identities.ts';
import { z } from 'zod';
import { isZone } from './local-time.ts';
import { fill, faultOfFilter, isOpenLevel, topicTemplate } from './topic-template.ts';
import { type ValueRule, faultsOfRule, valueRuleFields } from './value-rule.ts';

const pointer = z
  .string()
  .regex(/^(?:\/(?:[^~]|~[01])*)?$/, 'expected a JSON pointer such as /state/temperature, or ""');
const template = z.string().transform(topicTemplate);

type ValueAt = ValueRule & { readonly pointer: string };

const value = z.union([
  pointer.transform((text): ValueAt => ({ pointer: text })),
  z.strictObject({
    pointer: pointer.default('').describe('Where it stands; "" is the whole payload.'),
    ...valueRuleFields,
  }),
]);

const words = z.array(z.union([z.string(), z.number(), z.boolean()])).min(1);

const command = z.strictObject({
  topic: template.describe('Where the device takes it; {2} as in device.'),
  payload: z
    .string()
    .default('{value}')
    .describe('{value} is the value as text, {json} as JSON; other braces stay.'),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(1),
  retain: z.boolean().default(false),
});

const rule = z.strictObject({
  filter: z.string().describe('Topics that it is for, an MQTT filter.'),
  device: template.describe('Its device: text with {n} for the n-th level of the topic.'),
  values: z.record(z.string(), value).default({}).describe('Metric: where its value stands.'),
  time: z
    .strictObject({
      pointer,
      unit: z.enum(['s', 'ms']).default('ms').describe('Unit of a time that is a number.'),
      zone: z
        .string()
        .refine(isZone, 'expected an IANA time zone such as Europe/Berlin')
        .optional()
        .describe('Of a time without offset; absent: such a time is not used.'),
    })
    .optional(),
  status: z
    .strictObject({
      pointer: pointer.default(''),
      online: words.default(['online', 'Online', true, 1]),
      offline: words.default(['offline', 'Offline', false, 0]),
    })
    .optional()
    .describe('Whether the device is there.'),
  commands: z
    .record(z.string(), command)
    .default({})
    .describe('Metric: how it is set. The device has done it when a value of it says so.'),
});

export type LanRule = z.output<typeof rule>;

/** Rules for devices with topics of their own, with every contradiction told at its place. */
export const lanRulesSchema = z
  .array(rule)
  .max(200)
  .superRefine((rules, context) => {
    for (const [index, one] of rules.entries())
      for (const { path, message } of faultsIn(one))
        context.addIssue({ code: 'custom', path: [index, ...path], message });
  });

interface Fault {
  readonly path: readonly string[];
  readonly message: string;
}

function faultsIn(one: LanRule): Fault[] {
  const { filter, device, values, status, commands } = one;
  const faults: Fault[] = [];
  const add = (message: string, ...path: string[]) => void faults.push({ path, message });
  const wrongFilter = faultOfFilter(filter);
  if (wrongFilter !== undefined) add(wrongFilter, 'filter');
  for (const level of device.levels)
    if (!isOpenLevel(filter, level)) add(`level ${level} of ${filter} is no + or #`, 'device');
  if (!isDeviceId(fill(device, () => 'x'))) add('makes no device id', 'device');
  if (device.levels.length > 1) add('may have one place {n}', 'device');
  if (Object.keys(values).length === 0 && !status && Object.keys(commands).length === 0)
    add('needs values, a status or commands');
  for (const [metric, { pointer: _pointer, ...rest }] of Object.entries(values)) {
    if (!isMetricName(metric)) add('is no metric name', 'values', metric);
    for (const message of faultsOfRule(rest)) add(message, 'values', metric);
  }
  faults.push(...commandFaults(one));
  return faults;
}

function commandFaults({ device, commands }: LanRule): Fault[] {
  return Object.entries(commands).flatMap(([metric, { topic, payload }]) => {
    const told: string[] = [];
    if (!isMetricName(metric)) told.push('is no metric name');
    if (topic.levels.some((level) => !device.levels.includes(level)))
      told.push('its topic may have the place that device has, and no other');
    const filled = fill(topic, () => 'x');
    if (/[+#\0]/.test(filled)) told.push('its topic may have no + or #');
    if (filled.startsWith('v1/') || filled.startsWith('$'))
      told.push('its topic may not begin with v1/ or $');
    if (!payload.includes('{value}') && !payload.includes('{json}'))
      told.push('its payload needs {value} or {json}');
    return told.map((message) => ({ path: ['commands', metric], message }));
  });
}

export const namesSchema = z
  .record(
    z.string().min(1),
    z.string().refine(isDeviceId, 'expected lower-case letters, digits and hyphens'),
  )
  .superRefine((names, context) => {
    const seen = new Map<string, string>();
    for (const [name, id] of Object.entries(names)) {
      const other = seen.get(id);
      if (other !== undefined)
        context.addIssue({ code: 'custom', path: [name], message: `${other} is ${id} already` });
      seen.set(id, name);
    }
  });
