import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import { type CoarseInterval, coarseIntervals, type SummaryInterval } from './summary-windows.ts';

const whole = z.number().int();
const count = whole.min(0);

/** The rows of one building and one UTC day in a file. */
const partSchema = z.object({
  building: z.string(),
  dayMs: whole,
  /** Bounds of the windows' starts, both included. */
  fromMs: whole,
  toMs: whole,
  /** Where the rows of building, floor, room and device begin, and where the last of them end. */
  rows: z.tuple([count, count, count, count, count]),
  /** All that was there when the day was merged. */
  isDay: z.boolean().optional(),
});

const fileSchema = z.object({
  key: z.string(),
  bytes: count,
  parts: z.array(partSchema),
});

const buildingSchema = z.object({
  /** Up to here in event time its windows have closed; null: unknown. */
  closedMs: whole.nullable(),
  /** The zone of its days; null: unknown, and then there are none. */
  zone: z.string().nullable(),
  /** Starts of coarser windows that have changed since they were last written: merge finer ones instead. */
  pending: z.object({ PT15M: z.array(whole), PT1H: z.array(whole), P1D: z.array(whole) }),
});

const filesSchema = z.array(fileSchema);

/**
 * The serving layer of summaries at one instant. It stands below PT1M, which is where a snapshot is made; below the
 * coarser intervals stands the part that speaks of them.
 */
const manifestSchema = z.object({
  version: z.literal(1),
  number: count,
  /** Partition of `summaries` → the first offset that is not included. */
  offsets: z.record(z.string().regex(/^\d+$/), z.string().regex(/^\d+$/)),
  files: z.object({
    PT1M: filesSchema,
    PT15M: filesSchema,
    PT1H: filesSchema,
    P1D: filesSchema,
  }),
  buildings: z.record(z.string(), buildingSchema),
  /** How long after their beginning UTC days are kept; absent: for ever. */
  retentionDays: whole.min(1).optional(),
});

export type SummaryManifest = z.output<typeof manifestSchema>;
export type SummaryFile = z.output<typeof fileSchema>;
export type SummaryPart = z.output<typeof partSchema>;
export type SummaryBuilding = z.output<typeof buildingSchema>;

export const emptyManifest: SummaryManifest = {
  version: 1,
  number: 0,
  offsets: {},
  files: { PT1M: [], PT15M: [], PT1H: [], P1D: [] },
  buildings: {},
};

export function emptyBuilding(): SummaryBuilding {
  return { closedMs: null, zone: null, pending: { PT15M: [], PT1H: [], P1D: [] } };
}

/** Throws `OBJECT_MISMATCH`. */
export function parseSummaryManifest(content: Buffer): SummaryManifest {
  return parsed(manifestSchema, content);
}

const pointerSchema = z.object({ number: count, snapshot: z.string() });

export function parsePointer(content: Buffer): z.output<typeof pointerSchema> {
  return parsed(pointerSchema, content);
}

function parsed<Value>(schema: z.ZodType<Value>, content: Buffer): Value {
  try {
    return schema.parse(JSON.parse(content.toString()));
  } catch (cause) {
    throw new PlatformError('OBJECT_MISMATCH', 'Cannot read a snapshot of summaries', { cause });
  }
}

/** What stands below a coarser interval: enough to read its files. */
export function coarseManifest(manifest: SummaryManifest, interval: CoarseInterval) {
  const { version, number, offsets, files, buildings, retentionDays } = manifest;
  const pending = Object.entries(buildings).map(([id, building]) => [
    id,
    { pending: building.pending[interval], ...(interval === 'P1D' && { zone: building.zone }) },
  ]);
  return {
    version,
    number,
    offsets,
    files: { [interval]: files[interval] },
    buildings: Object.fromEntries(pending),
    retentionDays,
  };
}

export function summaryFolder(interval: SummaryInterval): string {
  return `serving/summaries/${interval.toLowerCase()}/v1/`;
}

export function summarySnapshotKey(interval: SummaryInterval, number: number): string {
  return `${summaryFolder(interval)}snapshots/${`${number}`.padStart(20, '0')}.json`;
}

export function offsetsOf(manifest: SummaryManifest): Map<number, bigint> {
  return new Map(
    Object.entries(manifest.offsets).map(([partition, offset]) => [
      Number(partition),
      BigInt(offset),
    ]),
  );
}

export function isCoarse(interval: SummaryInterval): interval is CoarseInterval {
  return coarseIntervals.some((one) => one === interval);
}
