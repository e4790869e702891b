import { z } from 'zod';
import type { MetricSource } from '../../model/replay.ts';
import { duration, rooms } from '../setting-types.ts';

const source = z.union([
  z.string().transform((column): MetricSource => ({ column, as: 'number' })),
  z.strictObject({ column: z.string(), as: z.enum(['number', 'boolean', 'change']) }),
]);

/** A mapping file: which recordings, how they are laid in time, and which device says what of them. */
export const mappingSchema = z.strictObject({
  /** Recordings, one after the other; relative to the mapping file. */
  files: z.array(z.string()).min(1).describe('Recordings, in the order of their time.'),
  rowEvery: duration.default(60_000).describe('How far apart the rows were recorded.'),
  every: duration.default(10_000).describe('How often a device speaks.'),
  speed: z.number().positive().default(6).describe('Recorded time that passes per time.'),
  history: duration.default(3 * 3_600_000).describe('How far back a first start begins.'),
  rooms: rooms.describe('The rooms, each another stretch of the recordings.'),
  devices: z
    .record(z.string(), z.record(z.string(), source))
    .describe('By suffix of the device id: its metrics and where they come from.'),
  thermostats: rooms
    .optional()
    .describe('Rooms with a simulated thermostat `{room}-thermostat`, which takes commands.'),
});

export type Mapping = z.output<typeof mappingSchema>;
