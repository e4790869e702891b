import { z } from 'zod';
import { statusAmendments, statusFields } from './status-schema.ts';
import type { Amendments } from './structural-schema.ts';

const count = z.number().int().min(0);

/** `status` of the resource `Cell`, written by the operator alone. */
export const cellStatusSchema = z.object({
  ...statusFields,
  country: z.string().optional(),
  /** Replicas that are ready, of those wanted: `17/17`. */
  replicas: z.string().optional(),
  /** What was found when it was last looked where data lies. */
  residency: z
    .object({
      brokers: z
        .array(z.object({ id: count, rack: z.string().optional() }))
        .max(200)
        .optional(),
      buckets: z
        .array(z.object({ name: z.string(), location: z.string() }))
        .max(8)
        .optional(),
      nodes: z
        .array(z.object({ name: z.string(), region: z.string().optional() }))
        .max(200)
        .optional(),
    })
    .optional(),
  /** What must be changed by hand and how, one entry each. */
  evidence: z.array(z.string().max(1024)).max(32).optional(),
});

export type CellStatus = z.output<typeof cellStatusSchema>;

export const cellStatusAmendments: Amendments = {
  ...statusAmendments,
};
