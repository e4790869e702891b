import { levels } from '@domicile/core/summary.ts';
import { z } from 'zod';

/** What the serving API answers. Times are RFC 3339 with `Z`, units UCUM codes. */

const time = z.iso.datetime();
const next = z
  .string()
  .nullable()
  .describe('The `cursor` of the next page; null when there is none');

function listOf<Row extends z.ZodType>(row: Row) {
  return z.object({ rows: z.array(row), next });
}

export const buildingRow = z.object({
  id: z.string(),
  country: z.string(),
  client: z.string(),
  timeZone: z.string(),
  name: z.string().optional(),
});

export const buildingList = listOf(buildingRow);

export const buildingPlan = buildingRow.extend({
  floors: z.array(
    z.object({
      id: z.string(),
      rooms: z.array(
        z.object({
          id: z.string(),
          devices: z.array(
            z.object({
              id: z.string(),
              type: z.string(),
              metrics: z.array(z.object({ name: z.string(), unit: z.string() })),
            }),
          ),
        }),
      ),
    }),
  ),
});

export const intervals = ['PT1M', 'PT15M', 'PT1H', 'P1D'] as const;
export type Interval = (typeof intervals)[number];

export const summaryRow = z.object({
  windowStart: time,
  windowEnd: time,
  level: z.enum(levels),
  id: z.string(),
  metric: z.string(),
  unit: z.string(),
  count: z.number(),
  sum: z.number(),
  avg: z.number(),
  min: z.number(),
  max: z.number(),
  stddev: z.number().describe('Of the population'),
  p50: z.number().describe('Within 1 %'),
  p95: z.number().describe('Within 1 %'),
  revision: z.number().describe('Grows with every change of the window'),
  final: z.boolean().describe('The window has closed; late readings may still revise it'),
});

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

export const latestRow = z.object({
  device: z.string(),
  room: z.string(),
  metric: z.string(),
  value: z.union([z.number(), z.boolean(), z.string()]),
  unit: z.string(),
  measuredAt: time,
  receivedAt: time,
});

export const latestList = listOf(latestRow);

export const deviceRow = z.object({
  device: z.string(),
  room: z.string(),
  type: z.string(),
  state: z.enum(['seen', 'silent', 'never-seen']),
  lastAt: time.nullable().describe('When its newest reading was measured'),
  everyMs: z.number().describe('How often a device of this type speaks'),
  reported: z
    .enum(['online', 'offline'])
    .nullable()
    .describe('What the device or its gateway last said of its connection; null: nothing'),
});

export const deviceList = listOf(deviceRow);

const count = z.number().int();

export const accountRow = z.object({
  device: z.string(),
  boot: z.string(),
  first: count.describe('The lowest number of the period'),
  last: count.describe('The highest number of the period'),
  received: count,
  duplicates: count,
  missing: z.array(z.tuple([count, count])).describe('Ranges of numbers, both ends included'),
  complete: z.boolean().describe('The gateway has said that nothing more is to come up to `last`'),
});

export const accountAnswer = z.object({
  totals: z.object({
    expected: count.describe('received + quarantined (numbered) + missing'),
    received: count,
    duplicates: count,
    quarantined: count,
    missing: count,
    unnumbered: count,
    unreadable: count,
    landed: count.describe('Counted from the manifests of the landing zone'),
  }),
  rows: z.array(accountRow),
  next,
});

export const residencyAnswer = z.object({
  country: z.string(),
  checkedAt: time,
  verified: z.boolean(),
  items: z.array(
    z.object({ what: z.string(), where: z.string(), evidence: z.string(), ok: z.boolean() }),
  ),
});

export const dataEndpointList = listOf(
  z.object({ api: z.string(), endpoint: z.string(), class: z.string(), href: z.string() }),
);

export const dataFileList = listOf(
  z.object({ path: z.string(), bytes: z.number(), href: z.string() }),
);

export type BuildingRow = z.output<typeof buildingRow>;
export type BuildingPlan = z.output<typeof buildingPlan>;
export type SummaryRow = z.output<typeof summaryRow>;
export type LatestRow = z.output<typeof latestRow>;
export type DeviceRow = z.output<typeof deviceRow>;
export type AccountRow = z.output<typeof accountRow>;
export type AccountAnswer = z.output<typeof accountAnswer>;
export type AccountTotals = AccountAnswer['totals'];
export type ResidencyAnswer = z.output<typeof residencyAnswer>;
