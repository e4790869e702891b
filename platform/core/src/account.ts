import { z } from 'zod';

/** `[first, last]`, both included. */
export type NumberRange = readonly [first: number, last: number];

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const boot = z.string().regex(/^[!-~]{1,40}$/);
const device = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

/** Payload of `v1/{building}/gateway/account`: how far each numbering went (docs/api/mqtt.md). */
export const accountReportPayload = z.object({
  at: z.union([z.string().max(64), z.number()]).optional(),
  devices: z
    .array(
      z.object({
        device,
        boot,
        /** The number that the next reading will get: `next` readings were numbered. */
        next: count,
        dropped: z
          .array(z.object({ from: count, to: count, reason: z.string().max(100) }))
          .max(1000)
          .default([]),
        previous: z.object({ boot, next: count }).optional(),
      }),
    )
    .max(10_000),
});

export type AccountReport = z.output<typeof accountReportPayload>;

/**
 * A record of the `account` stream: what changed in the account of a building since the record before. Records add up:
 * ranges by union, counts by sum. Time is event time, in windows of `accountWindowMs`.
 */
export interface AccountRecord {
  readonly building: string;
  readonly entries: readonly AccountEntry[];
}

export const accountWindowMs = 60_000;

/** Changes of one numbering in one window of event time; `boot` null: readings without a number. */
export interface AccountEntry {
  readonly device: string;
  readonly boot: string | null;
  readonly windowStartMs: number;
  /** Numbers newly taken in, as ranges. */
  readonly received: readonly NumberRange[];
  /** Numbers newly quarantined as whole readings. */
  readonly quarantined: readonly NumberRange[];
  /** How many repeats were removed. */
  readonly duplicates: number;
  /** Readings without a number that were taken in. */
  readonly unnumbered: number;
  /** Payloads and readings that could not be read or judged and had no number of their own: none, or another's. */
  readonly unreadable: number;
  /** What the gateway reported of this numbering, if this record came of a report. */
  readonly reported?: {
    readonly next: number;
    readonly dropped: readonly NumberRange[];
    /** A later numbering has begun: `next` is the last word. */
    readonly closed: boolean;
  };
}
