import { z } from 'zod';
import { isZone } from '../../model/local-time.ts';
import { faultSettings } from '../../model/simulation/faults.ts';
import { duration, rooms } from '../setting-types.ts';

export const simulateSettings = z.strictObject({
  rooms: rooms.prefault('r1[01-25]').describe('Rooms, each with the devices of roomType.'),
  roomType: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/), z.string())
    .default({ air: 'air-quality', light: 'light-meter', door: 'contact', presence: 'presence' })
    .describe('End of the device id: its device type.'),
  valuesFile: z
    .string()
    .optional()
    .describe('Values file that declares this building (docs/api/values.md): its devices instead.'),
  every: duration.default(10_000).describe('How often a device speaks.'),
  history: z
    .union([z.literal('none').transform(() => 0), duration])
    .default(3_600_000)
    .describe('How far back a first start begins; none: now.'),
  seed: z.number().int().min(0).default(1).describe('Another seed is another building.'),
  timeZone: z
    .string()
    .refine(isZone, 'expected an IANA time zone such as Europe/Berlin')
    .optional()
    .describe('Of the building’s days; absent: that of the values file, else UTC.'),
  faults: faultSettings.prefault({}).describe('How often what goes wrong.'),
});

export type SimulateSettings = z.output<typeof simulateSettings>;

export function resolveSimulatePaths(
  settings: SimulateSettings,
  at: (path: string) => string,
): SimulateSettings {
  const { valuesFile } = settings;
  return { ...settings, ...(valuesFile !== undefined && { valuesFile: at(valuesFile) }) };
}
