import type { BuildingRecord } from '@domicile/core/building.ts';

/** How many devices of each building spoke lately. Nothing of what they said. */
export interface DevicesSeen {
  /** Of how long before the count a reading must have come, milliseconds. */
  readonly windowMs: number;
  /** By building: devices of its record, of which one came. */
  readonly seen: Readonly<Record<string, number>>;
}

/** Of the buildings that are served; `lastReceivedMs`: when the newest reading of a device came. */
export function devicesSeen(
  buildings: Iterable<BuildingRecord>,
  lastReceivedMs: (building: string, device: string) => number | undefined,
  { windowMs, nowMs }: { readonly windowMs: number; readonly nowMs: number },
): DevicesSeen {
  const seen: [string, number][] = [];
  for (const { id, state, devices } of buildings) {
    if (state !== 'active') continue;
    let count = 0;
    for (const device of devices)
      if ((lastReceivedMs(id, device.id) ?? -Infinity) >= nowMs - windowMs) count += 1;
    seen.push([id, count]);
  }
  return { windowMs, seen: Object.fromEntries(seen) };
}
