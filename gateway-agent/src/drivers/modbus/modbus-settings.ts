import { z } from 'zod';
import { registerMapSchema } from '../../model/modbus-registers.ts';
import { deviceId, duration, ms } from '../setting-types.ts';

const device = z.strictObject({
  device: deviceId.describe('Its id on the platform.'),
  unit: z.number().int().min(0).max(255).default(1).describe('Unit id behind the address.'),
  every: duration.default(10_000).describe('How often it is asked.'),
  map: z.string().optional().describe('Name of a map in maps.'),
  registers: registerMapSchema.optional().describe('Its registers, or those beside its map.'),
});

const line = z.strictObject({
  host: z.string().describe('Address of the device, or of the gateway before it.'),
  port: z.number().int().min(1).max(65_535).default(502).describe('TCP port.'),
  timeoutMs: ms.default(2000).describe('How long a connection or an answer may take.'),
  retriesMax: z.number().int().min(0).max(10).default(1).describe('Within one question.'),
  backOffMsMax: ms.default(60_000).describe('The longest wait before a silent device is asked.'),
  devices: z.array(device).min(1).max(247).describe('Devices on this line, by their units.'),
});

export const modbusSettings = z
  .strictObject({
    maps: z
      .record(z.string(), registerMapSchema)
      .default({})
      .describe('Registers of a kind of device, by a name of yours.'),
    lines: z.array(line).min(1).max(200).describe('Modbus TCP connections.'),
  })
  .superRefine(({ maps, lines }, context) => {
    const seen = new Set<string>();
    for (const [index, { devices }] of lines.entries())
      for (const [place, { device: id, map, registers }] of devices.entries()) {
        const path = ['lines', index, 'devices', place];
        const add = (message: string, ...more: string[]) =>
          context.addIssue({ code: 'custom', path: [...path, ...more], message });
        if (map === undefined && !registers) add('needs a map or registers');
        if (map !== undefined && !Object.hasOwn(maps, map)) add(`there is no map ${map}`, 'map');
        if (seen.has(id)) add(`${id} is there already`, 'device');
        seen.add(id);
      }
  });

export type ModbusSettings = z.output<typeof modbusSettings>;
export type ModbusLine = ModbusSettings['lines'][number];
