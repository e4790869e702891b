/**
 * What was measured in one window of one building. While it is open, rooms keep aggregates as they go; floors and the
 * building are merged from rooms when they are told. Once closed only the devices are kept. All of it adds up in any
 * order to the same.
 */
import {
  type Aggregate,
  emptyAggregate,
  encodeAggregate,
  mergeInto,
} from '@domicile/core/aggregate.ts';
import type { Reading } from '@domicile/core/reading.ts';
import type { Level, MetricSummary } from '@domicile/core/summary.ts';
import { type Columns, columnsOf, DeviceContent, type EncodedDevice } from './device-content.ts';

interface Told {
  readonly unit: string;
  readonly aggregate: Aggregate;
}
type Metrics = ReadonlyMap<string, Told>;

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

/** `changedRooms` is null when the window is closed. */
export type EncodedContent = readonly [
  devices: readonly EncodedDevice[],
  changedRooms: readonly string[] | null,
];

export class WindowContent {
  readonly #devices = new Map<string, DeviceContent>();
  /** Of an open window. */
  #rooms: Map<string, RoomContent> | undefined = new Map();
  /** Where the values of a device's content go besides. */
  #roomsOfDevices = new Map<DeviceContent, { room: RoomContent; aggregates: Aggregate[] }>();
  #isChanged = false;

  /** Whether anything came since it was last told. */
  get isChanged(): boolean {
    return this.#isChanged;
  }

  /** Readings with text alone leave no trace. */
  take(reading: Reading, offset: number): void {
    const content = this.#contentOf(reading, offset);
    if (content === undefined) return;
    this.#isChanged = true;
    if (this.#rooms === undefined) {
      content.take(reading, nothing);
      return;
    }
    const { room, aggregates } = this.#roomOf(this.#rooms, content);
    if (offset < room.firstOffset) room.firstOffset = offset;
    room.isChanged = true;
    content.take(reading, aggregates);
  }

