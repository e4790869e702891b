import { setTimeout as wait } from 'node:timers/promises';
import type { DeviceId } from '@domicile/core/identities.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import { valuesAt } from '../../model/simulation/device-values.ts';
import { stuckSince, withSpike } from '../../model/simulation/faults.ts';
import { type RoomState, type SimulatedRoom, roomAt } from '../../model/simulation/room.ts';
import { type SimulatedRun, simulatedRun } from '../../model/simulation/run.ts';
import { set } from '../../model/simulation/set.ts';
import type { MetricValue } from '../../model/value-rule.ts';
import type { CommandOutcome, DeviceCommand, Driver, DriverHost, Taken } from '../driver.ts';
import { keepPatiently } from '../keep.ts';
import { type BuildingDevice, type SimulatedBuilding, simulatedBuilding } from './building.ts';
import { SetPointFile } from './set-point-file.ts';
import type { SimulateSettings } from './simulate-settings.ts';

/** Readings of the past that are kept together. */
const historyBatch = 2000;
/** A live reading that is late by more goes beside the live ones: its own time would not be believed. */
const liveMsMax = 100_000;
const readingsMax = 500;

/**
 * A building that is not there: rooms with people, days, weather and faults, and devices that take commands. What a device says
 * is a function of the seed and the time alone, so that two runs say the same and a restart neither repeats nor leaves out.
 */
