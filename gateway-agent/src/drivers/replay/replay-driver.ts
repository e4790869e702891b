import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type DeviceId, parseDeviceId } from '@domicile/core/identities.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import { parse } from 'yaml';
import {
  type MetricSource,
  type Recording,
  type ReplayRun,
  parseRecording,
  replayRun,
  rowAt,
  stretchOf,
  valueAt,
} from '../../model/replay.ts';
import type { Driver, DriverHost, Taken } from '../driver.ts';
import { keepPatiently } from '../keep.ts';
import { type Mapping, mappingSchema } from './mapping.ts';
import { Thermostats } from './thermostats.ts';

export interface ReplayDriverConfig {
  readonly mappingFile: string;
  /** Where the thermostats keep what they were set to. */
  readonly directory: string;
}

/** Readings of the past that are kept together. */
const historyBatch = 2000;

interface ReplayedDevice {
  readonly id: DeviceId;
  readonly metrics: readonly (readonly [string, MetricSource])[];
}

interface ReplayedRoom {
  readonly id: string;
  readonly offsetRows: number;
  /** Rooms speak one after the other within a tick. */
  readonly phaseMs: number;
  readonly devices: readonly ReplayedDevice[];
}

/**
 * Devices that say what was recorded, arranged in time: each room another stretch, shifted to now. A first start
 * begins some hours ago; a later one goes on where the store ends.
 */
export async function startReplayDriver(
  config: ReplayDriverConfig,
  host: DriverHost,
): Promise<Driver> {
  const mapping = mappingSchema.parse(parse(await readFile(config.mappingFile, 'utf8')));
  const texts = await Promise.all(
    mapping.files.map((file) => readFile(resolve(dirname(config.mappingFile), file), 'utf8')),
  );
  const recording = parseRecording(texts);
  const thermostats = await Thermostats.open(mapping.thermostats ?? [], config.directory, host);
  const replay = new Replay({ mapping, recording, thermostats, host });
  const loop = startLoop((signal) => replay.run(signal), host.fail);
  return {
    name: 'replay',
    drives: (device) => thermostats.has(device),
    apply: (command) => thermostats.apply(command),
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
}

interface ReplayParts {
  readonly mapping: Mapping;
  readonly recording: Recording;
  readonly thermostats: Thermostats;
  readonly host: DriverHost;
}

class Replay {
  readonly #parts: ReplayParts;
  readonly #rooms: readonly ReplayedRoom[];
  readonly #rows: number;
  readonly #runs = new Map<DeviceId, ReplayRun>();

  constructor(parts: ReplayParts) {
    this.#parts = parts;
    const { mapping, recording, host } = parts;
    this.#rows = Object.values(recording)[0]?.length ?? 0;
    const { length } = mapping.rooms;
    this.#rooms = mapping.rooms.map((room, place) => ({
      id: room,
      offsetRows: stretchOf(host.building, place, length, this.#rows),
      phaseMs: Math.floor((place * mapping.every) / length),
      devices: Object.entries(mapping.devices).map(([suffix, metrics]) => ({
        id: parseDeviceId(`${room}-${suffix}`),
        metrics: Object.entries(metrics),
      })),
    }));
  }

  async run(signal: AbortSignal): Promise<void> {
    const { mapping, host } = this.#parts;
    const { length } = this.#rooms;
    const firstTick = Math.floor(host.now() / mapping.every);
    await this.#catchUp(firstTick, signal);
    // One step is one room's turn in one tick; those that the catching up has made late follow at once.
    let step = firstTick * length;
    while (!signal.aborted) {
      const place = step % length;
      const room = this.#rooms[place];
      const tick = Math.floor(step / length);
      const dueMs = tick * mapping.every + (room?.phaseMs ?? 0);
      await wait(Math.max(0, dueMs - host.now()), undefined, { signal });
      if (room) await this.#keep(this.#live(room, tick), signal);
      step += 1;
    }
  }

  /** What should have been said before the tick of now, in the order of time. */
  async #catchUp(nowTick: number, signal: AbortSignal): Promise<void> {
    const { mapping } = this.#parts;
    const historyTicks = Math.floor(mapping.history / mapping.every);
    let batch: Taken[] = [];
    for (let tick = nowTick - historyTicks; tick < nowTick; tick += 1) {
      for (const room of this.#rooms)
        batch.push(...this.#missing(room, tick, { nowTick, historyTicks }));
      if (batch.length < historyBatch && tick < nowTick - 1) continue;
      await this.#keep(batch, signal);
      batch = [];
    }
  }

  #missing(
    room: ReplayedRoom,
    tick: number,
    at: { nowTick: number; historyTicks: number },
  ): Taken[] {
    return room.devices.flatMap((device) => {
      const run = this.#runOf(device.id, at);
      return tick < run.nextTick ? [] : [{ ...this.#reading(room, device, tick), history: true }];
    });
  }

  /** Asked of the store once: from then on each device's ticks follow each other. */
  #runOf(device: DeviceId, at: { nowTick: number; historyTicks: number }): ReplayRun {
    const known = this.#runs.get(device);
    if (known) return known;
    const run = replayRun(this.#parts.host.numbersOf(device).passed, at);
    this.#runs.set(device, run);
    return run;
  }

  #live(room: ReplayedRoom, tick: number): Taken[] {
    const { thermostats, recording } = this.#parts;
    const readings = room.devices.flatMap((device) => {
      const run = this.#runOf(device.id, { nowTick: tick, historyTicks: 0 });
      return tick < run.nextTick ? [] : [{ ...this.#reading(room, device, tick), trustTime: true }];
    });
    const temperature = recording['Temperature']?.[this.#row(room, tick)] ?? 0;
    return [...readings, ...thermostats.readings(room.id, temperature)];
  }

  #reading(room: ReplayedRoom, { id, metrics }: ReplayedDevice, tick: number): Taken {
    const { mapping, recording } = this.#parts;
    const { boot, firstTick } = this.#runs.get(id) ?? { boot: '', firstTick: 0 };
    const row = this.#row(room, tick);
    const values = Object.fromEntries(
      metrics.map(([metric, source]) => [metric, valueAt(recording, row, source)]),
    );
    const at = new Date(tick * mapping.every + room.phaseMs).toISOString();
    const reading = { boot, seq: tick - firstTick, at, values };
    return { device: id, payload: Buffer.from(JSON.stringify(reading)) };
  }

  #row(room: ReplayedRoom, tick: number): number {
    const { every, speed, rowEvery } = this.#parts.mapping;
    const timing = { everyMs: every, speed, rowMs: rowEvery };
    return rowAt(tick, room.offsetRows, this.#rows, timing);
  }

  #keep(taken: readonly Taken[], signal: AbortSignal): Promise<void> {
    return keepPatiently({ name: 'replay', host: this.#parts.host }, taken, signal);
  }
}
