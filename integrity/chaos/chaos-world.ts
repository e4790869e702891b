import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Cell } from '@domicile/cell/cell.ts';
import { gatewaySpec } from '@domicile/cell/gateway.ts';
import { Ports } from '@domicile/cell/ports.ts';
import { must } from '@domicile/core/invariants.ts';
import { stateDir } from '@domicile/devkit/cache-dir.ts';
import { FaultProxy } from '@domicile/devkit/fault-proxy.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { TestDemo } from '../support/test-demo.ts';
import type { ChaosDevicesOrder } from './chaos-devices.ts';

export const buildings = ['de-7f3k', 'de-2m9q'] as const;
const rooms = Array.from({ length: 20 }, (_, index) => `r1${`${index + 1}`.padStart(2, '0')}`);
const sensors = rooms.map((room) => `${room}-air`);
export const thermostats = rooms.map((room) => `${room}-thermostat`);
const readingEveryMs = 400;
const connections = 8;
/** Devices write their ledgers down at the end; whoever takes longer is killed. */
const devicesEndMsMax = 30_000;
/** Small, so that a cut of seconds fills it. */
const storeBytesMax = 150_000;
const storeSegmentBytesMax = 24 * 1024;

const values = `
roomTypes:
  office: { air: air-quality, thermostat: thermostat }
buildings:
${buildings
  .map(
    (building) => `  ${building}:
    client: acme
    timeZone: Europe/Berlin
    floors: { '1': { rooms: { 'r1[01-20]': office } } }`,
  )
  .join('\n')}
`;

/** One building: its gateway, its links, and its devices. */
export interface ChaosBuilding {
  readonly id: string;
  /** Of the gateway's process. */
  readonly gateway: string;
  /** From the gateway to the brokers, and from the devices to the gateway. */
  readonly uplink: FaultProxy;
  readonly lan: FaultProxy;
  readonly order: ChaosDevicesOrder;
  readonly storeDir: string;
  readonly gatewaySkewFile: string;
}

/** A cell with two brokers, two buildings behind links that can be broken, and their devices. */
export class ChaosWorld implements AsyncDisposable {
  readonly demo: TestDemo;
  readonly cell: Cell;
  readonly buildings: readonly ChaosBuilding[];
  readonly #devices: readonly ChildProcess[];

  static async start(boot: string): Promise<ChaosWorld> {
    await using stack = new AsyncDisposableStack();
    await mkdir(stateDir, { recursive: true });
    const valuesFile = join(stateDir, `${freshName('chaos')}.values.yaml`);
    await writeFile(valuesFile, values);
    stack.defer(() => rm(valuesFile, { force: true }));
    const demo = stack.use(
      await TestDemo.start({ countries: ['DE'], brokers: 2, values: { DE: valuesFile } }),
    );
    const cell = must(demo.demo.cells.get('DE'), 'the demo serves DE');
    const made: ChaosBuilding[] = [];
    for (const id of buildings) {
      const building = await startBuilding(demo, cell, { id, boot });
      stack.use(building.uplink);
      stack.use(building.lan);
      made.push(building);
    }
    const devices = made.map(({ order }) => {
      const entry = join(import.meta.dirname, 'chaos-devices.ts');
      return spawn(process.execPath, [entry, JSON.stringify(order)], {
        stdio: ['ignore', 'inherit', 'inherit'],
      });
    });
    await rm(valuesFile);
    stack.move();
    return new ChaosWorld({ demo, cell, made, devices });
  }

  private constructor(of: {
    demo: TestDemo;
    cell: Cell;
    made: readonly ChaosBuilding[];
    devices: readonly ChildProcess[];
  }) {
    this.demo = of.demo;
    this.cell = of.cell;
    this.buildings = of.made;
    this.#devices = of.devices;
  }

  /** Names of all processes that may be killed. */
  get processes(): readonly string[] {
    const spared = new Set(['identity', 'web']);
    return this.demo.demo.supervisor.names.filter((name) => !spared.has(name));
  }

  building(id: string): ChaosBuilding {
    return must(
      this.buildings.find((one) => one.id === id),
      `${id} is there`,
    );
  }

  /** What the building's devices were told is kept: `device seq` lines. */
  acked(building: ChaosBuilding): readonly string[] {
    return linesOf(building.order.ackLedger);
  }

  /** What arrived at its devices: `id device` lines. */
  obeyed(building: ChaosBuilding): readonly string[] {
    return linesOf(building.order.commandLedger);
  }

  async stopDevices(): Promise<void> {
    for (const child of this.#devices) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), devicesEndMsMax);
      await exited;
      clearTimeout(late);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopDevices();
    // A stopped process hears no SIGTERM.
    for (const name of this.processes) this.demo.demo.supervisor.kill(name, 'SIGCONT');
    for (const { uplink, lan } of this.buildings) {
      await lan[Symbol.asyncDispose]();
      await uplink[Symbol.asyncDispose]();
    }
    await this.demo[Symbol.asyncDispose]();
  }
}

async function startBuilding(
  { demo, dir }: TestDemo,
  cell: Cell,
  { id, boot }: { readonly id: string; readonly boot: string },
): Promise<ChaosBuilding> {
  const { mqtts, moreBrokers } = cell.plan.ports;
  const uplink = await FaultProxy.start({
    targets: [mqtts, ...moreBrokers.map((ports) => ports.mqtts)],
  });
  const ports = await Ports.open(join(dir, `ports-${id}.json`));
  const gatewayDir = join(cell.dir, 'gateways', id);
  const spec = await gatewaySpec({
    building: id,
    dir: gatewayDir,
    logDir: join(cell.dir, 'logs'),
    mqtts: `mqtts://127.0.0.1:${uplink.port}`,
    credentials: cell.credentials.filesOf(id),
    ports,
    accountEveryMs: 2_000,
    store: { bytesMax: storeBytesMax, segmentBytesMax: storeSegmentBytesMax },
  });
  const gatewaySkewFile = join(dir, `clock-${id}-gateway`);
  const clock = pathToFileURL(join(import.meta.dirname, 'skewed-clock.ts'));
  clock.searchParams.set('file', gatewaySkewFile);
  await demo.startGateway({
    ...spec,
    env: { ...spec.env, NODE_OPTIONS: `--import=${clock.href}` },
  });
  const lan = await FaultProxy.start({ targets: [await ports.of(`mqtt-${spec.name}`)] });
  const order: ChaosDevicesOrder = {
    url: `mqtt://127.0.0.1:${lan.port}`,
    building: id,
    sensors,
    thermostats,
    boot,
    everyMs: readingEveryMs,
    connections,
    ackLedger: join(dir, `${id}.acks`),
    commandLedger: join(dir, `${id}.commands`),
    skewFile: join(dir, `clock-${id}-devices`),
  };
  return {
    id,
    gateway: spec.name,
    uplink,
    lan,
    order,
    storeDir: join(gatewayDir, 'store'),
    gatewaySkewFile,
  };
}

function linesOf(file: string): readonly string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}
