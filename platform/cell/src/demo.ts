import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import { audienceOf } from '@domicile/core/residency.ts';
import { Cell } from './cell.ts';
import type { DemoConfig } from './config.ts';
import { demoFile, type DemoFile } from './demo-file.ts';
import { DemoUsers } from './demo-users.ts';
import { gatewaySpec } from './gateway.ts';
import { Ports } from './ports.ts';
import { writePrivate } from './secrets.ts';
import { type ProcessSpec, Supervisor } from './supervisor.ts';

export interface DemoEvents {
  /** What is being done, one line. */
  step(text: string): void;
  restarted(name: string, outcome: string): void;
  onboarded(country: CountryCode, buildings: readonly string[]): void;
  offboarded(country: CountryCode, buildings: readonly string[]): void;
  valuesRefused(country: CountryCode, why: string): void;
}

const root = join(import.meta.dirname, '../../..');
const relativeTo = (path: string): string => relative(root, path);
const names: Readonly<Partial<Record<CountryCode, string>>> = {
  DE: 'Germany',
  US: 'United States',
};
const demoCountries: readonly CountryCode[] = ['DE', 'US'];
/** Where MQTT listens if nobody else does. */
const mqttPorts: Readonly<Partial<Record<CountryCode, number>>> = { DE: 18_831, US: 18_841 };
const partitions = 8;
const readyTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;
const notice =
  'These are recordings of one real office room, arranged: every room plays another stretch of them, shifted to now. Door contacts are derived from occupancy. Recorded by L. Candanedo and V. Feldheim (UCI Machine Learning Repository, “Occupancy Detection”, CC BY 4.0).';

/** What tests set beside the settings. */
export interface DemoOptions {
  readonly countries?: readonly CountryCode[];
  /** Added to the settings of single processes: by country, then by process. */
  readonly overrides?: Readonly<
    Partial<Record<CountryCode, Readonly<Record<string, Readonly<Record<string, string>>>>>>
  >;
  /** Values files in place of the demo's own. */
  readonly values?: Readonly<Partial<Record<CountryCode, string>>>;
  readonly fail: (error: unknown) => void;
}

