import { z } from 'zod';
import type { Amendments } from './structural-schema.ts';

const condition = z.object({
  type: z.string().regex(/^[A-Za-z]{1,60}$/),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,60}$/),
  message: z.string().max(8192),
  observedGeneration: z.number().int().min(0),
  lastTransitionTime: z.iso.datetime({ offset: true }),
});

/** What every status has. */
export const statusFields = {
  /** The version of the spec that the rest of the status speaks of. */
  observedGeneration: z.number().int().min(0).optional(),
  conditions: z.array(condition).max(32).optional(),
};

export const statusAmendments: Amendments = {
  '/conditions': { listKeys: ['type'] },
};
