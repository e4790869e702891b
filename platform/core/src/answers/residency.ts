import { z } from 'zod';
import { time } from './fields.ts';

/** What the serving API answers of residency. */
export const residencyAnswer = z
  .object({
    country: z.string(),
    checkedAt: time,
    verified: z.boolean(),
    items: z.array(
      z.object({ what: z.string(), where: z.string(), evidence: z.string(), ok: z.boolean() }),
    ),
  })
  .describe('Where this cell keeps what, and when that was last proved');

export type ResidencyAnswer = z.output<typeof residencyAnswer>;
