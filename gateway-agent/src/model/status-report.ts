import { z } from 'zod';

const at = z.string();

/** What an agent says of itself: ids, times and counts, never readings. `GET /status` of the admin port; times are RFC 3339. */
export const statusReportSchema = z.object({
  version: z.string(),
  building: z.string(),
  gateway: z.string(),
  at,
  startedAt: at,
  link: z.object({
    connected: z.boolean(),
    /** When that began. */
    since: at.optional(),
    /** The cell, without credentials. */
    url: z.string(),
    /** Why it went last, or did not come. */
    reason: z.string().optional(),
  }),
  /** Readings that the cell acked since the start, and lately (10 s). */
  lanes: z.array(z.object({ lane: z.string(), readings: z.number(), perSecond: z.number() })),
  store: z.object({
    boot: z.string(),
    next: z.number(),
    bytes: z.number(),
    bytesMax: z.number(),
    unsent: z.array(z.object({ from: z.number(), to: z.number() })),
    unsentRecords: z.number(),
    oldestUnsentAt: at.optional(),
    diskFreeBytes: z.number().optional(),
    /** Until the store or the disk is full if the cell takes nothing, at the rate of the last ten minutes. */
    daysLeft: z.number().optional(),
  }),
  devices: z.array(
    z.object({
      device: z.string(),
      /** `unheard`: known by its numbers, and silent since the agent started. */
      state: z.enum(['seen', 'silent', 'unheard']),
      lastAt: at.optional(),
      /** Since the start. */
      readings: z.number(),
      own: z.object({ boot: z.string(), next: z.number() }).optional(),
      passed: z.object({ boot: z.string(), next: z.number() }).optional(),
    }),
  ),
  dropped: z.array(
    z.object({
      device: z.string(),
      boot: z.string(),
      from: z.number(),
      to: z.number(),
      reason: z.string(),
    }),
  ),
  drivers: z.array(z.object({ name: z.string(), port: z.number().optional() })),
  certificate: z
    .object({
      until: at,
      daysLeft: z.number(),
      state: z.enum(['good', 'due', 'late', 'ended']),
      issuer: z.string(),
    })
    .optional(),
  /** Why the last enrolment or renewal failed; absent after one that did not. */
  enrolment: z.object({ at, reason: z.string() }).optional(),
  /** The last ones, newest first. */
  errors: z.array(z.object({ at, what: z.string(), count: z.number() })),
});

export type StatusReport = z.output<typeof statusReportSchema>;

const silentAfterMsMin = 60_000;
const silentAfterPeriods = 5;

/** A device is silent after five of its usual periods, and never before a minute. */
export function isSilent(
  { lastMs, everyMs }: { readonly lastMs: number; readonly everyMs: number | undefined },
  nowMs: number,
): boolean {
  return nowMs - lastMs > Math.max(silentAfterMsMin, silentAfterPeriods * (everyMs ?? 0));
}

/** The usual period, led along by each new one, so that a single gap does not change it much. */
export function nextPeriodMs(everyMs: number | undefined, gapMs: number): number {
  return everyMs === undefined ? gapMs : everyMs + (gapMs - everyMs) / 8;
}
