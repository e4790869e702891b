import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import type { DeviceId } from '@domicile/core/identities.ts';
import { countryOf } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import type { Logger } from 'pino';
import { startAgentAdmin } from './admin.ts';
import { Commands } from './commands.ts';
import type { AgentConfig } from './config.ts';
import type { Driver, DriverHost, Taken } from './drivers/driver.ts';
import { listenHere } from './drivers/listen.ts';
import { startDrivers } from './drivers/start-drivers.ts';
import { startEnrolment } from './enrolment/start-enrolment.ts';
import { type AgentEvents, createAgentEvents } from './events.ts';
import { readingBytesMax } from './model/batches.ts';
import { prepareReadings } from './model/reading.ts';
import { StatusBoard } from './status/board.ts';
import { isNoSpace, replaceFile } from './store/files.ts';
import { holdDirectory } from './store/hold-directory.ts';
import { openStore } from './store/open-store.ts';
import type { Entry, Store } from './store/store.ts';
import { Uplink } from './uplink/uplink.ts';

export interface Agent extends AsyncDisposable {
  readonly store: Store;
  /** By driver: the port that its devices reach it at. */
  readonly ports: Readonly<Record<string, number>>;
  readonly adminUrl: string;
}

export interface AgentPorts {
  readonly now?: () => number;
  readonly log?: Logger;
}

const dayMs = 86_400_000;
/** How long a start waits for an agent before it that is still stopping. */
const holdTimeoutMs = 15_000;

/** File in the data directory that says where a running agent is reached. */
export const addressesFile = 'addresses.json';

/**
 * Starts the agent of one building. What stops it is the order of its parts: drivers take in nothing more, then
 * the uplink lets what is on its way arrive, then the store closes.
 */
export async function startAgent(
  config: AgentConfig,
  fail: (error: unknown) => void,
  ports: AgentPorts = {},
): Promise<Agent> {
  const { now = Date.now, log = createLog('gateway-agent') } = ports;
  const { building, dataDirectory } = config;
  const registry = createRegistry({
    service: 'gateway-agent',
    country: countryOf(building).toLowerCase(),
    building,
  });
  const board = new StatusBoard(now);
  const events = board.watching(createAgentEvents(registry, log));
  await using stack = new AsyncDisposableStack();
  stack.use(await holdDirectory(dataDirectory, holdTimeoutMs));

  const drivers: Driver[] = [];
  const commands = await Commands.open({
    directory: join(dataDirectory, 'commands'),
    building,
    events,
    now,
    fail,
    driverOf: (device) => drivers.find((driver) => driver.drives(device)),
  });
  const uplink: Uplink = new Uplink({
    config: config.uplink,
    building,
    events,
    now,
    store: () => store,
  });
  const store = stack.use(
    await openStore({
      ...config.store,
      ageMaxMs: config.store.ageMaxDays && config.store.ageMaxDays * dayMs,
      directory: join(dataDirectory, 'store'),
      events,
      fail,
      now,
      listener: {
        appended: (records) => uplink.appended(records),
        accountChanged: () => uplink.accountChanged(),
      },
    }),
  );
  const renewed = () => uplink.renew();
  stack.use(await startEnrolment({ uplink: config.uplink, events, now, renewed, fail }));
  stack.use(startLoop((signal) => uplink.run(commands, signal), fail));
  stack.use(commands);

  const host = hostOf({ config, store, uplink, commands, events, log, now, fail });
  for (const driver of await startDrivers(config.drivers, dataDirectory, host))
    drivers.push(stack.use(driver));
  commands.resume();

  const admin = stack.use(
    await startAgentAdmin({ config, log, registry, store, uplink, drivers, board, now }),
  );
  const driverPorts = portsOf(drivers);
  const addresses = { admin: admin.url, ...driverPorts };
  await writeAddresses(dataDirectory, addresses);
  log.info(addresses, 'Agent started');
  const parts = stack.move();
  return {
    store,
    ports: driverPorts,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function portsOf(drivers: readonly Driver[]): Record<string, number> {
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

interface HostParts {
  readonly config: AgentConfig;
  readonly store: Store;
  readonly uplink: Uplink;
  readonly commands: Commands;
  readonly events: AgentEvents;
  readonly log: Logger;
  readonly now: () => number;
  readonly fail: (error: unknown) => void;
}

function hostOf(parts: HostParts): DriverHost {
  const { config, store, uplink, commands, events, log, now, fail } = parts;
  const entriesOf = ({ device, payload, history = false, trustTime = false }: Taken): Entry[] => {
    const arrival = { atMs: now(), trustTime: history || trustTime };
    const lane = history ? 'history' : 'live';
    return prepareReadings(payload, arrival).map((reading) => ({ device, lane, reading }));
  };
  return {
    building: config.building,
    log,
    events,
    now,
    fail,
    numbersOf: (device: DeviceId) => store.numbersOf(device),
    reachable: (device) => commands.reachable(device),
    listen: (_name, at) => listenHere(at),
    status: (device, state) => uplink.tellStatus(device, state),
    take: async (taken) => {
      const entries = taken.flatMap(entriesOf);
      if (entries.some(isTooLong))
        throw new PlatformError('PAYLOAD_TOO_LARGE', 'Cannot keep a reading: it is too long');
      await store.append(entries);
      events.devicesHeard(heardIn(entries));
    },
  };
}

function heardIn(entries: readonly Entry[]): { device: string; readings: number }[] {
  const counts = new Map<string, number>();
  for (const { device } of entries) counts.set(device, (counts.get(device) ?? 0) + 1);
  return [...counts].map(([device, readings]) => ({ device, readings }));
}

function isTooLong({ reading }: Entry): boolean {
  const bytes = reading.kind === 'opaque' ? reading.bytes.length : Buffer.byteLength(reading.text);
  return bytes > readingBytesMax;
}