export async function startSimulateDriver(
  settings: SimulateSettings,
  directory: string,
  host: DriverHost,
): Promise<Driver> {
  const building = await simulatedBuilding(settings, host.building);
  const setPoints = await SetPointFile.open(directory);
  const simulation = new Simulation(settings, building, { host, setPoints });
  const loop = startLoop((signal) => simulation.run(signal), host.fail);
  return {
    name: 'simulate',
    drives: (device) => simulation.takesCommands(device),
    apply: (command) => simulation.apply(command),
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
}

interface SimulationParts {
  readonly host: DriverHost;
  readonly setPoints: SetPointFile;
}

class Simulation {
  readonly #settings: SimulateSettings;
  readonly #building: SimulatedBuilding;
  readonly #host: DriverHost;
  readonly #setPoints: SetPointFile;
  readonly #runs = new Map<DeviceId, SimulatedRun>();
  /** Devices that speak together within a tick, in their order. */
  readonly #groups: readonly (readonly [phaseMs: number, devices: readonly BuildingDevice[]])[];

  constructor(
    settings: SimulateSettings,
    building: SimulatedBuilding,
    { host, setPoints }: SimulationParts,
  ) {
    this.#settings = settings;
    this.#building = building;
    this.#host = host;
    this.#setPoints = setPoints;
    const groups = Map.groupBy(building.devices, ({ phaseMs }) => phaseMs);
    this.#groups = [...groups].toSorted(([left], [right]) => left - right);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { every, history } = this.#settings;
    const firstTick = Math.floor(this.#host.now() / every);
    const at = {
      nowTick: firstTick,
      historyTicks: Math.floor(history / every),
      digest: this.#building.digest,
    };
    for (const { id, ticks } of this.#building.devices)
      this.#runs.set(id, simulatedRun(this.#host.numbersOf(id).passed, ticks, at));
    await this.#catchUp(firstTick, signal);
    for (let tick = firstTick; !signal.aborted; tick += 1)
      for (const [phaseMs, devices] of this.#groups) {
        const restMs = tick * every + phaseMs - this.#host.now();
        if (restMs > 0) await wait(restMs, undefined, { signal });
        await this.#keep(
          devices.flatMap((device) => this.#live(device, tick)),
          signal,
        );
      }
  }

  /** What should have been said before the tick of now, in the order of time. */
  async #catchUp(nowTick: number, signal: AbortSignal): Promise<void> {
    const nextTicks = [...this.#runs.values()].map(({ nextTick }) => nextTick);
    const oldest = Math.min(nowTick, ...nextTicks);
    let batch: Taken[] = [];
    for (let tick = oldest; tick < nowTick; tick += 1) {
      const rooms = new RoomStates(tick * this.#settings.every, this.#settings.every);
      for (const device of this.#building.devices) {
        const readings = this.#spoken(device, tick, { rooms, skewMs: 0 });
        batch.push(...readings.map((one) => taken(device, [one], { history: true })));
      }
      if (batch.length < historyBatch && tick < nowTick - 1) continue;
      await this.#keep(batch, signal);
      batch = [];
    }
  }

  /** What a device says at its turn: mostly one reading, none, or what it has saved up. */
  #live(device: BuildingDevice, tick: number): Taken[] {
    if (tick % device.burst !== device.burst - 1) return [];
    const { every } = this.#settings;
    const readings = [];
    const from = this.#runs.get(device.id)?.nextTick ?? tick;
    for (let one = Math.max(from, tick - readingsMax); one <= tick; one += 1) {
      const rooms = new RoomStates(one * every, every);
      readings.push(...this.#spoken(device, one, { rooms, skewMs: device.skewMs }));
    }
    if (readings.length === 0) return [];
    const isLate = this.#host.now() - from * every > liveMsMax;
    return [taken(device, readings, { history: isLate && device.skewMs === 0 })];
  }

  /** The device's reading of a tick, and its run moves on; none if it was silent or has said it. */
  #spoken(
    device: BuildingDevice,
    tick: number,
    { rooms, skewMs }: { readonly rooms: RoomStates; readonly skewMs: number },
  ): object[] {
    const run = this.#runs.get(device.id);
    if (!run || tick < run.nextTick) return [];
    this.#runs.set(device.id, { ...run, nextTick: tick + 1 });
    if (!device.ticks.isSpoken(tick)) return [];
    const { boot, firstTick } = run;
    const atMs = tick * this.#settings.every + device.phaseMs;
    return [
      {
        boot,
        seq: device.ticks.count(firstTick, tick),
        at: new Date(atMs + skewMs).toISOString(),
        values: this.#values(device, { tick, rooms }),
      },
    ];
  }

  #values(
    device: BuildingDevice,
    { tick, rooms }: { readonly tick: number; readonly rooms: RoomStates },
  ): Readonly<Record<string, MetricValue>> {
    const { every, faults } = this.#settings;
    const atMs = tick * every;
    const stuckMs = stuckSince(device, faults, atMs);
    const state =
      stuckMs === undefined ? rooms.of(device.room) : roomAt(device.room, stuckMs, every);
    const setPoints = this.#setPoints.of(device.id);
    const values = valuesAt(device, state, { atMs: stuckMs ?? atMs, setPoints });
    return withSpike(device, faults, { tick, values });
  }

  #deviceOf(id: DeviceId): BuildingDevice | undefined {
    return this.#building.devices.find((device) => device.id === id);
  }

  takesCommands(id: DeviceId): boolean {
    return Object.values(this.#deviceOf(id)?.type.metrics ?? {}).some(({ settable }) => settable);
  }

  async apply({ device: id, set: wanted }: DeviceCommand): Promise<CommandOutcome> {
    const device = this.#deviceOf(id);
    if (!device) return { state: 'failed', reason: 'no such device' };
    const atMs = this.#host.now();
    if (stuckSince(device, this.#settings.faults, atMs) !== undefined)
      return { state: 'failed', reason: 'the device is stuck' };
    const after = set(device.type, this.#setPoints.of(id), { wanted, atMs });
    if ('fault' in after) return { state: 'failed', reason: after.fault };
    await this.#setPoints.set(id, after.setPoints);
    return { state: 'applied' };
  }

  #keep(all: readonly Taken[], signal: AbortSignal): Promise<void> {
    return keepPatiently({ name: 'simulate', host: this.#host }, all, signal);
  }
}

function taken(
  { id }: BuildingDevice,
  readings: readonly object[],
  { history }: { readonly history: boolean },
): Taken {
  const [first, ...more] = readings;
  const payload = Buffer.from(JSON.stringify(more.length === 0 ? first : readings));
  return { device: id, payload, history };
}

/** Devices of a room see the same room. */
class RoomStates {
  readonly #atMs: number;
  readonly #tickMs: number;
  readonly #known = new Map<SimulatedRoom, RoomState>();

  constructor(atMs: number, tickMs: number) {
    this.#atMs = atMs;
    this.#tickMs = tickMs;
  }

  of(room: SimulatedRoom): RoomState {
    const known = this.#known.get(room) ?? roomAt(room, this.#atMs, this.#tickMs);
    this.#known.set(room, known);
    return known;
  }
}