/** Two countries side by side on this machine, with gateways that replay recordings, an issuer and the web app. */
export class Demo {
  readonly cells = new Map<CountryCode, Cell>();
  readonly supervisor: Supervisor;
  readonly #config: DemoConfig;
  readonly #options: DemoOptions;
  readonly #countries: readonly CountryCode[];
  readonly #events: DemoEvents;
  readonly #dir: string;
  readonly #shared: string[] = [];
  readonly #gateways: string[] = [];
  #addresses: Addresses | undefined;
  #users: DemoUsers | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  static async start(config: DemoConfig, events: DemoEvents, options: DemoOptions): Promise<Demo> {
    const demo = new Demo(config, events, options);
    try {
      await demo.#open();
    } catch (error) {
      await demo[Symbol.asyncDispose]();
      throw error;
    }
    return demo;
  }

  private constructor(config: DemoConfig, events: DemoEvents, options: DemoOptions) {
    this.#config = config;
    this.#options = options;
    this.#countries = options.countries ?? demoCountries;
    this.#events = events;
    this.#dir = resolve(root, config.DEMO_DIR);
    this.supervisor = new Supervisor({
      restarted: (name, outcome) => events.restarted(name, outcome),
    });
  }

  /** The people who may log in. */
  get users(): DemoUsers | undefined {
    return this.#users;
  }

  /** What `.domicile/demo.json` says. */
  async file(): Promise<DemoFile> {
    const addresses = this.#addresses;
    const users = this.#users;
    if (addresses === undefined || users === undefined) throw new Error('The demo is not up');
    return demoFile({ web: addresses.web, cells: [...this.cells.values()], users, relativeTo });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#gateways) await this.supervisor.stop(name, stopTimeoutMs);
    await Promise.all([...this.cells.values()].map((cell) => cell[Symbol.asyncDispose]()));
    for (const name of this.#shared.toReversed()) await this.supervisor.stop(name, stopTimeoutMs);
  }

  async #open(): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    await holdAlone(join(this.#dir, 'pid'));
    const ports = await Ports.open(join(this.#dir, 'ports.json'));
    const addresses = await addressesOf(ports, this.#config, this.#countries);
    this.#addresses = addresses;
    this.#users = await DemoUsers.open(
      join(this.#dir, 'identity'),
      addresses.issuer,
      this.#countries,
    );
    this.#events.step('starting the issuer and the web app');
    await this.#startShared(ports, addresses);
    const starting = this.#countries.map(async (country) => {
      this.#events.step(`starting Kafka and the processes of ${names[country] ?? country}`);
      this.cells.set(country, await this.#startCell(country, addresses));
    });
    const failed = (await Promise.allSettled(starting)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    if (this.#config.DEMO_REPLAY) await this.#startGateways(ports);
    await this.#writeFile();
  }

  async #startShared(ports: Ports, addresses: Addresses): Promise<void> {
    const webConfig = join(this.#dir, 'web-config.json');
    await writePrivate(webConfig, JSON.stringify(webConfigOf(addresses)));
    const identityDir = join(this.#dir, 'identity');
    const identityAdmin = await ports.of('admin-identity');
    await this.#startProcess({
      name: 'identity',
      entry: 'platform/identity/src/main.ts',
      env: {
        NODE_ENV: 'production',
        IDENTITY_ISSUER: addresses.issuer,
        IDENTITY_PORT: new URL(addresses.issuer).port,
        IDENTITY_ADMIN_PORT: `${identityAdmin}`,
        IDENTITY_STATE_DIR: identityDir,
        IDENTITY_USERS_FILE: join(identityDir, 'users.json'),
        IDENTITY_COUNTRIES: this.#countries.join(','),
        IDENTITY_REDIRECT_URIS: `${addresses.web}/callback`,
        IDENTITY_LOGOUT_URIS: `${addresses.web}/`,
      },
      logFile: join(this.#dir, 'logs/identity.log'),
      adminPort: identityAdmin,
    });
    const webAdmin = await ports.of('admin-web');
    await this.#startProcess({
      name: 'web',
      entry: 'platform/api-gateway/src/web-main.ts',
      env: {
        NODE_ENV: 'production',
        WEB_PORT: new URL(addresses.web).port,
        WEB_ADMIN_PORT: `${webAdmin}`,
        WEB_FILES: join(root, 'platform/web/dist'),
        WEB_CONFIG_FILE: webConfig,
      },
      logFile: join(this.#dir, 'logs/web.log'),
      adminPort: webAdmin,
    });
    await this.supervisor.ready('identity', readyTimeoutMs);
    await this.supervisor.ready('web', readyTimeoutMs);
  }

  async #startProcess(spec: ProcessSpec): Promise<void> {
    this.#shared.push(spec.name);
    await this.supervisor.start(spec);
  }

  async #startCell(country: CountryCode, addresses: Addresses): Promise<Cell> {
    const { values, overrides, fail } = this.#options;
    const cc = lowerCountry(country);
    const dir = join(this.#dir, cc);
    const valuesFile = join(dir, 'values.yaml');
    await mkdir(dir, { recursive: true });
    const declared = values?.[country] ?? join(root, `examples/demo/${cc}.values.yaml`);
    if (!existsSync(valuesFile)) await copyFile(declared, valuesFile);
    const isPlain = this.#config.DEMO_WEB_PORT !== 0;
    return Cell.start(
      {
        country,
        dir,
        valuesFile,
        partitions,
        issuer: addresses.issuer,
        jwks: join(this.#dir, 'identity/jwks.json'),
        webOrigins: [addresses.web],
        cells: addresses.cells,
        overrides: overrides?.[country] ?? {},
        brokers: this.#config.DEMO_BROKERS,
        mqttPort: isPlain ? (mqttPorts[country] ?? 0) : 0,
        flushMs: {
          landing: this.#config.DEMO_LANDING_FLUSH_MS,
          serving: this.#config.DEMO_SERVING_FLUSH_MS,
        },
        onBuildings: async ({ added, offboarded }) => {
          if (!this.cells.has(country)) return; // not up yet: the file is written once all are
          await this.#writeFile();
          if (added.length > 0) this.#events.onboarded(country, added);
          if (offboarded.length > 0) this.#events.offboarded(country, offboarded);
        },
        onValuesRefused: (error) => this.#events.valuesRefused(country, error.message),
        onKafkaRestart: (outcome) => this.#events.restarted(`${cc}-kafka`, outcome),
      },
      this.supervisor,
      fail,
    );
  }

  async #startGateways(ports: Ports): Promise<void> {
    this.#events.step('starting the gateways of the buildings');
    const recorded = new Set(['de-7f3k', 'de-2m9q', 'us-4h8t']);
    for (const cell of this.cells.values()) {
      for (const { id } of cell.active.filter((building) => recorded.has(building.id))) {
        const spec = await gatewaySpec({
          building: id,
          dir: join(cell.dir, 'gateways', id),
          logDir: join(cell.dir, 'logs'),
          mqtts: `mqtts://127.0.0.1:${cell.plan.ports.mqtts}`,
          credentials: cell.credentials.filesOf(id),
          enrolAt: `https://127.0.0.1:${cell.plan.ports.est}`,
          mappingFile: join(root, 'examples/occupancy/replay.yaml'),
          ports,
        });
        await this.startGateway(spec);
      }
    }
  }

  /** Supervised with the others, and stopped before the cells. */
  async startGateway(spec: ProcessSpec): Promise<void> {
    this.#gateways.push(spec.name);
    await this.supervisor.start(spec);
    await this.supervisor.ready(spec.name, readyTimeoutMs);
  }

  /** One after the other, so that the newest is the last. */
  #writeFile(): Promise<unknown> {
    const path = resolve(root, this.#config.DEMO_FILE);
    this.#writing = this.#writing.then(async () =>
      writePrivate(path, `${JSON.stringify(await this.file(), undefined, 1)}\n`),
    );
    return this.#writing;
  }
}

