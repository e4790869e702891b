import { join } from 'node:path';
import { stringify } from 'yaml';
import type { CredentialFiles } from './credentials.ts';
import type { Ports } from './ports.ts';
import { writePrivate } from './secrets.ts';
import type { ProcessSpec } from './supervisor.ts';

export interface GatewayOptions {
  readonly building: string;
  readonly dir: string;
  readonly logDir: string;
  /** Where the cell listens for gateways. */
  readonly mqtts: string;
  readonly credentials: CredentialFiles;
  /** The issuer of the cell: the gateway gets its certificate there itself; absent: it uses the one that lies ready. */
  readonly enrolAt?: string;
  /** Recordings to replay; absent: only what devices send. */
  readonly mappingFile?: string;
  readonly ports: Ports;
  /** How often the gateway tells how far its numberings went; absent: its own default. */
  readonly accountEveryMs?: number;
  /** Of its store; absent: its own defaults. */
  readonly store?: { readonly bytesMax: number; readonly segmentBytesMax: number };
}

/** A gateway agent in a process of its own, as it would run in the building: with a certificate and a store. */
export async function gatewaySpec(options: GatewayOptions): Promise<ProcessSpec> {
  const { building, dir, credentials, ports, mappingFile, accountEveryMs } = options;
  const name = `gateway-${building}`;
  const adminPort = await ports.of(`admin-${name}`);
  const config = {
    building,
    gateway: 'gateway',
    dataDirectory: join(dir, 'store'),
    ...(options.store && { store: options.store }),
    uplink: {
      url: options.mqtts,
      caFile: credentials.caFile,
      ...certificateOf(options),
      ...(accountEveryMs !== undefined && { accountEveryMs }),
    },
    drivers: {
      mqtt: { port: await ports.of(`mqtt-${name}`) },
      http: { port: await ports.of(`http-${name}`) },
      ...(mappingFile !== undefined && { replay: { mappingFile } }),
    },
  };
  const configFile = join(dir, 'gateway.yaml');
  await writePrivate(configFile, stringify(config));
  return {
    name,
    entry: 'gateway-agent/src/main.ts',
    env: {
      NODE_ENV: 'production',
      GATEWAY_CONFIG: configFile,
      GATEWAY_ADMIN_PORT: `${adminPort}`,
    },
    logFile: join(options.logDir, `${name}.log`),
    adminPort,
  };
}

function certificateOf({ enrolAt, dir, credentials }: GatewayOptions): object {
  const { certFile, keyFile, tokenFile } = credentials;
  if (enrolAt === undefined) return { certFile, keyFile };
  return {
    certFile: join(dir, 'gateway.pem'),
    keyFile: join(dir, 'gateway.key'),
    enrolment: { url: enrolAt, tokenFile },
  };
}
