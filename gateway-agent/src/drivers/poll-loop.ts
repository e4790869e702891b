import { setTimeout as wait } from 'node:timers/promises';
import type { DeviceId } from '@domicile/core/identities.ts';
import { type PollState, afterAnswer, afterSilence } from '../model/poll-schedule.ts';
import type { MetricValue } from '../model/value-rule.ts';
import type { DriverHost, Taken } from './driver.ts';
import { keepPatiently } from './keep.ts';

/** A device did not answer, or not in time. */
export class DeviceSilent extends Error {
  override readonly name = 'DeviceSilent';
}

export interface PolledDevice {
  readonly device: DeviceId;
  readonly everyMs: number;
  /** Bounded by itself. Throws `DeviceSilent`. */
  readonly read: () => Promise<Readonly<Record<string, MetricValue>>>;
}

export interface PollLoopOptions {
  /** Of the driver. */
  readonly name: string;
  readonly host: DriverHost;
  readonly backOffMsMax: number;
  readonly devices: readonly PolledDevice[];
}

/**
 * Asks the devices of one line, one at a time. What was read is kept before anything more is asked: a store that refuses holds the
 * line back. A silent device is asked less and less, and its status told; the others keep their rhythm.
 */
export class PollLoop {
  readonly #options: PollLoopOptions;
  readonly #states: Map<PolledDevice, PollState>;
  #turn: Promise<unknown> = Promise.resolve();
  #wake: () => void = () => undefined;

  constructor(options: PollLoopOptions) {
    this.#options = options;
    const { devices, host } = options;
    const nowMs = host.now();
    // Spread over their rhythm, so that a line is not asked everything at once.
    this.#states = new Map(
      devices.map((one, place) => {
        const dueMs = nowMs + Math.floor((place * one.everyMs) / devices.length);
        return [one, { dueMs, failures: 0 }];
      }),
    );
  }

  /** Its last question was answered, or none was asked yet. */
  isThere(device: DeviceId): boolean {
    const state = this.#stateOf(device);
    return state !== undefined && state[1].failures === 0;
  }

  #stateOf(device: DeviceId): [PolledDevice, PollState] | undefined {
    return [...this.#states].find(([one]) => one.device === device);
  }

  /** Asks this device next. */
  soon(device: DeviceId): void {
    const [polled, state] = this.#stateOf(device) ?? [];
    if (polled && state) this.#states.set(polled, { ...state, dueMs: this.#options.host.now() });
    this.#wake();
  }

  /** Nothing else goes over the line meanwhile. */
  inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const acted = this.#turn.then(act);
    this.#turn = acted.catch(() => undefined);
    return acted;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = [...this.#states].toSorted(([, left], [, right]) => left.dueMs - right.dueMs)[0];
      if (!next) return;
      const [polled, state] = next;
      const restMs = state.dueMs - this.#options.host.now();
      if (restMs > 0) await this.#sleep(restMs, signal);
      else await this.#poll(polled, state, signal);
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await wait(Math.min(ms, 60_000), undefined, {
      signal: AbortSignal.any([signal, woken.signal]),
    }).catch(() => signal.throwIfAborted());
  }

  async #poll(polled: PolledDevice, before: PollState, signal: AbortSignal): Promise<void> {
    const { host, name, backOffMsMax } = this.#options;
    const { device, everyMs } = polled;
    const timing = { everyMs, backOffMsMax };
    const isFirst = before.failures === 0;
    try {
      const atMs = host.now();
      const values = await this.inTurn(() => polled.read());
      signal.throwIfAborted();
      this.#states.set(polled, afterAnswer(before, host.now(), timing));
      this.#tell(device, 'online');
      if (!isFirst) host.reachable(device);
      if (Object.keys(values).length === 0) return;
      await keepPatiently({ name, host }, [polledReading(device, atMs, values)], signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof DeviceSilent)) throw error;
      this.#states.set(polled, afterSilence(before, host.now(), timing));
      host.events.readingRefused(name, 'silent');
      this.#tell(device, 'offline');
      if (isFirst)
        host.log.warn({ device, driver: name, reason: error.message }, 'Device is silent');
    }
  }

  readonly #told = new Map<DeviceId, 'online' | 'offline'>();

  #tell(device: DeviceId, state: 'online' | 'offline'): void {
    if (this.#told.get(device) === state) return;
    this.#told.set(device, state);
    this.#options.host.status(device, state);
  }
}

/** What the driver asked for: its own clock says when. */
export function polledReading(
  device: DeviceId,
  atMs: number,
  values: Readonly<Record<string, MetricValue>>,
): Taken {
  const at = new Date(atMs).toISOString();
  const payload = Buffer.from(JSON.stringify({ at, timeSource: 'gateway', values }));
  return { device, payload, trustTime: true };
}
