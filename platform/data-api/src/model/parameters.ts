import { type Fault, PlatformError } from '@domicile/core/errors.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import { z } from 'zod';
import type { Period } from './period.ts';

export const limitDefault = 1_000;
export const limitMax = 50_000;
/** Of values that may be named more than once, such as `metric`. */
export const namesMax = 100;

const id = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected lower-case letters, digits and hyphens');
const metric = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'expected the name of a metric');

/** Named once, several times, or as a list with commas. */
function names(item: z.ZodType<string, string>) {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((given) => [given].flat().flatMap((one) => one.split(',')))
    .pipe(z.array(item).min(1).max(namesMax))
    .transform((given): readonly string[] => [...new Set(given)]);
}

export const idNames = names(id);
export const metricNames = names(metric);

export const timeParameter = z.string().transform((text, context) => {
  const ms = parseTime(text);
  if (ms !== undefined) return ms;
  context.addIssue('expected an RFC 3339 time with offset, such as 2026-11-23T07:00:00Z');
  return z.NEVER;
});

export function limitParameter(of: { default: number; max: number }) {
  return z
    .string()
    .regex(/^\d{1,9}$/, 'expected a whole number')
    .transform(Number)
    .pipe(z.number().min(1).max(of.max))
    .default(of.default);
}

export const pageShape = {
  limit: limitParameter({ default: limitDefault, max: limitMax }),
  cursor: z.string().max(1_000).optional(),
};

export const periodShape = { from: timeParameter, to: timeParameter };

/**
 * Reads the parameters of a request; a name that the route does not know is a fault too, since a filter that is passed
 * over answers with what nobody asked for. Throws `VALUE_INVALID` with every fault at once.
 */
export function readQuery<Shape extends z.ZodRawShape>(
  shape: Shape,
  query: unknown,
  periodMsMax = Infinity,
): z.output<z.ZodObject<Shape, z.core.$strict>> {
  const read = z.strictObject(shape).safeParse(query);
  const faults = read.success ? [] : read.error.issues.flatMap((issue) => faultsOf(issue, 'query'));
  const period = z.object(periodShape).safeParse(query);
  if (period.success && 'from' in shape)
    faults.push(...periodFaults({ fromMs: period.data.from, toMs: period.data.to }, periodMsMax));
  if (read.success && faults.length === 0) return read.data;
  throw invalidRequest(faults);
}

/** Reads a body the same way. */
export function readBody<Schema extends z.ZodType>(
  schema: Schema,
  body: unknown,
): z.output<Schema> {
  const read = schema.safeParse(body);
  if (read.success) return read.data;
  throw invalidRequest(read.error.issues.flatMap((issue) => faultsOf(issue, 'body')));
}

export function invalidRequest(faults: readonly Fault[]): PlatformError {
  return new PlatformError('VALUE_INVALID', 'Cannot read the request: a part of it is invalid', {
    details: { errors: faults },
    faults,
  });
}

function faultsOf(issue: z.core.$ZodIssue, part: 'query' | 'body'): Fault[] {
  const base = `#/${part}${pointerOf(issue.path)}`;
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      pointer: `${base}${pointerOf([key])}`,
      detail: 'there is no such parameter here',
    }));
  return [{ pointer: base, detail: issue.message }];
}

function pointerOf(path: readonly PropertyKey[]): string {
  return path
    .map((step) => `/${String(step).slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}

function periodFaults({ fromMs, toMs }: Period, lengthMsMax: number): Fault[] {
  if (toMs <= fromMs)
    return [{ pointer: '#/query/to', detail: 'must be later than from; the range is [from, to)' }];
  if (toMs - fromMs <= lengthMsMax) return [];
  const days = Math.floor(lengthMsMax / 86_400_000);
  return [{ pointer: '#/query/to', detail: `must be at most ${days} days after from` }];
}
