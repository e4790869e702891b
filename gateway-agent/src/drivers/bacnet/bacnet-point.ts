import type { DeviceId } from '@domicile/core/identities.ts';
import {
  type BacnetObject,
  type ObjectMap,
  meaningOf,
  wordOf,
} from '../../model/bacnet-objects.ts';
import type { MetricValue } from '../../model/value-rule.ts';
import type { CommandOutcome, DeviceCommand, DriverHost } from '../driver.ts';
import { DeviceSilent } from '../poll-loop.ts';
import { type BacnetChannel, BacnetRefusal } from './bacnet-channel.ts';

export interface PointParts {
  readonly device: DeviceId;
  readonly address: string;
  readonly map: ObjectMap;
  readonly retriesMax: number;
  readonly channel: BacnetChannel;
  readonly host: DriverHost;
}

type Entry = readonly [metric: string, object: BacnetObject];

/** Objects of one question: its answer stays below the smallest packet that devices must take. */
const objectsMax = 20;

/** The objects of one device. */
export class BacnetPoints {
  readonly #parts: PointParts;
  readonly #told = new Set<string>();
  #readsMany = true;

  constructor(parts: PointParts) {
    this.#parts = parts;
  }

  get entries(): readonly Entry[] {
    return Object.entries(this.#parts.map);
  }

  get isSettable(): boolean {
    return this.entries.some(([, { write }]) => write);
  }

  /** Throws `DeviceSilent`. */
  async read(): Promise<Record<string, MetricValue>> {
    const values: Record<string, MetricValue> = {};
    const { entries } = this;
    for (let at = 0; at < entries.length; at += objectsMax)
      Object.assign(values, await this.#readGroup(entries.slice(at, at + objectsMax)));
    return values;
  }

  async #readGroup(group: readonly Entry[]): Promise<Record<string, MetricValue>> {
    const told = this.#readsMany ? await this.#readMany(group) : undefined;
    if (told) return this.#meaning(group, told);
    const values: Record<string, MetricValue> = {};
    for (const entry of group)
      Object.assign(values, this.#meaning([entry], [await this.#readOne(entry)]));
    return values;
  }

  /** Undefined if the device does not take such a question; then it is not asked so again. */
  async #readMany(group: readonly Entry[]): Promise<unknown[] | undefined> {
    const { channel, address } = this.#parts;
    const ids = group.map(([, { object }]) => object.id);
    try {
      return await this.patiently(() => channel.readMany(address, ids));
    } catch (error) {
      if (!(error instanceof BacnetRefusal)) throw error;
      this.#readsMany = false;
      return undefined;
    }
  }

  async #readOne([metric, { object }]: Entry): Promise<unknown> {
    const { channel, address } = this.#parts;
    try {
      return await this.patiently(() => channel.read(address, object.id));
    } catch (error) {
      if (!(error instanceof BacnetRefusal)) throw error;
      this.complain(metric, error.message);
      return undefined;
    }
  }

  #meaning(group: readonly Entry[], told: readonly unknown[]): Record<string, MetricValue> {
    const values: Record<string, MetricValue> = {};
    for (const [index, [metric, object]] of group.entries()) {
      const meaning = this.meaningOf(metric, object, told[index]);
      if (meaning !== undefined) values[metric] = meaning;
    }
    return values;
  }

  /** Undefined, and counted, for what is no value. */
  meaningOf(metric: string, object: BacnetObject, told: unknown): MetricValue | undefined {
    const meaning = told === undefined ? { fault: 'is not there' } : meaningOf(object, told);
    if ('value' in meaning) return meaning.value;
    this.complain(metric, meaning.fault);
    return undefined;
  }

  async patiently<Result>(ask: () => Promise<Result>): Promise<Result> {
    for (let retry = 0; ; retry += 1) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof DeviceSilent) || retry >= this.#parts.retriesMax) throw error;
      }
    }
  }

  /** Counted each time, told once. */
  complain(metric: string, fault: string): void {
    const { host, device } = this.#parts;
    host.events.readingRefused('bacnet', 'object');
    if (this.#told.has(`${metric} ${fault}`)) return;
    this.#told.add(`${metric} ${fault}`);
    host.log.warn({ device, metric, fault }, 'An object cannot be read');
  }

  /** Writes, then reads back: a higher priority may hold the value. A write is never repeated. */
  async set(wanted: DeviceCommand['set']): Promise<CommandOutcome> {
    const writes = this.#writesOf(wanted);
    if (typeof writes === 'string') return { state: 'failed', reason: writes };
    let isTouched = false;
    try {
      for (const { object, word } of writes) {
        const { channel, address } = this.#parts;
        await channel.write(address, object.object.id, { ...word, priority: object.priority });
        isTouched = true;
      }
      return await this.#confirmed(writes);
    } catch (error) {
      if (error instanceof BacnetRefusal)
        return isTouched
          ? { state: 'unknown', reason: `part of it was done, then ${error.message}` }
          : { state: 'failed', reason: error.message };
      if (error instanceof DeviceSilent)
        return { state: 'unknown', reason: `the device may have done it: ${error.message}` };
      throw error;
    }
  }

  #writesOf(wanted: DeviceCommand['set']): Write[] | string {
    const writes: Write[] = [];
    for (const [metric, value] of Object.entries(wanted)) {
      const object = Object.hasOwn(this.#parts.map, metric) ? this.#parts.map[metric] : undefined;
      if (!object?.write) return `${metric} cannot be set`;
      const word = wordOf(object, value);
      if ('fault' in word) return `${metric} ${word.fault}`;
      writes.push({ metric, object, word });
    }
    return writes.length > 0 ? writes : 'the command sets nothing';
  }

  async #confirmed(writes: readonly Write[]): Promise<CommandOutcome> {
    const { channel, address } = this.#parts;
    for (const { metric, object, word } of writes) {
      const now = await this.patiently(() => channel.read(address, object.object.id));
      const isSame =
        typeof now === 'number' &&
        Math.abs(now - word.value) <= 1e-6 * Math.max(1, Math.abs(word.value));
      if (!isSame)
        return {
          state: 'failed',
          reason: `${metric} was written and is not so: a higher priority may hold it`,
        };
    }
    return { state: 'applied' };
  }
}

interface Write {
  readonly metric: string;
  readonly object: BacnetObject;
  readonly word: { readonly tag: number; readonly value: number };
}
