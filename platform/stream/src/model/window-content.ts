/**
 * What was measured in one window of one building. Devices keep their values; rooms keep aggregates as they go, and floors
 * and the building are merged from rooms when they are told. All of it adds up in any order to the same.
 */
import {
  addValue,
  type Aggregate,
  emptyAggregate,
  encodeAggregate,
  mergeInto,
} from '@domicile/core/aggregate.ts';
import { numericValue, type Reading } from '@domicile/core/reading.ts';
import type { Level, MetricSummary } from '@domicile/core/summary.ts';
import {
  addToSample,
  aggregateOf,
  decodeSample,
  emptySample,
  type EncodedSample,
  encodeSample,
  type Sample,
} from './sample.ts';

interface Told {
  readonly unit: string;
  readonly aggregate: Aggregate;
}
type Metrics = ReadonlyMap<string, Told>;

interface DeviceContent {
  readonly device: string;
  readonly floor: string;
  readonly room: string;
  firstOffset: number;
  isChanged: boolean;
  readonly samples: Map<string, Sample>;
}

interface RoomContent {
  readonly floor: string;
  readonly room: string;
  firstOffset: number;
  isChanged: boolean;
  readonly metrics: Map<string, Told>;
}

/** Something of which a summary tells. */
export interface Part {
  readonly level: Level;
  readonly id: string;
  readonly firstOffset: number;
  readonly metrics: Readonly<Record<string, MetricSummary>>;
}

export type EncodedContent = readonly [
  devices: readonly EncodedDevice[],
  changedRooms: readonly string[],
];
type EncodedDevice = readonly [
  device: string,
  floor: string,
  room: string,
  firstOffset: number,
  isChanged: 0 | 1,
  samples: readonly (readonly [metric: string, sample: EncodedSample])[],
];

export class WindowContent {
  /** A device that was moved within the window has an entry for each place. */
  readonly #devices = new Map<string, DeviceContent>();
  readonly #rooms = new Map<string, RoomContent>();
  #hasChangedRooms = false;

  /** Whether anything came since rooms, floors and building were last told. */
  get isChanged(): boolean {
    return this.#hasChangedRooms;
  }

  /** Readings with text alone leave no trace. */
  take(reading: Reading, offset: number): void {
    const { values, units } = reading;
    let device: DeviceContent | undefined;
    let room: RoomContent | undefined;
    for (const metric in values) {
      const value = numericValue(values[metric] ?? '');
      if (value === null) continue;
      const unit = units[metric] ?? '1';
      device ??= this.#deviceOf(reading, offset);
      room ??= this.#roomOf(reading, offset);
      let sample = device.samples.get(metric);
      if (sample === undefined) device.samples.set(metric, (sample = emptySample(unit)));
      addToSample(sample, value);
      let told = room.metrics.get(metric);
      if (told === undefined)
        room.metrics.set(metric, (told = { unit, aggregate: emptyAggregate() }));
      addValue(told.aggregate, value);
    }
  }

