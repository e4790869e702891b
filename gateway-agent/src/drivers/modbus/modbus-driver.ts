import { type DeviceId, parseDeviceId } from '@domicile/core/identities.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import {
  type Register,
  type RegisterMap,
  type RegisterRead,
  decodeRegister,
  encodeRegister,
  planReads,
} from '../../model/modbus-registers.ts';
import type { MetricValue } from '../../model/value-rule.ts';
import type { CommandOutcome, DeviceCommand, Driver, DriverHost } from '../driver.ts';
import { DeviceSilent, PollLoop } from '../poll-loop.ts';
import { ModbusChannel, ModbusRefusal } from './modbus-channel.ts';
import type { ModbusLine, ModbusSettings } from './modbus-settings.ts';

/** Asks Modbus TCP devices for their registers, and sets those that commands may set. */
export async function startModbusDriver(
  { maps, lines }: ModbusSettings,
  host: DriverHost,
): Promise<Driver> {
  const started = lines.map((line) => startLine(line, maps, host));
  const lineOf = (device: DeviceId) => started.find((line) => line.devices.has(device));
  return {
    name: 'modbus',
    drives: (device) => lineOf(device)?.takesCommands(device) ?? false,
    apply: async (command) =>
      (await lineOf(command.device)?.apply(command)) ?? {
        state: 'failed',
        reason: 'no such device',
      },
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((line) => line[Symbol.asyncDispose]()));
    },
  };
}

function startLine(settings: ModbusLine, maps: ModbusSettings['maps'], host: DriverHost): Line {
  const { host: address, port, timeoutMs, retriesMax, devices } = settings;
  const units = [...new Set(devices.map(({ unit }) => unit))];
  const channel = new ModbusChannel({ host: address, port, timeoutMs, units });
  const meters = devices.map(({ device, unit, every, map, registers }) => {
    const all = { ...(map !== undefined && maps[map]), ...registers };
    const id = parseDeviceId(device);
    return new Meter({ device: id, unit, everyMs: every, map: all, retriesMax, channel, host });
  });
  return new Line(settings, meters, { channel, host });
}

interface LineParts {
  readonly channel: ModbusChannel;
  readonly host: DriverHost;
}

class Line implements AsyncDisposable {
  readonly devices: ReadonlyMap<DeviceId, Meter>;
  readonly #channel: ModbusChannel;
  readonly #polls: PollLoop;
  readonly #loop: AsyncDisposable;

  constructor({ backOffMsMax }: ModbusLine, meters: readonly Meter[], parts: LineParts) {
    const { channel, host } = parts;
    this.#channel = channel;
    this.devices = new Map(meters.map((meter) => [meter.device, meter]));
    this.#polls = new PollLoop({
      name: 'modbus',
      host,
      backOffMsMax,
      devices: meters.map((meter) => ({
        device: meter.device,
        everyMs: meter.everyMs,
        read: () => meter.read(),
      })),
    });
    this.#loop = startLoop((signal) => this.#polls.run(signal), host.fail);
  }

  takesCommands(device: DeviceId): boolean {
    return (this.devices.get(device)?.isSettable ?? false) && this.#polls.isThere(device);
  }

  async apply({ device, set }: DeviceCommand): Promise<CommandOutcome> {
    const meter = this.devices.get(device);
    if (!meter) return { state: 'failed', reason: 'no such device' };
    const outcome = await this.#polls.inTurn(() => meter.set(set));
    this.#polls.soon(device);
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What waits for an answer hears that there is none.
    this.#channel.end();
    await this.#loop[Symbol.asyncDispose]();
  }
}

interface MeterParts {
  readonly device: DeviceId;
  readonly unit: number;
  readonly everyMs: number;
  readonly map: RegisterMap;
  readonly retriesMax: number;
  readonly channel: ModbusChannel;
  readonly host: DriverHost;
}

type Write = readonly [
  metric: string,
  register: Register,
  words: readonly number[],
  value: MetricValue,
];

/** One device behind a line. */
class Meter {
  readonly #parts: MeterParts;
  readonly #told = new Set<string>();
  #plan: readonly RegisterRead[];

  constructor(parts: MeterParts) {
    this.#parts = parts;
    this.#plan = planReads(parts.map);
  }

  get device(): DeviceId {
    return this.#parts.device;
  }

  get everyMs(): number {
    return this.#parts.everyMs;
  }

