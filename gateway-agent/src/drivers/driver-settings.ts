import { z } from 'zod';
import { bacnetSettings } from './bacnet/bacnet-settings.ts';
import { httpSettings, resolveHttpPaths } from './http/http-settings.ts';
import { modbusSettings } from './modbus/modbus-settings.ts';
import { mqttSettings, resolveMqttPaths } from './mqtt/mqtt-settings.ts';
import { replaySettings } from './replay/replay-settings.ts';
import { resolveSimulatePaths, simulateSettings } from './simulate/simulate-settings.ts';

/** The drivers of an agent, as the configuration file has them. */
export const driverSettings = z
  .strictObject({
    mqtt: mqttSettings.optional(),
    http: httpSettings.optional(),
    modbus: modbusSettings.optional(),
    bacnet: bacnetSettings.optional(),
    replay: replaySettings.optional(),
    simulate: simulateSettings.optional(),
  })
  .default({});

export type DriversConfig = z.output<typeof driverSettings>;

/** `at` makes a path of the configuration file absolute. */
export function withPaths(
  { mqtt, http, modbus, bacnet, replay, simulate }: DriversConfig,
  at: (path: string) => string,
): DriversConfig {
  return {
    ...(mqtt && { mqtt: resolveMqttPaths(mqtt, at) }),
    ...(http && { http: resolveHttpPaths(http, at) }),
    ...(modbus && { modbus }),
    ...(bacnet && { bacnet }),
    ...(replay && { replay: { mappingFile: at(replay.mappingFile) } }),
    ...(simulate && { simulate: resolveSimulatePaths(simulate, at) }),
  };
}
