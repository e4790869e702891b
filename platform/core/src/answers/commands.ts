import { z } from 'zod';
import { commandStates } from '../command.ts';

/** What the command service takes and answers. Times are RFC 3339. */

/** A format alone: what is no time is refused by the service, in its own words. */
const time = z.string().meta({ format: 'date-time' });

export const settableValue = z.union([z.number(), z.boolean(), z.string().max(256)]);

export const metricsSetMax = 64;

export const commandBody = z.strictObject({
  set: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'expected the name of a metric'),
      settableValue,
    )
    .refine((set) => Object.keys(set).length > 0, 'expected at least one metric')
    .refine((set) => Object.keys(set).length <= metricsSetMax, `at most ${metricsSetMax} metrics`)
    .describe('Metric to value'),
  expiresAt: time
    .optional()
    .describe('From then on it is no longer delivered. Absent: 5 minutes from now'),
});

const state = z.enum(commandStates);

export const commandAnswer = z
  .object({
    id: z.string(),
    device: z.string(),
    set: z.record(z.string(), settableValue).describe('Metric to value'),
    state,
    at: time.describe('When that state came about'),
    expiresAt: time.describe('From then on it is no longer delivered'),
    history: z.array(z.object({ state, at: time, reason: z.string().optional() })),
  })
  .describe('A command; each state is somebody’s acknowledged word');

export type CommandBody = z.output<typeof commandBody>;
export type CommandAnswer = z.output<typeof commandAnswer>;