  get isSettable(): boolean {
    return Object.values(this.#parts.map).some(({ write }) => write);
  }

  /** Throws `DeviceSilent`. */
  async read(): Promise<Record<string, MetricValue>> {
    const values: Record<string, MetricValue> = {};
    for (const read of this.#plan) Object.assign(values, await this.#readGroup(read));
    return values;
  }

  async #readGroup(read: RegisterRead): Promise<Record<string, MetricValue>> {
    const { channel, unit } = this.#parts;
    try {
      const words = await this.#patiently(() => channel.read(unit, read));
      return this.#valuesIn(read, words);
    } catch (error) {
      if (!(error instanceof ModbusRefusal)) throw error;
      if (read.metrics.length === 1) this.#complain(read.metrics[0] ?? '', error.message);
      else this.#split(read);
      return {};
    }
  }

  /** A device that refuses a group may have gaps: from now on each of its registers is asked for alone. */
  #split(read: RegisterRead): void {
    const alone = read.metrics.flatMap((metric) => {
      const register = this.#parts.map[metric];
      return register ? planReads({ [metric]: register }) : [];
    });
    this.#plan = this.#plan.flatMap((one) => (one === read ? alone : [one]));
  }

  async #patiently<Result>(ask: () => Promise<Result>): Promise<Result> {
    for (let retry = 0; ; retry += 1) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof DeviceSilent) || retry >= this.#parts.retriesMax) throw error;
      }
    }
  }

  #valuesIn(read: RegisterRead, words: readonly number[]): Record<string, MetricValue> {
    const values: Record<string, MetricValue> = {};
    for (const metric of read.metrics) {
      const register = this.#parts.map[metric];
      const decoded = register && decodeRegister(register, read, words);
      if (!decoded) continue;
      if ('fault' in decoded) this.#complain(metric, decoded.fault);
      else values[metric] = decoded.value;
    }
    return values;
  }

  /** Counted each time, told once. */
  #complain(metric: string, fault: string): void {
    const { host, device } = this.#parts;
    host.events.readingRefused('modbus', 'register');
    if (this.#told.has(`${metric} ${fault}`)) return;
    this.#told.add(`${metric} ${fault}`);
    host.log.warn({ device, metric, fault }, 'A register cannot be read');
  }

  /** Writes, then reads back: the device's word is what it says then. A write is never repeated. */
  async set(wanted: DeviceCommand['set']): Promise<CommandOutcome> {
    const writes = this.#writesOf(wanted);
    if ('fault' in writes) return { state: 'failed', reason: writes.fault };
    let isTouched = false;
    try {
      for (const [, register, words] of writes.all) {
        await this.#parts.channel.write(this.#parts.unit, register, words);
        isTouched = true;
      }
      return await this.#confirmed(writes.all);
    } catch (error) {
      if (error instanceof ModbusRefusal)
        return isTouched
          ? { state: 'unknown', reason: `part of it was done, then ${error.message}` }
          : { state: 'failed', reason: error.message };
      if (error instanceof DeviceSilent)
        return error.message.startsWith('no connection') && !isTouched
          ? { state: 'failed', reason: error.message }
          : { state: 'unknown', reason: `the device may have done it: ${error.message}` };
      throw error;
    }
  }

  #writesOf(wanted: DeviceCommand['set']): { all: Write[] } | { fault: string } {
    const all: Write[] = [];
    for (const [metric, value] of Object.entries(wanted)) {
      const register = Object.hasOwn(this.#parts.map, metric) ? this.#parts.map[metric] : undefined;
      if (!register?.write) return { fault: `${metric} cannot be set` };
      const encoded = encodeRegister(register, value);
      if ('fault' in encoded) return { fault: `${metric} ${encoded.fault}` };
      all.push([metric, register, encoded.words, value]);
    }
    return all.length > 0 ? { all } : { fault: 'the command sets nothing' };
  }

  async #confirmed(writes: readonly Write[]): Promise<CommandOutcome> {
    for (const [metric, register, words] of writes) {
      const [read] = planReads({ [metric]: register });
      if (!read) continue;
      const now = await this.#patiently(() => this.#parts.channel.read(this.#parts.unit, read));
      const isSame = words.every((word, index) =>
        register.table === 'coil' ? (word !== 0) === (now[index] !== 0) : word === now[index],
      );
      if (!isSame) return { state: 'failed', reason: `the device did not take ${metric}` };
    }
    return { state: 'applied' };
  }
}
