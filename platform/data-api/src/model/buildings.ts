import type { BuildingPlan, BuildingRow } from '@domicile/core/answers/serving.ts';
import { type BuildingRecord, placementAt } from '@domicile/core/building.ts';

export function buildingRowOf({
  id,
  country,
  client,
  timeZone,
  name,
}: BuildingRecord): BuildingRow {
  return { id, country, client, timeZone, ...(name !== null && { name }) };
}

/** Where its devices stand at a time, floor by floor and room by room. */
export function buildingPlanOf(building: BuildingRecord, atMs: number): BuildingPlan {
  const floors = new Map<string, Map<string, Device[]>>();
  for (const device of building.devices) {
    const placement = placementAt(device, atMs);
    if (!placement) continue;
    const rooms = floors.get(placement.floor) ?? new Map<string, Device[]>();
    floors.set(placement.floor, rooms);
    const devices = rooms.get(placement.room) ?? [];
    rooms.set(placement.room, devices);
    devices.push({
      id: device.id,
      type: placement.type,
      metrics: metricsOf(building, placement.type),
    });
  }
  return {
    ...buildingRowOf(building),
    floors: sorted(floors).map(([floor, rooms]) => ({
      id: floor,
      rooms: sorted(rooms).map(([room, devices]) => ({
        id: room,
        devices: devices.toSorted((a, b) => compareIds(a.id, b.id)),
      })),
    })),
  };
}

type Device = BuildingPlan['floors'][number]['rooms'][number]['devices'][number];

function metricsOf(building: BuildingRecord, type: string) {
  const { metrics = {} } = building.deviceTypes[type] ?? {};
  return Object.entries(metrics).map(([name, { unit }]) => ({ name, unit }));
}

function sorted<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].toSorted(([a], [b]) => compareIds(a, b));
}

/** As people count: floor 2 before floor 10. */
function compareIds(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
