import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type BuildingRecord, placementAt } from '@domicile/core/building.ts';
import { type DeviceType, builtInDeviceTypes } from '@domicile/core/device-types.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import {
  type BuildingId,
  type DeviceId,
  countryOf,
  isDeviceId,
  parseDeviceId,
} from '@domicile/core/identities.ts';
import { buildingsOf } from '@domicile/core/values.ts';
import { parse } from 'yaml';
import { offsetMs } from '../../model/local-time.ts';
import { chance } from '../../model/simulation/chance.ts';
import type { SimulatedDevice } from '../../model/simulation/device-values.ts';
import { SpokenTicks, burstTicks, clockSkewMs } from '../../model/simulation/faults.ts';
import type { SimulatedRoom } from '../../model/simulation/room.ts';
import type { SimulateSettings } from './simulate-settings.ts';

/** A device of the simulation, with what does not change while it runs. */
export interface BuildingDevice extends SimulatedDevice {
  readonly id: DeviceId;
  readonly room: SimulatedRoom;
  readonly phaseMs: number;
  readonly skewMs: number;
  readonly burst: number;
  readonly ticks: SpokenTicks;
}

export interface SimulatedBuilding {
  readonly devices: readonly BuildingDevice[];
  /** Changes with whatever changes the meaning of a tick. */
  readonly digest: string;
}

interface Placed {
  readonly id: string;
  readonly room: string;
  readonly type: DeviceType;
}

/** Devices that speak at the same instant wait for the same write. */
const phases = 50;

/** The building that the settings describe. Throws `CONFIG_INVALID`, and what reading a values file throws. */
export async function simulatedBuilding(
  settings: SimulateSettings,
  building: BuildingId,
): Promise<SimulatedBuilding> {
  const { valuesFile, seed, every, faults } = settings;
  const declared = valuesFile === undefined ? undefined : await declaredIn(valuesFile, building);
  const zone = settings.timeZone ?? declared?.timeZone ?? 'UTC';
  const placed = declared ? devicesOf(declared) : roomDevices(settings);
  const rooms = new Map(placed.map(({ room }) => [room, roomOf(room, seed, zone)]));
  const devices = placed.map(({ id, room, type }): BuildingDevice => {
    const of = { seed, id: parseDeviceId(id), type };
    return {
      ...of,
      room: rooms.get(room) ?? roomOf(room, seed, zone),
      phaseMs: (Math.floor(chance(seed, id, 'phase') * phases) * Math.floor(every / phases)) | 0,
      skewMs: clockSkewMs(of, faults),
      burst: burstTicks(of, faults, every),
      ticks: new SpokenTicks(of, faults, every),
    };
  });
  const digest = createHash('sha256').update(JSON.stringify([seed, every, faults.silent]));
  return { devices, digest: digest.digest('hex').slice(0, 8) };
}

/** Offsets change by the hour, and are asked for at every instant. */
function roomOf(id: string, seed: number, zone: string): SimulatedRoom {
  const known = new Map<number, number>();
  return {
    seed,
    id,
    offsetMsAt: (atMs) => {
      const hour = Math.floor(atMs / 3_600_000);
      const offset = known.get(hour) ?? offsetMs(hour * 3_600_000, zone);
      if (known.size > 1000) known.clear();
      known.set(hour, offset);
      return offset;
    },
  };
}

async function declaredIn(file: string, building: BuildingId): Promise<BuildingRecord> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new PlatformError('CONFIG_INVALID', `Cannot read ${file}`, { cause });
  });
  const record = buildingsOf(parse(text), countryOf(building)).find(({ id }) => id === building);
  if (record) return record;
  throw new PlatformError(
    'CONFIG_INVALID',
    `Cannot simulate ${building}: ${file} does not declare it`,
  );
}

function devicesOf({ devices, deviceTypes }: BuildingRecord): Placed[] {
  return devices.flatMap((device) => {
    const placement = placementAt(device, Number.MAX_SAFE_INTEGER);
    const type = placement && deviceTypes[placement.type];
    return type ? [{ id: device.id, room: placement.room, type }] : [];
  });
}

function roomDevices({ rooms, roomType }: SimulateSettings): Placed[] {
  return rooms.flatMap((room) =>
    Object.entries(roomType).map(([end, name]) => {
      const type = Object.hasOwn(builtInDeviceTypes, name) ? builtInDeviceTypes[name] : undefined;
      const id = `${room}-${end}`;
      if (type && isDeviceId(id)) return { id, room, type };
      throw new PlatformError(
        'CONFIG_INVALID',
        `Cannot simulate ${id}: ${type ? 'it is no device id' : `there is no device type ${name}; own types need a valuesFile`}`,
      );
    }),
  );
}
