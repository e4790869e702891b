import { commandStates } from '@domicile/core/command.ts';
import { z } from 'zod';

/** What the command service takes and answers. Times are RFC 3339. */

const time = z.string();

export const settableValue = z.union([z.number(), z.boolean(), z.string().max(256)]);

export const metricsSetMax = 64;

export const commandBody = z.strictObject({
  set: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'expected the name of a metric'),
      settableValue,
    )
    .refine((set) => Object.keys(set).length > 0, 'expected at least one metric')
    .refine((set) => Object.keys(set).length <= metricsSetMax, `at most ${metricsSetMax} metrics`),
  expiresAt: z
    .string()
    .optional()
    .describe('RFC 3339; from then on it is no longer delivered. Absent: 5 minutes from now'),
});

export const commandAnswer = z.object({
  id: z.string(),
  device: z.string(),
  set: z.record(z.string(), settableValue),
  state: z.enum(commandStates),
  at: time.describe('When that state came about'),
  expiresAt: time,
  history: z.array(
    z.object({ state: z.enum(commandStates), at: time, reason: z.string().optional() }),
  ),
});

export type CommandBody = z.output<typeof commandBody>;
export type CommandAnswer = z.output<typeof commandAnswer>;
