import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import type { PlatformError } from '@domicile/core/errors.ts';
import { lowerCountry, parseBuildingId } from '@domicile/core/identities.ts';
import { type Principal, rights } from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { issueCertificate, loopbackNames } from '@domicile/devkit/certificates.ts';
import { brokerName, type CellPlan, processesOf } from './cell-processes.ts';
import { Credentials } from './credentials.ts';
import type { RegistryChanges } from './model/registry-changes.ts';
import { Ports } from './ports.ts';
import { RegistryPublisher } from './registry-publisher.ts';
import { Secrets, writePrivate } from './secrets.ts';
import type { ProcessSpec, Supervisor } from './supervisor.ts';

export interface CellOptions {
  readonly country: CountryCode;
  /** Everything of this country lies below it. */
  readonly dir: string;
  readonly valuesFile: string;
  readonly partitions: number;
  readonly issuer: string;
  /** Address or file of the issuer's public keys. */
  readonly jwks: string;
  /** Origins of the web app. */
  readonly webOrigins: readonly string[];
  /** Addresses of the cells of all served countries. */
  readonly cells: ReadonlyMap<string, string>;
  /** Where MQTT listens if the port is free; TLS two above it. 0: any. */
  readonly mqttPort: number;
  /** Brokers side by side; any of them takes any client. */
  readonly brokers: number;
  readonly flushMs: { readonly landing: number; readonly serving: number };
  /** Added to the settings of single processes, by process name without the country. */
  readonly overrides?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** After each change of the registry. */
  readonly onBuildings: (changes: RegistryChanges) => Promise<void>;
  readonly onValuesRefused: (error: PlatformError) => void;
  /** Kafka ended by itself and is started again. */
  readonly onKafkaRestart: (outcome: string) => void;
}

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 15_000;

/** The Kafka, the processes and the registry of one country, which shares nothing with another. */
export class Cell {
  readonly country: CountryCode;
  readonly dir: string;
  readonly kafka: CellKafka;
  readonly credentials: Credentials;
  readonly plan: CellPlan;
  readonly #supervisor: Supervisor;
  readonly #specs: readonly ProcessSpec[];
  readonly #publisher: RegistryPublisher;

  static async start(
    options: CellOptions,
    supervisor: Supervisor,
    fail: (error: unknown) => void,
  ): Promise<Cell> {
    const { country, dir } = options;
    const at = (name: string) => join(dir, name);
    const secrets = new Secrets(at('secrets'));
    const authority = await secrets.authority('cell-authority');
    const credentials = new Credentials({
      dir: at('credentials'),
      enrolmentsDir: at('enrolments'),
      country,
      authority,
    });
    await using begun = new AsyncDisposableStack();
    const kafka = begun.use(await startKafka(options, secrets));
    await mkdir(at('lake/landing'), { recursive: true });
    await mkdir(at('lake/serving'), { recursive: true });
    for (const name of ['broker', 'issuer']) {
      const server = await issueCertificate(authority, { name, names: loopbackNames });
      await writePrivate(secrets.path(`${name}.pem`), server.certificate);
      await writePrivate(secrets.path(`${name}.key`), server.key);
    }
    // What a raw API that was killed left there.
    await rm(at('raw'), { recursive: true, force: true });
    await mkdir(at('raw'));
    await mkdir(at('issuer'), { recursive: true, mode: 0o700 });

    const publisher = begun.use(
      await RegistryPublisher.start(
        {
          client: kafka.client('operator'),
          country,
          valuesFile: options.valuesFile,
          credentials,
          onChange: (changes) => options.onBuildings(changes),
          onRefused: options.onValuesRefused,
        },
        fail,
      ),
    );
    // Of cells that were begun before there were tokens, too.
    for (const { id } of publisher.active) await credentials.admit(parseBuildingId(id));
    const plan = await planOf(options, { kafka, secrets });
    const specs = processesOf(plan);
    const cell = new Cell({ options, kafka, credentials, plan, supervisor, specs, publisher });
    begun.move();
    try {
      for (const spec of specs) await supervisor.start(spec);
      for (const { name } of specs) await supervisor.ready(name, readyTimeoutMs);
    } catch (error) {
      await cell[Symbol.asyncDispose]();
      throw error;
    }
    return cell;
  }