  /** Rooms, floors and the building, where they changed since they were last told. */
  changedRooms(building: string): Part[] {
    if (!this.#hasChangedRooms) return [];
    const rooms = [...this.#rooms.values()];
    const parts = [
      ...partsOf('room', rooms, (one) => one.room),
      ...partsOf('floor', rooms, (one) => one.floor),
      ...partsOf('building', rooms, () => building),
    ];
    for (const room of rooms) room.isChanged = false;
    this.#hasChangedRooms = false;
    return parts;
  }

  /** Devices that changed since they were last told. */
  changedDevices(): Part[] {
    const devices = [...this.#devices.values()];
    const parts = partsOf(
      'device',
      devices.map((one) => ({ ...one, metrics: toldOf(one) })),
      (one) => one.device,
    );
    for (const device of devices) device.isChanged = false;
    return parts;
  }

  encode(): EncodedContent {
    const devices = [...this.#devices.values()].map((one): EncodedDevice => [
      ...([one.device, one.floor, one.room, one.firstOffset] as const),
      one.isChanged ? 1 : 0,
      [...one.samples].map(([metric, sample]) => [metric, encodeSample(sample)] as const),
    ]);
    const changed = [...this.#rooms].filter(([, { isChanged }]) => isChanged);
    return [devices, changed.map(([key]) => key).toSorted()];
  }

  static decode([devices, changedRooms]: EncodedContent): WindowContent {
    const content = new WindowContent();
    for (const [device, floor, room, firstOffset, isChanged, samples] of devices)
      content.#restore(
        { device, floor, room, firstOffset, isChanged: isChanged === 1, samples: new Map() },
        samples,
      );
    for (const room of content.#rooms.values()) room.isChanged = false;
    for (const key of changedRooms) {
      const room = content.#rooms.get(key);
      if (room) room.isChanged = true;
    }
    content.#hasChangedRooms = changedRooms.length > 0;
    return content;
  }

  #restore(device: DeviceContent, samples: EncodedDevice[5]): void {
    this.#devices.set(deviceKey(device), device);
    const room = this.#roomOf(device, device.firstOffset);
    for (const [metric, encoded] of samples) {
      const sample = decodeSample(encoded);
      device.samples.set(metric, sample);
      let told = room.metrics.get(metric);
      if (told === undefined)
        room.metrics.set(metric, (told = { unit: sample.unit, aggregate: emptyAggregate() }));
      mergeInto(told.aggregate, aggregateOf(sample));
    }
  }

  #deviceOf(reading: Reading, offset: number): DeviceContent {
    const key = deviceKey(reading);
    let found = this.#devices.get(key);
    if (found === undefined) {
      const { device, floor, room } = reading;
      found = { device, floor, room, firstOffset: offset, isChanged: true, samples: new Map() };
      this.#devices.set(key, found);
    }
    found.isChanged = true;
    return found;
  }

  #roomOf({ floor, room }: { floor: string; room: string }, offset: number): RoomContent {
    const key = `${floor}/${room}`;
    let found = this.#rooms.get(key);
    if (found === undefined) {
      found = { floor, room, firstOffset: offset, isChanged: true, metrics: new Map() };
      this.#rooms.set(key, found);
    }
    found.firstOffset = Math.min(found.firstOffset, offset);
    found.isChanged = true;
    this.#hasChangedRooms = true;
    return found;
  }
}

function deviceKey({ device, floor, room }: { device: string; floor: string; room: string }) {
  return `${device}/${floor}/${room}`;
}

function toldOf({ samples }: DeviceContent): Metrics {
  return new Map(
    [...samples].map(([metric, sample]) => [
      metric,
      { unit: sample.unit, aggregate: aggregateOf(sample) },
    ]),
  );
}

interface Portion {
  readonly isChanged: boolean;
  readonly firstOffset: number;
  readonly metrics: Metrics;
}

/** Portions by what they belong to, told where one of them changed. */
function partsOf<One extends Portion>(
  level: Level,
  portions: readonly One[],
  idOf: (portion: One) => string,
): Part[] {
  const parts: Part[] = [];
  for (const [id, own] of Map.groupBy(portions, idOf)) {
    if (!own.some(({ isChanged }) => isChanged)) continue;
    const firstOffset = own.reduce((first, one) => Math.min(first, one.firstOffset), Infinity);
    parts.push({ level, id, firstOffset, metrics: encodedMetrics(merged(own)) });
  }
  return parts;
}

function merged(portions: readonly Portion[]): Metrics {
  const [only, ...others] = portions;
  if (only !== undefined && others.length === 0) return only.metrics;
  const all = new Map<string, Told>();
  for (const { metrics } of portions) {
    for (const [metric, { unit, aggregate }] of metrics) {
      let told = all.get(metric);
      if (told === undefined) all.set(metric, (told = { unit, aggregate: emptyAggregate() }));
      mergeInto(told.aggregate, aggregate);
    }
  }
  return all;
}

function encodedMetrics(metrics: Metrics): Record<string, MetricSummary> {
  const encoded: Record<string, MetricSummary> = {};
  for (const [metric, { unit, aggregate }] of metrics)
    encoded[metric] = { unit, aggregate: encodeAggregate(aggregate) };
  return encoded;
}
