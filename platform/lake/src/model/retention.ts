import { z } from 'zod';
import type { LandedStream } from './landing-key.ts';

const dayMs = 86_400_000;
const digits = z.string().regex(/^\d+$/);

/** How long landed files are kept. They go by a rule of their bucket; what is written here says which of them no longer count. */
const retentionSchema = z.object({
  /** From the receipt of a file's newest reading on; null: for ever. */
  days: z.number().int().min(1).nullable(),
  /** Partition → the first offset whose manifest has not expired: a longer retention brings nothing back. */
  expired: z.record(digits, digits),
});

export type Retention = z.output<typeof retentionSchema>;

export const keptForEver: Retention = { days: null, expired: {} };

export function retentionKey(stream: LandedStream): string {
  return `landing/${stream}/v1/_retention/latest.json`;
}

/** For ever, for what cannot be read: a file that is not there is then missed. */
export function parseRetention(content: Buffer | undefined): Retention {
  try {
    return retentionSchema.parse(JSON.parse(content?.toString() ?? ''));
  } catch {
    return keptForEver;
  }
}

/** Files whose newest reading was received before it have expired. A store's rule counts from their creation, so from later. */
export function keptSinceMs(days: number | null | undefined, nowMs: number): number {
  return typeof days === 'number' ? nowMs - days * dayMs : -Infinity;
}
