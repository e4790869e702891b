import { isNewer, type LatestPoint, type LatestRecord } from '@domicile/core/latest.ts';
import type { Reading } from '@domicile/core/reading.ts';

type Mutable<One> = { -readonly [Name in keyof One]: One[Name] };

/** The newest value of each point of a device, by event time, and where the device stood at its newest reading. */
export class DeviceLatest {
  #floor = '';
  #room = '';
  #newestMs = -Infinity;
  #newestOffset = -1;
  readonly #points = new Map<string, Mutable<LatestPoint>>();

  /** @returns whether anything became newer. */
  take(reading: Reading, offset: number): boolean {
    const { measuredAtMs, receivedAtMs, values, units } = reading;
    let isChanged = false;
    for (const metric in values) {
      const value = values[metric] ?? '';
      const unit = units[metric] ?? '1';
      const present = this.#points.get(metric);
      if (present === undefined)
        this.#points.set(metric, { value, unit, measuredAtMs, receivedAtMs, offset });
      else if (isNewer({ ...present, measuredAtMs, offset }, present)) {
        present.value = value;
        present.unit = unit;
        present.measuredAtMs = measuredAtMs;
        present.receivedAtMs = receivedAtMs;
        present.offset = offset;
      } else continue;
      isChanged = true;
    }
    const isNewest =
      measuredAtMs > this.#newestMs ||
      (measuredAtMs === this.#newestMs && offset > this.#newestOffset);
    if (!isNewest) return isChanged;
    this.#floor = reading.floor;
    this.#room = reading.room;
    this.#newestMs = measuredAtMs;
    this.#newestOffset = offset;
    return true;
  }

  /** To be written down before the next reading is taken. */
  record(building: string, device: string): LatestRecord {
    const points: Record<string, LatestPoint> = {};
    for (const [metric, point] of this.#points) points[metric] = point;
    return { building, device, floor: this.#floor, room: this.#room, points };
  }

  encode(): EncodedLatest {
    const points = [...this.#points].map(([metric, one]): EncodedPoint => [
      ...([metric, one.value, one.unit] as const),
      ...([one.measuredAtMs, one.receivedAtMs, one.offset] as const),
    ]);
    return [this.#floor, this.#room, this.#newestMs, this.#newestOffset, points];
  }

  static decode([floor, room, newestMs, newestOffset, points]: EncodedLatest): DeviceLatest {
    const latest = new DeviceLatest();
    latest.#floor = floor;
    latest.#room = room;
    latest.#newestMs = newestMs;
    latest.#newestOffset = newestOffset;
    for (const [metric, value, unit, measuredAtMs, receivedAtMs, offset] of points)
      latest.#points.set(metric, { value, unit, measuredAtMs, receivedAtMs, offset });
    return latest;
  }
}

type EncodedPoint = readonly [
  metric: string,
  value: LatestPoint['value'],
  unit: string,
  measuredAtMs: number,
  receivedAtMs: number,
  offset: number,
];
export type EncodedLatest = readonly [
  floor: string,
  room: string,
  newestMs: number,
  newestOffset: number,
  points: readonly EncodedPoint[],
];
