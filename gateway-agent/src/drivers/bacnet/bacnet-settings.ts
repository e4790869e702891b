import { z } from 'zod';
import { objectMapSchema } from '../../model/bacnet-objects.ts';
import { deviceId, duration, listenPort, ms } from '../setting-types.ts';

const device = z.strictObject({
  device: deviceId.describe('Its id on the platform.'),
  address: z
    .string()
    .regex(
      /^\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?$/,
      'expected an IPv4 address, and a port if it is not 47808',
    )
    .describe('IPv4 address, with a port if it is not 47808.'),
  every: duration.default(60_000).describe('How often it is asked, changes of value or not.'),
  map: z.string().optional().describe('Name of a map in maps.'),
  objects: objectMapSchema.optional().describe('Its objects, or those beside its map.'),
  cov: z
    .enum(['none', 'confirmed', 'unconfirmed'])
    .default('none')
    .describe(
      'Also subscribe to changes of value; a confirmed one is confirmed when it is on disk.',
    ),
});

export const bacnetSettings = z
  .strictObject({
    host: z.string().default('0.0.0.0').describe('Address of the interface to the devices.'),
    port: listenPort.default(47_808).describe('UDP port.'),
    timeoutMs: ms.default(3000).describe('How long an answer may take.'),
    retriesMax: z.number().int().min(0).max(10).default(2).describe('Within one question.'),
    backOffMsMax: ms.default(300_000).describe('The longest wait before a silent device is asked.'),
    covLifetimeSeconds: z
      .number()
      .int()
      .min(10)
      .max(86_400)
      .default(600)
      .describe('Of a subscription; it is renewed after half of it.'),
    maps: z
      .record(z.string(), objectMapSchema)
      .default({})
      .describe('Objects of a kind of device, by a name of yours.'),
    devices: z.array(device).min(1).max(1000).describe('Devices, by their addresses.'),
  })
  .superRefine(({ maps, devices }, context) => {
    const seen = new Set<string>();
    for (const [index, { device: id, map, objects }] of devices.entries()) {
      const add = (message: string, ...more: string[]) =>
        context.addIssue({ code: 'custom', path: ['devices', index, ...more], message });
      if (map === undefined && !objects) add('needs a map or objects');
      if (map !== undefined && !Object.hasOwn(maps, map)) add(`there is no map ${map}`, 'map');
      if (seen.has(id)) add(`${id} is there already`, 'device');
      seen.add(id);
    }
  });

export type BacnetSettings = z.output<typeof bacnetSettings>;
export type BacnetDevice = BacnetSettings['devices'][number];
