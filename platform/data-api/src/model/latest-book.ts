import type { LatestRow } from '@domicile/core/answers/serving.ts';
import { isNewer, type LatestPoint, type LatestRecord } from '@domicile/core/latest.ts';
import { timeText } from './period.ts';

interface DeviceLatest {
  room: string;
  receivedAtMs: number;
  readonly points: Map<string, LatestPoint>;
}

/** The newest value of each point by event time, of all buildings of a cell. No history of values. */
export class LatestBook {
  readonly #buildings = new Map<string, Map<string, DeviceLatest>>();

  /** Takes a record in and answers with the rows that it renewed. */
  take(record: LatestRecord): LatestRow[] {
    const devices = this.#buildings.get(record.building) ?? new Map<string, DeviceLatest>();
    this.#buildings.set(record.building, devices);
    const device = devices.get(record.device) ?? {
      room: record.room,
      receivedAtMs: -Infinity,
      points: new Map(),
    };
    devices.set(record.device, device);
    const renewed: LatestRow[] = [];
    for (const [metric, point] of Object.entries(record.points)) {
      if (!isNewer(point, device.points.get(metric))) continue;
      device.points.set(metric, point);
      device.room = record.room;
      device.receivedAtMs = Math.max(device.receivedAtMs, point.receivedAtMs);
      renewed.push(rowOf(record, metric, point));
    }
    return renewed;
  }

  /** A tombstone of `{building}/{device}`. */
  forget(building: string, device: string): void {
    this.#buildings.get(building)?.delete(device);
  }

  rows(building: string): LatestRow[] {
    const rows: LatestRow[] = [];
    for (const [device, { room, points }] of this.#buildings.get(building) ?? [])
      for (const [metric, point] of points) rows.push(rowOf({ device, room }, metric, point));
    return rows;
  }

  /** When the last of a device's newest values came, Unix milliseconds. */
  lastReceivedMs(building: string, device: string): number | undefined {
    return this.#buildings.get(building)?.get(device)?.receivedAtMs;
  }

  /** When a device's newest reading was measured, Unix milliseconds. */
  lastAtMs(building: string, device: string): number | undefined {
    const points = this.#buildings.get(building)?.get(device)?.points;
    if (!points) return undefined;
    let last: number | undefined;
    for (const { measuredAtMs } of points.values())
      if (last === undefined || measuredAtMs > last) last = measuredAtMs;
    return last;
  }
}

function rowOf(
  { device, room }: { device: string; room: string },
  metric: string,
  { value, unit, measuredAtMs, receivedAtMs }: LatestPoint,
): LatestRow {
  return {
    device,
    room,
    metric,
    value,
    unit,
    measuredAt: timeText(measuredAtMs),
    receivedAt: timeText(receivedAtMs),
  };
}
