import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CountryCode } from '@domicile/core/countries.ts';
import { must } from '@domicile/core/invariants.ts';
import type { Principal } from '@domicile/core/streams.ts';
import type { ProcessSpec } from './supervisor.ts';

/** What the processes of a cell have to know. */
export interface CellPlan {
  /** The country in lower case: the prefix of all names. */
  readonly name: string;
  readonly country: CountryCode;
  readonly dir: string;
  readonly lakeDir: string;
  /** Where the raw API makes its answers; emptied at each start. */
  readonly rawScratchDir: string;
  readonly logDir: string;
  readonly kafkaBootstrap: string;
  readonly kafkaPasswordFile: (principal: Principal) => string;
  /** By which each service knows the API gateway: one each, so that none can speak to another as the door. */
  readonly doorSecretFiles: Readonly<Record<'serving' | 'raw' | 'commands', string>>;
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
  /** What the issuer of certificates has, and no other process. */
  readonly issuing: {
    readonly authorityKeyFile: string;
    readonly certFile: string;
    readonly keyFile: string;
    readonly enrolmentsDir: string;
    readonly stateDir: string;
  };
  readonly issuer: string;
  readonly jwks: string;
  readonly webOrigins: readonly string[];
  readonly cells: ReadonlyMap<string, string>;
  readonly flushMs: { readonly landing: number; readonly serving: number };
  readonly overrides: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly ports: {
    readonly mqtt: number;
    readonly mqtts: number;
    /** Of the brokers beside the first. */
    readonly moreBrokers: readonly { readonly mqtt: number; readonly mqtts: number }[];
    readonly api: number;
    readonly serving: number;
    readonly raw: number;
    readonly commands: number;
    readonly est: number;
    readonly admin: Readonly<Record<string, number>>;
  };
}

const root = join(import.meta.dirname, '../../..');

/** The processes of a cell, in the order of a reading's way. */
export function processesOf(plan: CellPlan): ProcessSpec[] {
  return [
    broker(plan, { name: 'broker', ...plan.ports }),
    ...plan.ports.moreBrokers.map((ports, at) => broker(plan, { name: brokerName(at), ...ports })),
    tasks(plan),
    lander(plan),
    servingBuilder(plan),
    commands(plan),
    servingApi(plan),
    rawApi(plan),
    certificateIssuer(plan),
    apiGateway(plan),
  ].filter((s) => existsSync(join(root, s.entry)));
}

interface Described {
  readonly name: string;
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
  readonly nodeFlags?: readonly string[];
}

function specOf(plan: CellPlan, { name, entry, env, nodeFlags = [] }: Described): ProcessSpec {
  const adminPort = must(plan.ports.admin[name], `${name} has an admin port`);
  return {
    name: `${plan.name}-${name}`,
    entry,
    env: { NODE_ENV: 'production', CELL_COUNTRY: plan.country, ...env, ...plan.overrides[name] },
    nodeFlags: ['--enable-source-maps', ...nodeFlags],
    logFile: join(plan.logDir, `${name}.log`),
    adminPort,
  };
}

function kafkaEnv(plan: CellPlan, principal: Principal): Record<string, string> {
  return {
    KAFKA_BOOTSTRAP: plan.kafkaBootstrap,
    KAFKA_USER: principal,
    KAFKA_PASSWORD_FILE: plan.kafkaPasswordFile(principal),
  };
}

/** Of the brokers beside the first, from 0: `broker-2` and on. */
export function brokerName(index: number): string {
  return `broker-${index + 2}`;
}

function broker(
  plan: CellPlan,
  { name, mqtt, mqtts }: { readonly name: string; readonly mqtt: number; readonly mqtts: number },
): ProcessSpec {
  return specOf(plan, {
    name,
    entry: 'platform/broker/src/main.ts',
    env: {
      ...kafkaEnv(plan, 'broker'),
      BROKER_MQTT_PORT: `${mqtt}`,
      BROKER_MQTTS_PORT: `${mqtts}`,
      BROKER_TLS_CERT_FILE: plan.tls.certFile,
      BROKER_TLS_KEY_FILE: plan.tls.keyFile,
      BROKER_TLS_CA_FILE: plan.tls.caFile,
      ADMIN_PORT: `${plan.ports.admin[name]}`,
    },
  });
}

function tasks(plan: CellPlan): ProcessSpec {
  return specOf(plan, {
    name: 'tasks',
    entry: 'platform/stream/src/main.ts',
    env: {
      ...kafkaEnv(plan, 'task'),
      TASK_INSTANCE_ID: 'tasks-0',
      TASK_ADMIN_PORT: `${plan.ports.admin['tasks']}`,
    },
  });
}

function lander(plan: CellPlan): ProcessSpec {
  return specOf(plan, {
    name: 'lander',
    entry: 'platform/stream/src/lander-main.ts',
    env: {
      ...kafkaEnv(plan, 'lander'),
      LAKE_DIR: plan.lakeDir,
      LANDER_FLUSH_MS: `${plan.flushMs.landing}`,
      ADMIN_PORT: `${plan.ports.admin['lander']}`,
    },
  });
}

function servingBuilder(plan: CellPlan): ProcessSpec {
  return specOf(plan, {
    name: 'serving-builder',
    entry: 'platform/stream/src/serving-builder-main.ts',
    env: {
      ...kafkaEnv(plan, 'serving-builder'),
      LAKE_DIR: plan.lakeDir,
      SERVING_FLUSH_MS: `${plan.flushMs.serving}`,
      ADMIN_PORT: `${plan.ports.admin['serving-builder']}`,
    },
  });
}

