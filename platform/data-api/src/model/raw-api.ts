import { z } from 'zod';

/** What the raw API answers. Times are RFC 3339 with `Z`, units UCUM codes. */

const time = z.iso.datetime();
const next = z
  .string()
  .nullable()
  .describe('The `cursor` of the next page; null when there is none');

/** One value of one reading: the columns of the landing zone in camel case. */
export const rawRow = z.object({
  building: z.string(),
  floor: z.string(),
  room: z.string(),
  device: z.string(),
  metric: z.string(),
  unit: z.string(),
  measuredAt: time,
  receivedAt: time,
  value: z.number().nullable().describe('Booleans as 0 and 1; null if the value is text'),
  text: z.string().nullable(),
  boot: z.string().nullable(),
  seq: z.number().int().nullable(),
  timeSource: z.enum(['device', 'gateway', 'cell']),
  kafkaPartition: z.number().int(),
  kafkaOffset: z.number().int().describe('Where its reading stands in the stream `readings`'),
});

export const rawList = z.object({ rows: z.array(rawRow), next });

export type RawRow = z.output<typeof rawRow>;

export const rawColumns = Object.keys(rawRow.shape);
