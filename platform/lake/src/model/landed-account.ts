import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';

const dayMs = 86_400_000;
const minuteMs = 60_000;
const whole = z.number().int();
const count = whole.min(0);
const digits = z.string().regex(/^\d+$/);

export const landedAccountFolder = 'serving/account/landed/v1/';

const snapshotSchema = z.object({
  version: z.literal(1),
  number: count,
  /** Partition → the first offset of `readings` whose manifest is not counted yet. */
  positions: z.record(digits, digits),
  /** Landed objects that were counted and are gone or altered: their readings are taken off. */
  missing: z.array(z.string()),
  /** Partition → the first offset whose manifest has not expired: readings before it went by retention. */
  expired: z.record(digits, digits).default({}),
  /** Places of files behind it that have expired all the same: they were received before others that stand before them. */
  expiredEarly: z.array(z.string()).default([]),
  /** Building → UTC day as Unix milliseconds → the name in `data/` of the object that holds its minutes. */
  days: z.record(z.string(), z.record(digits, z.string().regex(/^[0-9a-f-]{1,64}$/))),
});

const minuteCounts = z.array(z.tuple([count, count]));

const dataSchema = z.object({
  days: z.array(
    z.object({
      building: z.string(),
      dayMs: whole,
      /** `[minute of the day, readings]`. */
      minutes: minuteCounts,
      /** Likewise, of files that went by retention. */
      expired: minuteCounts.optional(),
    }),
  ),
});

const pointerSchema = z.object({ number: count, snapshot: z.string(), verifiedAtMs: whole });

export type LandedAccountSnapshot = z.output<typeof snapshotSchema>;
export type LandedAccountData = z.output<typeof dataSchema>;

export const emptyAccount: LandedAccountSnapshot = {
  version: 1,
  number: 0,
  positions: {},
  missing: [],
  expired: {},
  expiredEarly: [],
  days: {},
};

export const parseAccountSnapshot = parserOf(snapshotSchema);
export const parseAccountData = parserOf(dataSchema);
export const parseAccountPointer = parserOf(pointerSchema);

function parserOf<Value>(schema: z.ZodType<Value>): (content: Buffer) => Value {
  return (content) => {
    try {
      return schema.parse(JSON.parse(content.toString()));
    } catch (cause) {
      throw new PlatformError('OBJECT_MISMATCH', 'Cannot read the account of what has landed', {
        cause,
      });
    }
  };
}

export function accountSnapshotKey(number: number): string {
  return `${landedAccountFolder}snapshots/${padded(number)}.json`;
}

export function accountDataKey(name: string): string {
  return `${landedAccountFolder}data/${name}.json`;
}

export function padded(number: number): string {
  return `${number}`.padStart(20, '0');
}

/** The UTC day and the minute in it. */
export function minuteOfDay(timeMs: number): readonly [dayMs: number, minute: number] {
  const startMs = Math.floor(timeMs / dayMs) * dayMs;
  return [startMs, Math.floor((timeMs - startMs) / minuteMs)];
}

export function timeOfMinute(startMs: number, minute: number): number {
  return startMs + minute * minuteMs;
}

/** UTC days that [fromMs, toMs) touches. */
export function daysIn(fromMs: number, toMs: number): number[] {
  const days = [];
  for (let day = Math.floor(fromMs / dayMs) * dayMs; day < toMs; day += dayMs) days.push(day);
  return days;
}