function commands(plan: CellPlan): ProcessSpec {
  return specOf(plan, {
    name: 'commands',
    entry: 'platform/commands/src/main.ts',
    env: {
      ...kafkaEnv(plan, 'commands'),
      COMMANDS_PORT: `${plan.ports.commands}`,
      COMMANDS_ADMIN_PORT: `${plan.ports.admin['commands']}`,
      COMMANDS_INTERNAL_SECRET_FILE: plan.doorSecretFiles.commands,
    },
  });
}

/** What a process reads to run at all. */
const program = ['node_modules', 'platform', 'package.json'].map((name) => join(root, name));

/** The operating system lets it read its code, its own secrets and the serving layer, and nothing else. */
function servingApi(plan: CellPlan): ProcessSpec {
  const readable = [
    ...program,
    join(plan.lakeDir, 'serving'),
    plan.doorSecretFiles.serving,
    plan.kafkaPasswordFile('serving'),
  ];
  return specOf(plan, {
    name: 'serving-api',
    entry: 'platform/data-api/src/serving-main.ts',
    nodeFlags: ['--permission', ...readable.map((path) => `--allow-fs-read=${path}`)],
    env: {
      ...kafkaEnv(plan, 'serving'),
      SERVING_PORT: `${plan.ports.serving}`,
      SERVING_ADMIN_PORT: `${plan.ports.admin['serving-api']}`,
      SERVING_INTERNAL_SECRET_FILE: plan.doorSecretFiles.serving,
      LAKE_DIR: plan.lakeDir,
      SERVING_RESIDENCY_EVERY_MS: '30000',
      SERVING_PLACES: JSON.stringify({
        kafkaHosts: ['127.0.0.1'],
        lakeRoot: plan.lakeDir,
        processes: Object.fromEntries(
          Object.entries(plan.ports.admin).map(([name, port]) => [
            name,
            `http://127.0.0.1:${port}`,
          ]),
        ),
      }),
    },
  });
}

function rawApi(plan: CellPlan): ProcessSpec {
  return specOf(plan, {
    name: 'raw-api',
    entry: 'platform/data-api/src/raw-main.ts',
    env: {
      ...kafkaEnv(plan, 'raw'),
      UV_THREADPOOL_SIZE: '16',
      RAW_PORT: `${plan.ports.raw}`,
      RAW_ADMIN_PORT: `${plan.ports.admin['raw-api']}`,
      RAW_INTERNAL_SECRET_FILE: plan.doorSecretFiles.raw,
      RAW_SCRATCH_DIR: plan.rawScratchDir,
      LAKE_DIR: plan.lakeDir,
    },
  });
}

/** The operating system lets it read its code and its own files, and write what it issued; it has no way to Kafka and the lake. */
function certificateIssuer(plan: CellPlan): ProcessSpec {
  const { authorityKeyFile, certFile, keyFile, enrolmentsDir, stateDir } = plan.issuing;
  const { caFile } = plan.tls;
  const own = [authorityKeyFile, caFile, certFile, keyFile, enrolmentsDir, stateDir];
  return specOf(plan, {
    name: 'issuer',
    entry: 'platform/issuer/src/main.ts',
    nodeFlags: [
      '--permission',
      ...[...program, ...own].map((path) => `--allow-fs-read=${path}`),
      `--allow-fs-write=${stateDir}`,
    ],
    env: {
      ISSUER_PORT: `${plan.ports.est}`,
      ISSUER_ADMIN_PORT: `${plan.ports.admin['issuer']}`,
      ISSUER_CA_CERT_FILE: caFile,
      ISSUER_CA_KEY_FILE: authorityKeyFile,
      ISSUER_TLS_CERT_FILE: certFile,
      ISSUER_TLS_KEY_FILE: keyFile,
      ISSUER_ENROLMENTS_DIR: enrolmentsDir,
      ISSUER_STATE_DIR: stateDir,
    },
  });
}

function apiGateway(plan: CellPlan): ProcessSpec {
  return specOf(plan, {
    name: 'api-gateway',
    entry: 'platform/api-gateway/src/main.ts',
    env: {
      GATEWAY_COUNTRY: plan.country,
      GATEWAY_PORT: `${plan.ports.api}`,
      GATEWAY_ADMIN_PORT: `${plan.ports.admin['api-gateway']}`,
      GATEWAY_ISSUER: plan.issuer,
      GATEWAY_JWKS: plan.jwks,
      GATEWAY_INTERNAL_SECRET_FILE: plan.doorSecretFiles.serving,
      GATEWAY_RAW_SECRET_FILE: plan.doorSecretFiles.raw,
      GATEWAY_COMMANDS_SECRET_FILE: plan.doorSecretFiles.commands,
      GATEWAY_SERVING_URL: `http://127.0.0.1:${plan.ports.serving}`,
      GATEWAY_RAW_URL: `http://127.0.0.1:${plan.ports.raw}`,
      GATEWAY_COMMANDS_URL: `http://127.0.0.1:${plan.ports.commands}`,
      GATEWAY_EST_URL: `https://127.0.0.1:${plan.ports.est}`,
      GATEWAY_EST_CA_FILE: plan.tls.caFile,
      GATEWAY_CELLS: [...plan.cells].map(([country, api]) => `${country}=${api}`).join(','),
      GATEWAY_WEB_ORIGINS: plan.webOrigins.join(','),
    },
  });
}
