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
import { z } from 'zod';
import { readFileBy } from './configuration/read-file.ts';
import { type DriversConfig, driverSettings, withPaths } from './drivers/driver-settings.ts';
import type { ConfigFault } from './model/config-faults.ts';
import { type Inheritance, inheritanceSettings, readInheritance } from './upgrade/inheritance.ts';

export const agentSettings = z.object({
  GATEWAY_CONFIG: z
    .string()
    .default('/etc/domicile/gateway.yaml')
    .describe('Path of the configuration file, YAML.'),
  GATEWAY_ADMIN_HOST: z.string().optional().describe('Address of the admin port, before the file.'),
  GATEWAY_ADMIN_PORT: portSetting.optional().describe('Admin port, before the file.'),
  GATEWAY_LOG: z
    .enum(['json', 'text'])
    .optional()
    .describe('How log lines are written; unset: text on a terminal, else JSON.'),
  GATEWAY_ALLOW_DROP: z
    .enum(['0', '1'])
    .default('0')
    .describe('1 lets an operator drop readings by POST /drop on the admin port.'),
});

const bytes = z.number().int().min(1);
const ms = z.number().int().min(1);

const portNumber = z.number().int().min(0).max(65_535);

const enrolmentSchema = z.strictObject({
  url: z
    .string()
    .regex(/^https:\/\/[^/?#]+(\/[^?#]*)?$/, 'expected https://, a host and perhaps a path')
    .describe('The issuer of the cell; /.well-known/est is added (RFC 7030).'),
  tokenFile: z
    .string()
    .describe('The enrolment token of the building; used once, may be removed after that.'),
  caFile: z
    .string()
    .optional()
    .describe('Certificate authority of the issuer, PEM; absent: uplink.caFile.'),
});

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
      freeBytesMin: bytes
        .default(64 * 1024 ** 2)
        .describe('What the store leaves free on the disk.'),
      ageMaxDays: z
        .number()
        .min(1)
        .optional()
        .describe('Unsent readings are dropped when older, into the account; absent: never.'),
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
    enrolment: enrolmentSchema
      .optional()
      .describe('How this gateway gets its certificate, and renews it in time.'),
    inFlightMax: z.number().int().min(2).max(1000).default(200).describe('Unacked messages.'),
    backfillPerSecond: z.number().int().min(1).default(2000).describe('Readings of the backlog.'),
    accountEveryMs: ms.default(60_000).describe('How often the account is told.'),
    connectTimeoutMs: ms.default(10_000).describe('How long a connection may take.'),
    reconnectMsMax: ms.default(10_000).describe('The longest wait between two connections.'),
    keepAliveSeconds: z.number().int().min(1).default(20).describe('MQTT keep-alive.'),
    drainTimeoutMs: ms.default(5000).describe('How long a stop waits for acks.'),
  }),
  drivers: driverSettings,
  clock: z
    .strictObject({
      syncedFile: z
        .string()
        .optional()
        .describe(
          'The clock counts as set when this file is there (/run/systemd/timesync/synchronized); absent: when it is past 2024.',
        ),
      waitMs: ms
        .default(600_000)
        .describe('How long readings that came before the clock was set wait for it.'),
    })
    .prefault({}),
  upgrade: z
    .strictObject({
      command: z
        .array(z.string())
        .min(1)
        .optional()
        .describe('Program and arguments of the next agent; absent: those of the running one.'),
      readyTimeoutMs: ms
        .default(30_000)
        .describe(
          'How long the next agent may take; then it is ended and the running one goes on.',
        ),
      leaveTimeoutMs: ms
        .default(60_000)
        .describe(
          'How long devices may take to go over; a silent one is left after half of it. Above twice their interval.',
        ),
    })
    .prefault({}),
  admin: z
    .strictObject({
      host: z
        .string()
        .default('127.0.0.1')
        .describe('Address of the status page, metrics and health; it asks for no password.'),
      port: portNumber
        .default(0)
        .describe('Its port; 0 takes a free one and writes it to addresses.json.'),
    })
    .prefault({}),
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
  readonly clock: ConfigFile['clock'];
  readonly upgrade: ConfigFile['upgrade'];
  readonly admin: { readonly host: string; readonly port: number };
  readonly allowDrop: boolean;
}