  /** Rooms, floors and the building, where they changed since they were last told. */
  roomParts(building: string): Part[] {
    if (!this.#isChanged) return [];
    const rooms = [...(this.#rooms ?? roomsFrom(this.#contents())).values()];
    const parts = [
      ...partsOf('room', rooms, (one) => one.room),
      ...partsOf('floor', rooms, (one) => one.floor),
      ...partsOf('building', rooms, () => building),
    ];
    for (const room of rooms) room.isChanged = false;
    this.#isChanged = false;
    return parts;
  }

  /** Everything that changed since it was last told, devices too. */
  allParts(building: string): Part[] {
    const parts = this.roomParts(building);
    for (const [device, content] of this.#devices) {
      const contents = chainOf(content);
      if (!contents.some(({ isChanged }) => isChanged)) continue;
      parts.push(devicePart(device, contents));
      for (const one of contents) one.isChanged = false;
    }
    return parts;
  }

  /** All rooms are to be told again. */
  markChanged(): void {
    for (const room of this.#rooms?.values() ?? []) room.isChanged = true;
    this.#isChanged = this.#devices.size > 0;
  }

  /** Rooms are given up; what comes after all is told from the devices. */
  close(): void {
    this.#rooms = undefined;
    this.#roomsOfDevices = new Map();
  }

  encode(): EncodedContent {
    const devices = [...this.#contents()].map((content) => content.encode());
    if (this.#rooms === undefined) return [devices, null];
    const changed = [...this.#rooms].filter(([, { isChanged }]) => isChanged);
    return [devices, changed.map(([key]) => key).toSorted()];
  }

  static decode([devices, changedRooms]: EncodedContent): WindowContent {
    const content = new WindowContent();
    for (const encoded of devices) content.#add(DeviceContent.decode(encoded));
    if (changedRooms === null) {
      content.close();
      content.#isChanged = devices.some(({ changed }) => changed);
      return content;
    }
    const rooms = roomsFrom(content.#contents());
    const changed = new Set(changedRooms);
    for (const [key, room] of rooms) room.isChanged = changed.has(key);
    content.#rooms = rooms;
    content.#isChanged = changedRooms.length > 0;
    return content;
  }

  *#contents(): Generator<DeviceContent> {
    for (const content of this.#devices.values()) yield* chainOf(content);
  }

  #contentOf(reading: Reading, offset: number): DeviceContent | undefined {
    let found = this.#devices.get(reading.device);
    while (found !== undefined && !found.fits(reading)) found = found.next;
    if (found !== undefined) return found;
    const columns = columnsOf(reading);
    if (columns.metrics.length === 0) return undefined;
    const content = new DeviceContent(reading, columns, offset);
    this.#add(content);
    return content;
  }

  #add(content: DeviceContent): void {
    const first = this.#devices.get(content.device);
    if (first === undefined) this.#devices.set(content.device, content);
    else (chainOf(first).at(-1) ?? first).next = content;
  }

  #roomOf(rooms: Map<string, RoomContent>, content: DeviceContent) {
    let found = this.#roomsOfDevices.get(content);
    if (found === undefined) {
      const room = roomOf(rooms, content);
      found = { room, aggregates: aggregatesOf(room, content.columns) };
      this.#roomsOfDevices.set(content, found);
    }
    return found;
  }
}

const nothing: readonly Aggregate[] = [];

function chainOf(first: DeviceContent): DeviceContent[] {
  const chain = [first];
  for (let next = first.next; next !== undefined; next = next.next) chain.push(next);
  return chain;
}

function roomOf(
  rooms: Map<string, RoomContent>,
  { floor, room, firstOffset }: DeviceContent,
): RoomContent {
  const key = `${floor}/${room}`;
  let found = rooms.get(key);
  if (found === undefined)
    rooms.set(key, (found = { floor, room, firstOffset, isChanged: false, metrics: new Map() }));
  return found;
}

function aggregatesOf({ metrics }: RoomContent, columns: Columns): Aggregate[] {
  return columns.metrics.map((metric, column) => {
    let told = metrics.get(metric);
    if (told === undefined) {
      told = { unit: columns.units[column] ?? '1', aggregate: emptyAggregate() };
      metrics.set(metric, told);
    }
    return told.aggregate;
  });
}

/** Rooms as their devices make them; changed where a device is. */
function roomsFrom(contents: Iterable<DeviceContent>): Map<string, RoomContent> {
  const rooms = new Map<string, RoomContent>();
  for (const content of contents) {
    const room = roomOf(rooms, content);
    room.isChanged ||= content.isChanged;
    if (content.firstOffset < room.firstOffset) room.firstOffset = content.firstOffset;
    for (const [column, aggregate] of aggregatesOf(room, content.columns).entries())
      mergeInto(aggregate, content.aggregate(column));
  }
  return rooms;
}

function devicePart(id: string, contents: readonly DeviceContent[]): Part {
  const [only, ...others] = contents;
  if (only === undefined || others.length > 0) {
    const firstOffset = contents.reduce((first, one) => Math.min(first, one.firstOffset), Infinity);
    const portions = contents.map((one) => ({ ...portion, firstOffset, metrics: toldOf(one) }));
    return { level: 'device', id, firstOffset, metrics: encodedMetrics(merged(portions)) };
  }
  const { metrics: names, units } = only.columns;
  const metrics: Record<string, MetricSummary> = {};
  for (const [column, metric] of names.entries())
    metrics[metric] = { unit: units[column] ?? '1', aggregate: only.encodedAggregate(column) };
  return { level: 'device', id, firstOffset: only.firstOffset, metrics };
}

const portion = { isChanged: true };

function toldOf(content: DeviceContent): Metrics {
  const { metrics, units } = content.columns;
  return new Map(
    metrics.map((metric, column) => [
      metric,
      { unit: units[column] ?? '1', aggregate: content.aggregate(column) },
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
