import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { type BuildingId, parseBuildingId } from '@domicile/core/identities.ts';
import {
  type Environment,
  parsedBy,
  portSetting,
  readEnvironment,
} from '@domicile/runtime/environment.ts';
import { parse } from 'yaml';
import { z } from 'zod';
import { type DriversConfig, driverSettings, withPaths } from './drivers/driver-settings.ts';

export const agentSettings = z.object({
  GATEWAY_CONFIG: z.string().describe('Path of the configuration file, YAML.'),
  GATEWAY_ADMIN_HOST: z.string().default('127.0.0.1').describe('Address of the admin port.'),
  GATEWAY_ADMIN_PORT: portSetting.default(0).describe('Admin port; 0 takes a free one.'),
  GATEWAY_ALLOW_DROP: z
    .enum(['0', '1'])
    .default('0')
    .describe('1 lets an operator drop readings by POST /drop on the admin port.'),
});

const bytes = z.number().int().min(1);
const ms = z.number().int().min(1);

export const fileSchema = z.strictObject({
  building: parsedBy(parseBuildingId).describe(
    'The building; its first two letters are its country.',
  ),
  gateway: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
    .default('gateway')
    .describe('Name of this gateway in its building: the MQTT client id.'),
  dataDirectory: z.string().describe('Where the store and the commands are kept.'),
  store: z
    .strictObject({
      bytesMax: bytes.default(4 * 1024 ** 3).describe('What the store may take on disk.'),
      segmentBytesMax: bytes.default(8 * 1024 ** 2).describe('A segment is closed above this.'),
      whenFull: z
        .enum(['refuse', 'drop-oldest'])
        .default('refuse')
        .describe(
          'Refuse devices, or drop the oldest unsent readings; these stand in the account.',
        ),
      checkpointEveryMs: ms.default(2000).describe('How often acks of the cell are written down.'),
    })
    .prefault({}),
  uplink: z.strictObject({
    url: z
      .string()
      .regex(/^mqtts?:\/\//, 'expected mqtt:// or mqtts://')
      .describe('The cell.'),
    caFile: z.string().optional().describe('Certificate authority of the cell, PEM.'),
    certFile: z.string().optional().describe('Certificate of this gateway, PEM.'),
    keyFile: z.string().optional().describe('Its key, PEM.'),
    passwordFile: z
      .string()
      .optional()
      .describe('Password of the building, where the cell allows it.'),
    inFlightMax: z.number().int().min(2).max(1000).default(200).describe('Unacked messages.'),
    backfillPerSecond: z.number().int().min(1).default(2000).describe('Readings of the backlog.'),
    accountEveryMs: ms.default(60_000).describe('How often the account is told.'),
    connectTimeoutMs: ms.default(10_000).describe('How long a connection may take.'),
    reconnectMsMax: ms.default(10_000).describe('The longest wait between two connections.'),
    keepAliveSeconds: z.number().int().min(1).default(20).describe('MQTT keep-alive.'),
    drainTimeoutMs: ms.default(5000).describe('How long a stop waits for acks.'),
  }),
  drivers: driverSettings,
});

type ConfigFile = z.output<typeof fileSchema>;

export type StoreConfig = ConfigFile['store'];
export type UplinkConfig = ConfigFile['uplink'] & {
  readonly building: BuildingId;
  readonly gateway: string;
};

export interface AgentConfig {
  readonly building: BuildingId;
  readonly dataDirectory: string;
  readonly store: StoreConfig;
  readonly uplink: UplinkConfig;
  readonly drivers: DriversConfig;
  readonly admin: { readonly host: string; readonly port: number };
  readonly allowDrop: boolean;
}

/** Reads the environment and the file that it names. Throws `CONFIG_INVALID` with every fault at once. */
export async function readConfig(env: Environment = process.env): Promise<AgentConfig> {
  const read = readEnvironment(agentSettings, env);
  const text = await readFile(read.GATEWAY_CONFIG, 'utf8').catch((error: unknown) => {
    throw new PlatformError('CONFIG_INVALID', 'Cannot read the file that GATEWAY_CONFIG names', {
      cause: error,
    });
  });
  return {
    ...parseConfig(text, dirname(resolve(read.GATEWAY_CONFIG))),
    admin: { host: read.GATEWAY_ADMIN_HOST, port: read.GATEWAY_ADMIN_PORT },
    allowDrop: read.GATEWAY_ALLOW_DROP === '1',
  };
}

/** `directory` is what paths in the file are relative to. */
export function parseConfig(
  text: string,
  directory: string,
): Omit<AgentConfig, 'admin' | 'allowDrop'> {
  const result = fileSchema.safeParse(parse(text));
  if (!result.success) {
    const faults = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new PlatformError('CONFIG_INVALID', `Cannot read settings: ${faults.join('; ')}`, {
      details: { faults },
    });
  }
  const { building, gateway, dataDirectory, store, uplink, drivers } = result.data;
  const at = (path: string | undefined) => path && resolve(directory, path);
  const { caFile, certFile, keyFile, passwordFile } = uplink;
  return {
    building,
    dataDirectory: resolve(directory, dataDirectory),
    store,
    uplink: {
      ...uplink,
      building,
      gateway,
      caFile: at(caFile),
      certFile: at(certFile),
      keyFile: at(keyFile),
      passwordFile: at(passwordFile),
    },
    drivers: withPaths(drivers, (path) => resolve(directory, path)),
  };
}
