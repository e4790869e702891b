import { z } from 'zod';

/** What the cells answer, as far as the page reads it (docs/api). Times are RFC 3339, units UCUM codes. */

export const buildingSchema = z.object({
  id: z.string(),
  country: z.string(),
  client: z.string(),
  timeZone: z.string(),
  name: z.string().nullish(),
});

const metricSchema = z.object({ name: z.string(), unit: z.string() });
const deviceSchema = z.object({ id: z.string(), type: z.string(), metrics: z.array(metricSchema) });
const roomSchema = z.object({ id: z.string(), devices: z.array(deviceSchema) });
const floorSchema = z.object({ id: z.string(), rooms: z.array(roomSchema) });

export const buildingPlanSchema = buildingSchema.extend({ floors: z.array(floorSchema) });

const figure = z.number().nullable();

export const summaryRowSchema = z.object({
  windowStart: z.string(),
  windowEnd: z.string(),
  level: z.string(),
  id: z.string(),
  metric: z.string(),
  unit: z.string().nullable(),
  count: z.number(),
  avg: figure,
  min: figure,
  max: figure,
  p50: figure.optional(),
  p95: figure.optional(),
  revision: z.number(),
  final: z.boolean(),
});

export const latestRowSchema = z.object({
  device: z.string(),
  room: z.string().nullable(),
  metric: z.string(),
  value: z.union([z.number(), z.boolean(), z.string()]),
  unit: z.string().nullable(),
  measuredAt: z.string(),
});

export const deviceRowSchema = z.object({
  device: z.string(),
  room: z.string().nullable(),
  type: z.string(),
  state: z.enum(['seen', 'silent', 'never-seen']),
  lastAt: z.string().nullish(),
  /** What the device or its gateway last said of its connection. */
  reported: z.enum(['online', 'offline']).nullish(),
  everyMs: z.number(),
});

const range = z.tuple([z.number(), z.number()]);

export const accountRowSchema = z.object({
  device: z.string(),
  boot: z.string().nullable(),
  received: z.number(),
  duplicates: z.number(),
  missing: z.array(range),
  complete: z.boolean(),
});

const count = z.number().default(0);

export const accountTotalsSchema = z.object({
  expected: count,
  received: count,
  duplicates: count,
  quarantined: count,
  missing: count,
  unnumbered: count,
  unreadable: count,
  landed: z.number().nullish(),
  expired: z.number().nullish(),
});

/** RFC 9457. */
export const problemSchema = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
});

export type Building = z.output<typeof buildingSchema>;
export type BuildingPlan = z.output<typeof buildingPlanSchema>;
export type SummaryRow = z.output<typeof summaryRowSchema>;
export type LatestRow = z.output<typeof latestRowSchema>;
export type DeviceRow = z.output<typeof deviceRowSchema>;
export type AccountRow = z.output<typeof accountRowSchema>;
export type AccountTotals = z.output<typeof accountTotalsSchema>;

export interface Account {
  readonly totals: AccountTotals;
  readonly rows: readonly AccountRow[];
}
