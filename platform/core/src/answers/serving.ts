import { z } from 'zod';
import { levels } from '../summary.ts';
import { count, listOf, next, time, unit } from './fields.ts';

/** What the serving API answers. Times are RFC 3339 with `Z`, units UCUM codes. */

export const buildingRow = z
  .object({
    id: z.string().describe('Begins with its country'),
    country: z.string(),
    client: z.string(),
    timeZone: z.string().describe('IANA name'),
    name: z.string().optional(),
  })
  .describe('A building');

export const buildingList = listOf(buildingRow);

const device = z.object({
  id: z.string(),
  type: z.string(),
  metrics: z.array(z.object({ name: z.string(), unit })),
});
const room = z.object({ id: z.string(), devices: z.array(device) });

export const buildingPlan = buildingRow
  .extend({ floors: z.array(z.object({ id: z.string(), rooms: z.array(room) })) })
  .describe('A building with its floors, rooms, devices and metrics');

export const intervals = ['PT1M', 'PT15M', 'PT1H', 'P1D'] as const;
export type Interval = (typeof intervals)[number];

export const summaryRow = z
  .object({
    windowStart: time,
    windowEnd: time,
    level: z.enum(levels),
    id: z.string().describe('Of the device, room, floor or building'),
    metric: z.string(),
    unit,
    count,
    sum: z.number(),
    avg: z.number(),
    min: z.number(),
    max: z.number(),
    stddev: z.number().describe('Of the population'),
    p50: z.number().describe('Within 1 %'),
    p95: z.number().describe('Within 1 %'),
    revision: count.describe('Grows with every change of the window'),
    final: z.boolean().describe('The window has closed; late readings may still revise it'),
  })
  .describe('One window of one metric');

export const summaryList = z.object({
  building: z.string(),
  country: z.string(),
  interval: z.enum(intervals),
  rows: z.array(summaryRow),
  through: time
    .nullable()
    .describe('Up to where in event time the answer speaks; null when nothing is known yet'),
  next,
});

export const latestRow = z
  .object({
    device: z.string(),
    room: z.string(),
    metric: z.string(),
    value: z.union([z.number(), z.boolean(), z.string()]),
    unit,
    measuredAt: time,
    receivedAt: time,
  })
  .describe('The newest value of a point, by the time it was measured');

export const latestList = listOf(latestRow);

export const deviceRow = z
  .object({
    device: z.string(),
    room: z.string(),
    type: z.string(),
    state: z.enum(['seen', 'silent', 'never-seen']),
    lastAt: time.nullable().describe('When its newest reading was measured'),
    everyMs: count.describe('How often a device of this type speaks'),
    reported: z
      .enum(['online', 'offline'])
      .nullable()
      .describe('What the device or its gateway last said of its connection; null: nothing'),
  })
  .describe('Whether a device speaks as it should');

export const deviceList = listOf(deviceRow);

export const accountRow = z
  .object({
    device: z.string(),
    boot: z.string(),
    first: count.describe('The lowest number of the period'),
    last: count.describe('The highest number of the period'),
    received: count,
    duplicates: count,
    missing: z.array(z.tuple([count, count])).describe('Ranges of numbers, both ends included'),
    complete: z
      .boolean()
      .describe('The gateway has said that nothing more is to come up to `last`'),
  })
  .describe('One numbering of one device');

export const accountAnswer = z
  .object({
    totals: z.object({
      expected: count.describe('received + quarantined (numbered) + missing'),
      received: count,
      duplicates: count,
      quarantined: count,
      missing: count,
      unnumbered: count,
      unreadable: count,
      landed: count.describe('Counted from the manifests of the landing zone'),
      expired: count.describe(
        'Landed readings whose files went by retention; they are not in `landed`',
      ),
    }),
    rows: z.array(accountRow),
    next,
  })
  .describe('Where every reading of a period has gone');

export const dataEndpointList = listOf(
  z.object({
    api: z.string(),
    endpoint: z.string(),
    class: z.string().describe('What the files hold, by who may see it'),
    href: z.string(),
  }),
);

export const dataFileList = listOf(z.object({ path: z.string(), bytes: count, href: z.string() }));

export type BuildingRow = z.output<typeof buildingRow>;
export type BuildingPlan = z.output<typeof buildingPlan>;
export type SummaryRow = z.output<typeof summaryRow>;
export type LatestRow = z.output<typeof latestRow>;
export type DeviceRow = z.output<typeof deviceRow>;
export type AccountRow = z.output<typeof accountRow>;
export type AccountAnswer = z.output<typeof accountAnswer>;
export type AccountTotals = AccountAnswer['totals'];