/** One demo a folder. The file goes with its process: a stale one is of nobody. */
async function holdAlone(file: string): Promise<void> {
  const holder = existsSync(file) ? Number(await readFile(file, 'utf8')) : 0;
  if (holder > 0 && holder !== process.pid && isAlive(holder))
    throw new PlatformError(
      'CONFLICT',
      `Cannot start: a demo runs here already, as process ${holder}`,
    );
  await writePrivate(file, `${process.pid}`);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

interface Addresses {
  readonly web: string;
  readonly issuer: string;
  readonly cells: ReadonlyMap<CountryCode, string>;
}

/** Beside each other from the web app's port on; all free ones if that is 0. */
async function addressesOf(
  ports: Ports,
  { DEMO_WEB_PORT }: DemoConfig,
  countries: readonly CountryCode[],
): Promise<Addresses> {
  const at = async (name: string, distance: number) => {
    const preferred = DEMO_WEB_PORT === 0 ? 0 : DEMO_WEB_PORT + distance;
    return `http://127.0.0.1:${await ports.of(name, preferred)}`;
  };
  const web = await at('web', 0);
  const issuer = await at('issuer', 10);
  const cells = new Map<CountryCode, string>();
  for (const [index, country] of countries.entries())
    cells.set(country, await at(`api-${lowerCountry(country)}`, 1 + index));
  return { web, issuer, cells };
}

/** What the page reads beside its files. */
function webConfigOf({ issuer, cells }: Addresses) {
  return {
    issuer,
    clientId: 'domicile-web',
    notice,
    cells: [...cells].map(([country, api]) => ({
      country,
      name: names[country] ?? country,
      api,
      audience: audienceOf(country),
    })),
  };
}
