import { z } from 'zod';
import { count, listOf, time, unit } from './fields.ts';

/** What the raw API answers of readings. Times are RFC 3339 with `Z`, units UCUM codes. */

export const rawRow = z
  .object({
    building: z.string(),
    floor: z.string(),
    room: z.string(),
    device: z.string(),
    metric: z.string(),
    unit,
    measuredAt: time,
    receivedAt: time,
    value: z.number().nullable().describe('Booleans as 0 and 1; null if the value is text'),
    text: z.string().nullable(),
    boot: z.string().nullable(),
    seq: count.nullable(),
    timeSource: z.enum(['device', 'gateway', 'cell']),
    kafkaPartition: count,
    kafkaOffset: count.describe('Where its reading stands in the stream `readings`'),
  })
  .describe('One value of one reading: the columns of the landing zone in camel case');

export const rawList = listOf(rawRow).extend({
  retainedFrom: time
    .optional()
    .describe(
      'There if the period begins before it: what was received before it has gone by retention',
    ),
});

export type RawRow = z.output<typeof rawRow>;
