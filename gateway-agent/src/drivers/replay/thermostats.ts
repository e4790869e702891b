import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DeviceId, parseDeviceId } from '@domicile/core/identities.ts';
import { z } from 'zod';
import { replaceFile } from '../../store/files.ts';
import type { CommandOutcome, DeviceCommand, DriverHost, Taken } from '../driver.ts';

const fileName = 'thermostats.json';
const targetSchema = z.number().min(5).max(35);
const modeSchema = z.string().min(1).max(32);
const stateSchema = z.object({ target: targetSchema, mode: modeSchema });
type State = z.output<typeof stateSchema>;

const settableSchema = z.strictObject({
  target_temperature: targetSchema.optional(),
  mode: modeSchema.optional(),
});

/** Simulated thermostats: they take `target_temperature` and `mode`, keep them, and report them. */
export class Thermostats {
  readonly #directory: string;
  readonly #host: DriverHost;
  readonly #states: Map<DeviceId, State>;
  readonly #temperatures = new Map<DeviceId, number>();

  private constructor(directory: string, host: DriverHost, states: Map<DeviceId, State>) {
    this.#directory = directory;
    this.#host = host;
    this.#states = states;
  }

  static async open(
    rooms: readonly string[],
    directory: string,
    host: DriverHost,
  ): Promise<Thermostats> {
    await mkdir(directory, { recursive: true });
    const kept = await readStates(join(directory, fileName));
    const states = rooms.map((room): [DeviceId, State] => {
      const device = thermostatOf(room);
      return [device, kept[device] ?? { target: 21, mode: 'auto' }];
    });
    return new Thermostats(directory, host, new Map(states));
  }

  has(device: DeviceId): boolean {
    return this.#states.has(device);
  }

  /** What the thermostat of a room says at a temperature; empty if it has none. */
  readings(room: string, temperature: number): Taken[] {
    const device = thermostatOf(room);
    if (!this.#states.has(device)) return [];
    this.#temperatures.set(device, temperature);
    return [this.#reading(device)];
  }

  async apply({ device, set }: DeviceCommand): Promise<CommandOutcome> {
    const state = this.#states.get(device);
    if (!state) return { state: 'failed', reason: 'no such thermostat' };
    const wanted = settableSchema.safeParse(set);
    if (!wanted.success || Object.keys(set).length === 0)
      return {
        state: 'failed',
        reason: 'a thermostat takes target_temperature (5 to 35) and mode',
      };
    const { target_temperature: target = state.target, mode = state.mode } = wanted.data;
    this.#states.set(device, { target, mode });
    await replaceFile(
      this.#directory,
      fileName,
      Buffer.from(JSON.stringify(Object.fromEntries(this.#states))),
    );
    await this.#host.take([this.#reading(device)]);
    return { state: 'applied' };
  }

  #reading(device: DeviceId): Taken {
    const { target, mode } = this.#states.get(device) ?? { target: 21, mode: 'auto' };
    const temperature = this.#temperatures.get(device) ?? target;
    const values = {
      temperature,
      target_temperature: target,
      heating: mode !== 'off' && temperature < target,
      mode,
    };
    return { device, payload: Buffer.from(JSON.stringify({ values })) };
  }
}

function thermostatOf(room: string): DeviceId {
  return parseDeviceId(`${room}-thermostat`);
}

/** What cannot be read is forgotten: a simulated thermostat begins as a new one. */
async function readStates(path: string): Promise<Record<string, State>> {
  try {
    return z.record(z.string(), stateSchema).parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return {};
  }
}
