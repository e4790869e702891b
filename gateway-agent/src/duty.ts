import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startLoop } from '@domicile/runtime/service.ts';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { addressesFile } from './addresses.ts';
import { startAgentAdmin } from './admin.ts';
import { Commands } from './commands.ts';
import type { AgentConfig } from './config.ts';
import type { Driver, DriverHost } from './drivers/driver.ts';
import { startDrivers } from './drivers/start-drivers.ts';
import { startEnrolment } from './enrolment/start-enrolment.ts';
import type { AgentEvents } from './events.ts';
import type { StatusBoard } from './status/board.ts';
import { isNoSpace, replaceFile } from './store/files.ts';
import type { StoreSet } from './store/store-set.ts';
import type { Uplink } from './uplink/uplink.ts';

export interface DutyParts {
  readonly config: AgentConfig;
  /** Locks the data directory; given back at the end. */
  readonly hold: AsyncDisposable;
  readonly stores: StoreSet;
  readonly uplink: Uplink;
  readonly host: DriverHost;
  /** All drivers of the agent; those that are started here are added. */
  readonly drivers: Driver[];
  readonly events: AgentEvents;
  readonly board: StatusBoard;
  readonly registry: Registry;
  readonly log: Logger;
  readonly now: () => number;
  readonly fail: (error: unknown) => void;
  readonly upgrade: () => Promise<{ readonly pid: number }>;
}

/** What only one process of a building does at a time: it ends in one before it begins in the next. */
export interface Duty extends AsyncDisposable {
  readonly commands: Commands;
  readonly adminUrl: string;
}

/** The process that takes readings in; a supervisor may read it. */
export const pidFile = 'agent.pid';

/** The uplink, commands, the drivers that go to their devices, what others have left to send, the admin port. */
export async function startDuty(parts: DutyParts): Promise<Duty> {
  const { config, stores, uplink, host, drivers, events, now, fail } = parts;
  const { building, dataDirectory } = config;
  await using stack = new AsyncDisposableStack();
  stack.use(parts.hold);
  await stores.readHints();
  const commands = await Commands.open({
    directory: join(dataDirectory, 'commands'),
    building,
    events,
    now,
    fail,
    driverOf: (device) => drivers.find((driver) => driver.drives(device)),
  });
  const renewed = () => uplink.renew();
  stack.use(await startEnrolment({ uplink: config.uplink, events, now, renewed, fail }));
  stack.use(startLoop((signal) => uplink.run(commands, signal), fail));
  const left = { tellAccount: () => uplink.tellAccount(), opened: () => commands.resume() };
  stack.use(commands);
  for (const driver of await startDrivers(config.drivers, dataDirectory, host, 'polling'))
    drivers.push(stack.use(driver));
  stack.use(startLoop((signal) => stores.run(left, signal), fail));
  const admin = stack.use(
    await startAgentAdmin({ ...parts, store: stores.main, older: () => stores.older }),
  );
  const ports = portsOf(drivers);
  await writeAddresses(dataDirectory, { admin: admin.url, ...ports });
  parts.log.info({ admin: admin.url, ...ports }, 'Agent started');
  const started = stack.move();
  return {
    commands,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** By driver, where its devices reach it. */
export function portsOf(drivers: readonly Driver[]): Record<string, number> {
  return Object.fromEntries(
    drivers.flatMap(({ name, port }) => (port === undefined ? [] : [[name, port]])),
  );
}

/** On a full disk an agent without this file is better than none: it makes room. */
async function writeAddresses(directory: string, addresses: object): Promise<void> {
  try {
    await replaceFile(directory, addressesFile, Buffer.from(JSON.stringify(addresses)));
  } catch (error) {
    if (!isNoSpace(error)) throw error;
  }
}

/** Before the process that had it ends: who watches that one then finds this one. */
export async function writePid(directory: string): Promise<void> {
  await writeFile(join(directory, pidFile), `${process.pid}\n`).catch((error: unknown) => {
    if (!isNoSpace(error)) throw error;
  });
}
