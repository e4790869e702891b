import { z } from 'zod';

// What contracts §4 says of each answer, for the description. The services behind build theirs alike.

const time = z.iso.datetime({ offset: true });
const next = z.string().nullable().describe('The `cursor` of the next page; null at the end');
const count = z.number().int().min(0);
const unit = z.string().describe('UCUM code');

function listOf<Row extends z.ZodType>(row: Row) {
  return z.object({ rows: z.array(row), next });
}

export const building = z
  .object({
    id: z.string().describe('Begins with its country'),
    country: z.string(),
    client: z.string(),
    timeZone: z.string().describe('IANA name'),
    name: z.string().optional(),
  })
  .describe('A building');

export const buildingList = listOf(building);

const device = z.object({
  id: z.string(),
  type: z.string(),
  metrics: z.array(z.object({ name: z.string(), unit })),
});
const room = z.object({ id: z.string(), devices: z.array(device) });

export const buildingPlan = building
  .extend({ floors: z.array(z.object({ id: z.string(), rooms: z.array(room) })) })
  .describe('A building with its floors, rooms, devices and metrics');

export const summary = z
  .object({
    windowStart: time,
    windowEnd: time,
    level: z.enum(['building', 'floor', 'room', 'device']),
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
  interval: z.enum(['PT1M', 'PT15M', 'PT1H', 'P1D']),
  rows: z.array(summary),
  through: time.nullable().describe('Up to where in event time the answer speaks'),
  next,
});

export const latest = z
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

export const latestList = listOf(latest);

export const deviceState = z
  .object({
    device: z.string(),
    room: z.string(),
    type: z.string(),
    state: z.enum(['seen', 'silent', 'never-seen']),
    lastAt: time.nullable(),
    everyMs: count.describe('How often a device of this type speaks'),
  })
  .describe('Whether a device speaks as it should');

export const deviceList = listOf(deviceState);

export const accountRow = z
  .object({
    device: z.string(),
    boot: z.string(),
    first: count,
    last: count,
    received: count,
    duplicates: count,
    missing: z.array(z.array(count).length(2)).describe('Ranges, both ends included'),
    complete: z.boolean().describe('Nothing more is to come up to `last`'),
  })
  .describe('One numbering of one device');

export const account = z
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
    }),
    rows: z.array(accountRow),
    next,
  })
  .describe('Where every reading of a period has gone');

export const settable = z
  .record(z.string(), z.union([z.number(), z.boolean(), z.string()]))
  .describe('Metric to value');

export const commandRequest = z.object({ set: settable, expiresAt: time.optional() });

const state = z.enum([
  'accepted',
  'delivered',
  'applying',
  'applied',
  'failed',
  'expired',
  'unknown',
]);

export const command = z
  .object({
    id: z.string(),
    device: z.string(),
    set: settable,
    state,
    at: time,
    history: z.array(z.object({ state, at: time, reason: z.string().optional() })),
  })
  .describe('A command; each state is somebody’s acknowledged word');

export const reading = z
  .object({
    building: z.string(),
    floor: z.string(),
    room: z.string(),
    device: z.string(),
    metric: z.string(),
    unit,
    measuredAt: time,
    receivedAt: time,
    value: z.number().nullable().describe('Booleans are 0 and 1; null if it is text'),
    text: z.string().nullable(),
    boot: z.string().nullable(),
    seq: count.nullable(),
    timeSource: z.enum(['device', 'gateway', 'cell']),
    kafkaPartition: count,
    kafkaOffset: count,
  })
  .describe('One value of one reading, as in the landing zone');

export const readingList = listOf(reading);

export const analysis = z
  .looseObject({ name: z.string(), description: z.string() })
  .describe('A ready-made analysis and its parameters');

export const analysisList = z.looseObject({ rows: z.array(analysis) });

export const analysisAnswer = z
  .looseObject({ rows: z.array(z.record(z.string(), z.unknown())) })
  .describe('The rows of an analysis; their columns are described with it');

export const dataEndpointList = listOf(
  z.object({
    api: z.string(),
    endpoint: z.string(),
    class: z.string().describe('What the files hold, by who may see it'),
    href: z.string(),
  }),
);

export const dataFileList = listOf(z.object({ path: z.string(), bytes: count, href: z.string() }));

export const residency = z
  .object({
    country: z.string(),
    checkedAt: time,
    verified: z.boolean(),
    items: z.array(
      z.object({
        what: z.string(),
        where: z.string(),
        evidence: z.string(),
        ok: z.boolean(),
      }),
    ),
  })
  .describe('Where this cell keeps what, and when that was last proved');

export const problem = z
  .object({
    type: z.string().describe('`/problems/{code}`'),
    title: z.string(),
    status: z.number().int(),
    code: z.string().describe('Stable; programs go by it'),
    detail: z.string(),
    errors: z
      .array(z.object({ detail: z.string(), pointer: z.string() }))
      .optional()
      .describe('What is wrong, and where: JSON pointers such as `#/query/from`'),
    cell: z.string().optional().describe('The address of the cell that may answer'),
  })
  .describe('RFC 9457 problem details');
