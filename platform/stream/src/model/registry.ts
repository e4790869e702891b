import type { BuildingRecord, PlacedDevice } from '@domicile/core/building.ts';
import type { MetricType } from '@domicile/core/device-types.ts';

/** Where a device stands from `validFromMs` on, and what its type lets it say. */
export interface KnownPlacement {
  readonly validFromMs: number | null;
  readonly floor: string;
  readonly room: string;
  readonly type: string;
  readonly metrics: ReadonlyMap<string, MetricType>;
  /** The units of all metrics: most readings have all of them, and share this. */
  readonly units: Readonly<Record<string, string>>;
}

export interface KnownBuilding {
  readonly id: string;
  readonly client: string;
  readonly isServed: boolean;
  /** Nothing of it may be kept. */
  readonly isErased: boolean;
  readonly devices: ReadonlyMap<string, readonly KnownPlacement[]>;
}

/** The buildings of a partition as last declared. */
export type KnownBuildings = ReadonlyMap<string, KnownBuilding>;

/** A building's record made ready for look-ups; types that it lacks have no metrics. */
export function knownBuilding(record: BuildingRecord): KnownBuilding {
  const types = new Map(
    Object.entries(record.deviceTypes).map(([name, type]) => [
      name,
      new Map(Object.entries(type.metrics)),
    ]),
  );
  const none: ReadonlyMap<string, MetricType> = new Map();
  const placementsOf = ({ placements }: PlacedDevice) =>
    placements.map(({ validFromMs, floor, room, type }): KnownPlacement => ({
      validFromMs,
      floor,
      room,
      type,
      metrics: types.get(type) ?? none,
      units: unitsOf(types.get(type) ?? none),
    }));
  return {
    id: record.id,
    client: record.client,
    isServed: record.state === 'active',
    isErased: record.state === 'offboarded' && record.erased === true,
    devices: new Map(record.devices.map((device) => [device.id, placementsOf(device)])),
  };
}

/** The placement that held at a time; the first one also for the time before it (as core's `placementAt`). */
export function knownPlacementAt(
  placements: readonly KnownPlacement[],
  atMs: number,
): KnownPlacement | undefined {
  let found = placements[0];
  for (const placement of placements)
    if (placement.validFromMs !== null && placement.validFromMs <= atMs) found = placement;
  return found;
}

function unitsOf(metrics: ReadonlyMap<string, MetricType>): Record<string, string> {
  return Object.fromEntries([...metrics].map(([metric, { unit }]) => [metric, unit]));
}
