import { countryOf } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import type { Logger } from 'pino';
import { ClockKeeper, type MachineClock, machineClock } from './clock-keeper.ts';
import type { AgentConfig } from './config.ts';
import type { Driver } from './drivers/driver.ts';
import { startDrivers } from './drivers/start-drivers.ts';
import { startDuty, writePid } from './duty.ts';
import { type AgentEvents, createAgentEvents } from './events.ts';
import { Intake } from './intake.ts';
import type { StoredRecord } from './model/record.ts';
import { type Agent, RunningAgent } from './running-agent.ts';
import { StatusBoard } from './status/board.ts';
import { holdDirectory } from './store/hold-directory.ts';
import { openStore } from './store/open-store.ts';
import { StoreSet } from './store/store-set.ts';
import type { Inheritance } from './upgrade/inheritance.ts';
import { predecessorOf } from './upgrade/predecessor.ts';
import { SocketKeeper } from './upgrade/socket-keeper.ts';
import { Uplink } from './uplink/uplink.ts';

export interface AgentPorts {
  readonly now?: () => number;
  /** The machine's clocks; absent: those of Linux. */
  readonly machine?: MachineClock;
  readonly log?: Logger;
  /** What this process was started with, if another agent started it or a supervisor listens for it. */
  readonly inheritance?: Inheritance;
}

/** How long a start waits for an agent before it that is still stopping. */
const holdTimeoutMs = 15_000;
/** How long a successor waits for the agent before it to let go: its commands may take their time. */
const dutyTimeoutMs = 120_000;
const dayMs = 86_400_000;

/**
 * Starts the agent of one building. What stops it is the order of its parts: drivers take in nothing more, then
 * the uplink lets what is on its way arrive, then the store closes.
 */
export async function startAgent(
  config: AgentConfig,
  fail: (error: unknown) => void,
  ports: AgentPorts = {},
): Promise<Agent> {
  const { now = Date.now, log = createLog('gateway-agent'), inheritance } = ports;
  const { building, dataDirectory } = config;
  const registry = createRegistry({
    service: 'gateway-agent',
    country: countryOf(building).toLowerCase(),
    building,
  });
  const board = new StatusBoard(now);
  const events = board.watching(createAgentEvents(registry, log));
  await using stack = new AsyncDisposableStack();
  const predecessor = inheritance?.isSuccessor ? predecessorOf() : undefined;
  const hold = predecessor ? undefined : await holdDirectory(dataDirectory, holdTimeoutMs);
  if (hold) stack.use(hold);

  const which = predecessor ? 'new' : 'newest';
  const clock = stack.use(
    await ClockKeeper.open({
      dataDirectory,
      ...config.clock,
      machine: ports.machine ?? (await machineClock(now)),
      events,
    }),
  );
  const { stores, uplink } = await openStores(which, { config, clock, events, fail, now });
  stack.use(stores);
  const intake = new Intake({ config, stores, uplink, clock, events, log, now, fail });
  const keeper = new SocketKeeper({
    inherited: inheritance?.sockets ?? new Map(),
    oldestPendingMs: () => intake.oldestPendingMs,
  });
  await predecessor?.readyToListen();
  await using listening = new AsyncDisposableStack();
  const drivers: Driver[] = [];
  const host = intake.hostWith(keeper);
  for (const driver of await startDrivers(config.drivers, dataDirectory, host, 'listening'))
    drivers.push(listening.use(driver));
  await writePid(dataDirectory);
  predecessor?.listening();

  const agent = new RunningAgent({ config, stores, uplink, keeper, drivers, log, fail });
  const duty = await startDuty({
    config,
    stores,
    uplink,
    host,
    drivers,
    events,
    board,
    registry,
    log,
    now,
    fail,
    hold: hold ?? (await holdDirectory(dataDirectory, dutyTimeoutMs)),
    upgrade: () => agent.upgrade(),
  });
  intake.carry(duty.commands);
  agent.begin({ listening: listening.move(), duty, stores: stack.move() });
  return agent;
}

interface StoreParts {
  readonly config: AgentConfig;
  readonly clock: ClockKeeper;
  readonly events: AgentEvents;
  readonly now: () => number;
  readonly fail: (error: unknown) => void;
}

/** The stores, and the uplink that is told of what they keep. */
async function openStores(
  which: 'newest' | 'new',
  { config, clock, events, fail, now }: StoreParts,
): Promise<{ stores: StoreSet; uplink: Uplink }> {
  const { building, dataDirectory } = config;
  const uplink: Uplink = new Uplink({
    config: config.uplink,
    building,
    events,
    now,
    store: () => stores.main,
    older: () => stores.older,
    bodyOf: (record) => clock.bodyOf(record),
  });
  const listener = {
    appended: (records: readonly StoredRecord[]) => uplink.appended(records),
    accountChanged: () => uplink.accountChanged(),
  };
  const ageMaxMs = config.store.ageMaxDays && config.store.ageMaxDays * dayMs;
  const storeOptions = { ...config.store, ageMaxMs, events, fail, now };
  const stores: StoreSet = await StoreSet.begin(which, {
    dataDirectory,
    open: (directory) => openStore({ ...storeOptions, directory, listener }),
  });
  return { stores, uplink };
}
