import { PlatformError } from '@domicile/core/errors.ts';
import type { Logger } from 'pino';
import type { ClockKeeper } from './clock-keeper.ts';
import type { Commands } from './commands.ts';
import type { AgentConfig } from './config.ts';
import type { DriverHost, Taken } from './drivers/driver.ts';
import type { AgentEvents } from './events.ts';
import { readingBytesMax } from './model/batches.ts';
import { prepareReadings } from './model/reading.ts';
import type { StoreSet } from './store/store-set.ts';
import type { Entry } from './store/store.ts';
import type { SocketKeeper } from './upgrade/socket-keeper.ts';
import type { Uplink } from './uplink/uplink.ts';

export interface IntakeParts {
  readonly config: Pick<AgentConfig, 'building'>;
  readonly stores: Pick<StoreSet, 'main' | 'numbersOf'>;
  readonly uplink: Pick<Uplink, 'tellStatus'>;
  readonly clock: Pick<ClockKeeper, 'arrival'>;
  readonly events: AgentEvents;
  readonly log: Logger;
  readonly now: () => number;
  readonly fail: (error: unknown) => void;
}

/** What drivers give to the agent: readings, and what is known of devices. */
export class Intake {
  /** Absent until this process carries commands. */
  #commands: Pick<Commands, 'reachable'> | undefined;
  readonly #parts: IntakeParts;
  /** When the readings came that are not on disk yet. */
  readonly #pending = new Set<{ readonly fromMs: number }>();

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** By `performance.now()`; `Infinity` if all that came is on disk or was refused. */
  get oldestPendingMs(): number {
    const [oldest] = this.#pending;
    return oldest?.fromMs ?? Infinity;
  }

  /** From now on commands are carried; devices may have come before, and commands may wait for them. */
  carry(commands: Pick<Commands, 'reachable'>): void {
    this.#commands = commands;
    commands.reachable();
  }

  hostWith(keeper: Pick<SocketKeeper, 'listen'>): DriverHost {
    const { config, stores, uplink, events, log, now, fail } = this.#parts;
    return {
      building: config.building,
      log,
      events,
      now,
      fail,
      numbersOf: (device) => stores.numbersOf(device),
      reachable: (device) => this.#commands?.reachable(device),
      listen: (name, at) => keeper.listen(name, at),
      status: (device, state) => uplink.tellStatus(device, state),
      take: (taken) => this.#take(taken),
    };
  }

  async #take(taken: readonly Taken[]): Promise<void> {
    const { stores, events } = this.#parts;
    const entries = taken.flatMap((one) => this.#entriesOf(one));
    if (entries.some(isTooLong))
      throw new PlatformError('PAYLOAD_TOO_LARGE', 'Cannot keep a reading: it is too long');
    const pending = { fromMs: performance.now() };
    this.#pending.add(pending);
    try {
      await stores.main.append(entries);
    } finally {
      this.#pending.delete(pending);
    }
    events.devicesHeard(heardIn(entries));
  }

  #entriesOf({ device, payload, history = false, trustTime = false }: Taken): Entry[] {
    const { clock, events } = this.#parts;
    const arrival = { at: clock.arrival(), trustTime: history || trustTime };
    const lane = history ? 'history' : 'live';
    return prepareReadings(payload, arrival).map((reading) => {
      if (reading.kind !== 'opaque' && reading.offMs !== undefined)
        events.deviceClockOff(device, reading.offMs);
      return { device, lane, reading };
    });
  }
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
