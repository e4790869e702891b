import { z } from 'zod';
import { statusAmendments, statusFields } from './status-schema.ts';
import type { Amendments } from './structural-schema.ts';

const count = z.number().int().min(0);

/** `status` of the resource `Building`, written by the operator alone. */
export const buildingStatusSchema = z.object({
  ...statusFields,
  /** The country of the cell that serves it. */
  cell: z.string().optional(),
  devices: z
    .object({
      expected: count.optional(),
      seen: count.optional(),
      /** Both, for people: `98/100`; `?/100` while nobody knows. */
      text: z.string().optional(),
    })
    .optional(),
  /** Secret beside the resource with what a gateway comes in by. */
  credentials: z.object({ secret: z.string().optional() }).optional(),
  erasure: z
    .object({
      phase: z.enum(['Refused', 'Exporting', 'Erasing', 'Waiting', 'Erased']).optional(),
      startedAt: z.iso.datetime({ offset: true }).optional(),
      /** Not before then is it gone from Kafka's log and from what the store can bring back. */
      until: z.iso.datetime({ offset: true }).optional(),
      objects: count.optional(),
      rows: count.optional(),
      /** Where the signed certificate of erasure is kept. */
      certificate: z.string().optional(),
    })
    .optional(),
});

export type BuildingStatus = z.output<typeof buildingStatusSchema>;

export const buildingStatusAmendments: Amendments = {
  ...statusAmendments,
};
