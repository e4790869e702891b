import type { TimeWindow } from './local-days.ts';
import type { SummaryBuilding, SummaryManifest } from './summary-manifest.ts';
import { type CoarseInterval, coarseIntervals, windowAt } from './summary-windows.ts';

/** How long after its end a coarser window is left to its latecomers before it is written: a little longer than windows are revised. */
const settleMs = 150_000;

/** Notes that minutes of a building have changed: what holds them has to be merged anew. In place. */
export function touch(building: SummaryBuilding, minutes: Iterable<number>): void {
  const touched = [...minutes];
  for (const interval of coarseIntervals) {
    if (interval === 'P1D' && building.zone === null) continue;
    const zone = building.zone ?? 'UTC';
    addStarts(
      building,
      interval,
      touched.map((minute) => windowAt(interval, minute, zone).startMs),
    );
  }
}

function addStarts(
  building: SummaryBuilding,
  interval: CoarseInterval,
  starts: readonly number[],
): void {
  const all = new Set([...building.pending[interval], ...starts]);
  building.pending[interval] = [...all].toSorted((a, b) => a - b);
}

/** Takes the zone of a building's days: with another one all of its days have to be merged anew. In place. */
export function takeZone(manifest: SummaryManifest, id: string, zone: string): void {
  const building = manifest.buildings[id];
  if (!building || building.zone === zone) return;
  building.zone = zone;
  building.pending.P1D = [];
  const days = new Set<number>();
  for (const { parts } of manifest.files.PT1M)
    for (const part of parts.filter((one) => one.building === id))
      for (let at = part.fromMs; at <= part.toMs; at = windowAt('P1D', at, zone).endMs)
        days.add(windowAt('P1D', at, zone).startMs);
  addStarts(building, 'P1D', [...days]);
}

/** Windows that have settled, by time. */
export function dueWindows(building: SummaryBuilding, interval: CoarseInterval): TimeWindow[] {
  const { closedMs, pending } = building;
  if (closedMs === null) return [];
  const zone = building.zone ?? 'UTC';
  return pending[interval]
    .map((startMs) => windowAt(interval, startMs, zone))
    .filter((window) => window.endMs + settleMs <= closedMs);
}

/** In place. */
export function written(
  building: SummaryBuilding,
  interval: CoarseInterval,
  startMs: number,
): void {
  building.pending[interval] = building.pending[interval].filter((one) => one !== startMs);
}
