import type { DeviceRow } from '@domicile/core/answers/serving.ts';
import { type BuildingRecord, placementAt } from '@domicile/core/building.ts';
import { timeText } from './period.ts';

/** A device that missed so many of its turns is silent. */
export const silentAfterTurns = 3;

/** How the devices of a building are, as of `nowMs`, which the caller's clock says. */
export function deviceRowsOf(
  building: BuildingRecord,
  of: {
    readonly lastAtMs: (device: string) => number | undefined;
    readonly reported: (device: string) => 'online' | 'offline' | undefined;
  },
  nowMs: number,
): DeviceRow[] {
  return building.devices.flatMap((device) => {
    const placement = placementAt(device, nowMs);
    if (!placement) return [];
    const everyMs = building.deviceTypes[placement.type]?.everyMs ?? 0;
    const last = of.lastAtMs(device.id);
    return [
      {
        device: device.id,
        room: placement.room,
        type: placement.type,
        state: stateOf({ last, everyMs, nowMs }),
        lastAt: last === undefined ? null : timeText(last),
        everyMs,
        reported: of.reported(device.id) ?? null,
      },
    ];
  });
}

function stateOf(of: {
  last: number | undefined;
  everyMs: number;
  nowMs: number;
}): DeviceRow['state'] {
  if (of.last === undefined) return 'never-seen';
  return of.nowMs - of.last > silentAfterTurns * of.everyMs ? 'silent' : 'seen';
}