/**
 * Reads the environment and the file that it names, or `file`. What the environment says of the admin port goes before what
 * the file says. Throws `CONFIG_INVALID` with every fault at once.
 */
export async function readConfig(
  env: Environment = process.env,
  file?: string,
): Promise<AgentConfig> {
  const read = readEnvironment(agentSettings, env);
  const path = resolve(file ?? read.GATEWAY_CONFIG);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const why = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new PlatformError(
      'CONFIG_INVALID',
      `Cannot read ${path}${why}: name the configuration file as an argument or in GATEWAY_CONFIG`,
      { cause },
    );
  });
  const config = parseConfig(text, dirname(path), file ?? read.GATEWAY_CONFIG);
  return {
    ...config,
    admin: {
      host: read.GATEWAY_ADMIN_HOST ?? config.admin.host,
      port: read.GATEWAY_ADMIN_PORT ?? config.admin.port,
    },
    allowDrop: read.GATEWAY_ALLOW_DROP === '1',
  };
}

/** As `readConfig`, with the file that was typed, if one was. */
export function readCommandConfig(file: string | undefined): Promise<AgentConfig> {
  return readConfig(process.env, file);
}

/** Sockets and the part that this process was started with. Throws `CONFIG_INVALID`. */
export function readProcessInheritance(): Inheritance {
  return readInheritance(process.env, process.pid);
}

/** The environment of the agent that goes on in this one's place, with sockets for these drivers. */
export function successorEnvironment(names: readonly string[]): Environment {
  return { ...process.env, ...inheritanceSettings(names) };
}

/** As this process was started: what stands there now is what is run next. */
export function successorCommand(): readonly string[] {
  return [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
}

/** How log lines are written: of settings alone, so that a fault of the file can be told too. */
export function readLogForm(env: Environment = process.env): 'json' | 'text' {
  const wanted = env['GATEWAY_LOG'];
  if (wanted === 'json' || wanted === 'text') return wanted;
  return process.stdout.isTTY ? 'text' : 'json';
}

/**
 * `directory` is what paths in the file are relative to, `name` is what faults call it. Throws `CONFIG_INVALID` with every
 * fault at once, each with its line.
 */
export function parseConfig(
  text: string,
  directory: string,
  name = 'gateway.yaml',
): Omit<AgentConfig, 'allowDrop'> {
  const file = readFileBy(fileSchema, { text, name }, whatGoesTogether);
  const at = (path: string) => resolve(directory, path);
  return {
    ...file,
    dataDirectory: at(file.dataDirectory),
    uplink: uplinkOf(file, at),
    drivers: withPaths(file.drivers, at),
  };
}

function uplinkOf(
  { building, gateway, uplink }: ConfigFile,
  at: (path: string) => string,
): UplinkConfig {
  const { caFile, certFile, keyFile, passwordFile, enrolment } = uplink;
  return {
    ...uplink,
    building,
    gateway,
    caFile: caFile && at(caFile),
    certFile: certFile && at(certFile),
    keyFile: keyFile && at(keyFile),
    passwordFile: passwordFile && at(passwordFile),
    enrolment: enrolment && {
      ...enrolment,
      tokenFile: at(enrolment.tokenFile),
      caFile: enrolment.caFile && at(enrolment.caFile),
    },
  };
}

/** What the schema cannot say. */
function whatGoesTogether({ uplink }: ConfigFile): ConfigFault[] {
  const { certFile, keyFile, enrolment } = uplink;
  const given = { certFile, keyFile };
  const missing = (['certFile', 'keyFile'] as const).filter((name) => given[name] === undefined);
  if (missing.length === 0 || (missing.length === 2 && !enrolment)) return [];
  const why = enrolment ? 'enrolment writes it' : 'certFile and keyFile go together';
  return missing.map((name) => ({
    path: ['uplink', name],
    detail: `is missing; ${why}`,
    where: 'parent',
  }));
}
