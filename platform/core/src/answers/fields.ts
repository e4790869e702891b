import { z } from 'zod';

/** What the answers of several services are made of. */

/** RFC 3339 with `Z`. */
export const time = z.iso.datetime();

export const count = z.number().int().min(0);

export const unit = z.string().describe('UCUM code');

export const next = z
  .string()
  .nullable()
  .describe('The `cursor` of the next page; null when there is none');

export function listOf<Row extends z.ZodType>(row: Row) {
  return z.object({ rows: z.array(row), next });
}
