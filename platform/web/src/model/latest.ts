import type { LatestRow } from './answers.ts';

/** The newest value of each point of a building, by `pointKey`. */
export type Points = ReadonlyMap<string, LatestRow>;

export function pointKey({ device, metric }: Pick<LatestRow, 'device' | 'metric'>): string {
  return `${device} ${metric}`;
}

/** Later measured wins, whatever came first; of equal times the one that came later. */
export function withNewest(points: Points, rows: readonly LatestRow[]): Points {
  const merged = new Map(points);
  for (const row of rows) {
    const known = merged.get(pointKey(row));
    if (!known || Date.parse(known.measuredAt) <= Date.parse(row.measuredAt))
      merged.set(pointKey(row), row);
  }
  return merged;
}

export interface RoomValue {
  readonly room: string;
  /** Of several devices in a room the newest one speaks. */
  readonly row: LatestRow | undefined;
}

export function roomValues(points: Points, rooms: readonly string[], metric: string): RoomValue[] {
  const newest = new Map<string, LatestRow>();
  for (const row of points.values()) {
    if (row.metric !== metric || row.room === null) continue;
    const known = newest.get(row.room);
    if (!known || Date.parse(known.measuredAt) < Date.parse(row.measuredAt))
      newest.set(row.room, row);
  }
  return rooms.map((room) => ({ room, row: newest.get(room) }));
}

export interface HeatRange {
  readonly low: number;
  readonly high: number;
}

/** The lowest and the highest of the numbers shown; undefined without two that differ. */
export function heatRange(values: readonly RoomValue[]): HeatRange | undefined {
  const numbers = values.flatMap(({ row }) => (row === undefined ? [] : numberOf(row.value)));
  const range = { low: Math.min(...numbers), high: Math.max(...numbers) };
  return range.high > range.low ? range : undefined;
}

/** 0 for the lowest, 1 for the highest; one half where there is no range. */
export function heatOf(value: number, range: HeatRange | undefined): number {
  return range ? (value - range.low) / (range.high - range.low) : 0.5;
}

export function numberOf(value: LatestRow['value']): number[] {
  if (typeof value === 'boolean') return [value ? 1 : 0];
  return typeof value === 'number' ? [value] : [];
}
