import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import { landedStreams, type LandingRange } from './landing-key.ts';

const offset = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt);
const timeMs = z.number().int();
const count = z.number().int().min(0);
const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
const range = {
  version: z.literal(1),
  stream: z.enum(landedStreams),
  partition: count,
  first: offset,
  last: offset,
  /** SHA-256 over the records of the range: offset, length and bytes of each. */
  digest: hex(64),
};

/** What is going to be landed. Whoever finds it without its manifest does what it says. */
const planSchema = z.object({
  ...range,
  records: count,
  /** Null if nothing of it is landed. */
  measuredFromMs: timeMs.nullable(),
  measuredToMs: timeMs.nullable(),
  /** By hour of receipt; almost always one. */
  files: z.array(z.object({ hourMs: timeMs, path: z.string() })),
});

const buildingSchema = z.object({
  building: z.string(),
  rows: count,
  readings: count,
  measuredFromMs: timeMs,
  measuredToMs: timeMs,
  /** Readings by the minute in which they were measured, `[minute as Unix milliseconds, readings]`, rising. */
  minutes: z.array(z.tuple([timeMs, count])),
});

const fileSchema = z.object({
  path: z.string(),
  bytes: count,
  generation: z.string(),
  crc32c: hex(8),
  sha256: hex(64),
  rows: count,
  readings: count,
  receivedFromMs: timeMs,
  receivedToMs: timeMs,
  buildings: z.array(buildingSchema),
});

/** What has been landed. The ranges of a partition follow upon each other without a gap. */
const manifestSchema = z.object({
  ...range,
  country: z.string().regex(/^[A-Z]{2}$/),
  files: z.array(fileSchema),
  /** Offsets of records that were not landed because they are no readings of this country. */
  refused: z.array(z.object({ offset: z.string(), reason: z.enum(['unreadable', 'foreign']) })),
  /** Files that it named before a building was erased from them. None of them is there. */
  superseded: z.array(z.string()).optional(),
});

export type LandingPlan = z.output<typeof planSchema>;
export type LandingManifest = z.output<typeof manifestSchema>;
export type ManifestFile = z.output<typeof fileSchema>;
export type ManifestBuilding = z.output<typeof buildingSchema>;

export const parsePlan = parserOf(planSchema, 'plan');
export const parseManifest = parserOf(manifestSchema, 'manifest');

function parserOf<Value>(schema: z.ZodType<Value>, what: string): (content: Buffer) => Value {
  return (content) => {
    const parsed = schema.safeParse(jsonOf(content));
    if (parsed.success) return parsed.data;
    throw new PlatformError('OBJECT_MISMATCH', `Cannot read a ${what} of the landing zone`, {
      details: { issues: parsed.error.issues.map(({ path }) => path.join('.')) },
    });
  };
}

function jsonOf(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString());
  } catch {
    return undefined;
  }
}

export function encodeLedger(entry: LandingPlan | LandingManifest): Buffer {
  return Buffer.from(
    JSON.stringify(entry, (_key, value: unknown) =>
      typeof value === 'bigint' ? `${value}` : value,
    ),
  );
}

/** Whether two entries speak of the same records. */
export function isSameRange(
  a: LandingRange & { digest: string },
  b: LandingRange & { digest: string },
): boolean {
  return (
    a.stream === b.stream &&
    a.partition === b.partition &&
    a.first === b.first &&
    a.last === b.last &&
    a.digest === b.digest
  );
}