  private constructor(of: {
    options: CellOptions;
    kafka: CellKafka;
    credentials: Credentials;
    plan: CellPlan;
    supervisor: Supervisor;
    specs: readonly ProcessSpec[];
    publisher: RegistryPublisher;
  }) {
    this.country = of.options.country;
    this.dir = of.options.dir;
    this.kafka = of.kafka;
    this.credentials = of.credentials;
    this.plan = of.plan;
    this.#supervisor = of.supervisor;
    this.#specs = of.specs;
    this.#publisher = of.publisher;
  }

  get active(): readonly BuildingRecord[] {
    return this.#publisher.active;
  }

  /** Admin addresses by process, without the country. */
  get admin(): Readonly<Record<string, string>> {
    const prefix = `${lowerCountry(this.country)}-`;
    return Object.fromEntries(
      this.#specs.map(({ name, adminPort }) => [
        name.slice(prefix.length),
        `http://127.0.0.1:${adminPort}`,
      ]),
    );
  }

  /** In the order of a reading's way: nobody stops before what it hands over to can take it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#publisher[Symbol.asyncDispose]();
    for (const { name } of this.#specs) await this.#supervisor.stop(name, stopTimeoutMs);
    await this.kafka[Symbol.asyncDispose]();
  }
}

async function startKafka(options: CellOptions, secrets: Secrets): Promise<CellKafka> {
  const { country, dir, partitions } = options;
  const passwords: Record<string, string> = {};
  for (const principal of Object.keys(rights))
    passwords[principal] = await secrets.secret(`kafka-${principal}`);
  return CellKafka.start({
    country,
    partitions,
    passwords,
    dataDir: join(dir, 'kafka'),
    onRestart: (_node, outcome) => options.onKafkaRestart(outcome),
  });
}

async function planOf(
  options: CellOptions,
  { kafka, secrets }: { kafka: CellKafka; secrets: Secrets },
): Promise<CellPlan> {
  const { country, dir } = options;
  const ports = await Ports.open(join(dir, 'ports.json'));
  const cc = lowerCountry(country);
  const preferred = options.mqttPort;
  const moreNames = Array.from({ length: options.brokers - 1 }, (_, index) => brokerName(index));
  const moreBrokers: { mqtt: number; mqtts: number }[] = [];
  for (const name of moreNames)
    moreBrokers.push({
      mqtt: await ports.of(`mqtt-${name}`),
      mqtts: await ports.of(`mqtts-${name}`),
    });
  return {
    ...options,
    overrides: options.overrides ?? {},
    name: cc,
    lakeDir: join(dir, 'lake'),
    rawScratchDir: join(dir, 'raw'),
    logDir: join(dir, 'logs'),
    kafkaBootstrap: kafka.bootstrap,
    kafkaPasswordFile: (principal: Principal) => secrets.path(`kafka-${principal}`),
    doorSecretFiles: {
      serving: await secrets.secretFile('door-serving'),
      raw: await secrets.secretFile('door-raw'),
      commands: await secrets.secretFile('door-commands'),
    },
    tls: {
      certFile: secrets.path('broker.pem'),
      keyFile: secrets.path('broker.key'),
      caFile: secrets.path('cell-authority.pem'),
    },
    issuing: {
      authorityKeyFile: secrets.path('cell-authority.key'),
      certFile: secrets.path('issuer.pem'),
      keyFile: secrets.path('issuer.key'),
      enrolmentsDir: join(dir, 'enrolments'),
      stateDir: join(dir, 'issuer'),
    },
    ports: {
      mqtt: await ports.of('mqtt', preferred),
      mqtts: await ports.of('mqtts', preferred === 0 ? 0 : preferred + 2),
      moreBrokers,
      api: portOf(options.cells.get(country)),
      serving: await ports.of('serving'),
      raw: await ports.of('raw'),
      commands: await ports.of('commands'),
      est: await ports.of('est', preferred === 0 ? 0 : preferred + 3),
      admin: await adminPorts(ports, [...adminNames, ...moreNames]),
    },
  };
}

const adminNames = [
  'broker',
  'tasks',
  'lander',
  'serving-builder',
  'serving-api',
  'raw-api',
  'commands',
  'issuer',
  'api-gateway',
];

/** One after the other, so that none is given twice. */
async function adminPorts(ports: Ports, names: readonly string[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const name of names) found[name] = await ports.of(`admin-${name}`);
  return found;
}

function portOf(address: string | undefined): number {
  return Number(new URL(address ?? 'http://127.0.0.1:0').port);
}
