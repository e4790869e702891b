import { z } from 'zod';
import type { GcsBucket, GcsObject } from './gcs-state.ts';

const dayMs = 86_400_000;

const rulesSchema = z.object({
  rule: z.array(
    z.object({
      action: z.object({ type: z.string() }),
      condition: z.record(z.string(), z.unknown()),
    }),
  ),
});

/** What is known of a condition; a rule that asks for anything else is carried out for nothing. */
const conditionSchema = z.strictObject({
  age: z.number(),
  matchesPrefix: z.array(z.string()).optional(),
});

/** Live objects that the bucket's rules delete at this time: by their age in whole days and the beginning of their names. */
export function overOf({ fields, live }: GcsBucket, nowMs: number): GcsObject[] {
  const rules = rulesSchema.safeParse(fields['lifecycle']).data?.rule ?? [];
  const conditions = rules.flatMap(({ action, condition }) => {
    const read = conditionSchema.safeParse(condition);
    return action.type === 'Delete' && read.success ? [read.data] : [];
  });
  return [...live.values()].filter(({ name, createdMs }) =>
    conditions.some(
      ({ age, matchesPrefix = [''] }) =>
        nowMs - createdMs >= age * dayMs && matchesPrefix.some((prefix) => name.startsWith(prefix)),
    ),
  );
}
