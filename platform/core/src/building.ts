import type { CountryCode } from './countries.ts';
import type { DeviceType } from './device-types.ts';

/** Where a device stands, and as what, from `validFromMs` (null: from ever) until the next placement. */
export interface Placement {
  readonly validFromMs: number | null;
  readonly floor: string;
  readonly room: string;
  readonly type: string;
}

export interface PlacedDevice {
  readonly id: string;
  /** By rising `validFromMs`, at least one. */
  readonly placements: readonly Placement[];
}

/** At the broker, for a whole building; what is absent is the cell's default. */
export interface BuildingQuotas {
  readonly messagesPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
  readonly connections?: number | undefined;
}

/** A record of the compacted stream `registry`: a building as declared. `client` and `country` never change. */
export interface BuildingRecord {
  readonly id: string;
  readonly country: CountryCode;
  readonly client: string;
  readonly name: string | null;
  /** IANA name. */
  readonly timeZone: string;
  /** An offboarded building is refused to gateways and still readable. */
  readonly state: 'active' | 'offboarded';
  readonly deviceTypes: Readonly<Record<string, DeviceType>>;
  readonly devices: readonly PlacedDevice[];
  /** `scrypt$N$r$p$salt$hash`, base64; null where no password is allowed. */
  readonly passwordHash: string | null;
  /** Absent in records of before there were any. */
  readonly quotas?: BuildingQuotas;
  /** Its data is erased: whoever keeps something of it by itself, as a task its state, drops it. Only of an offboarded one. */
  readonly erased?: true;
}

/** The placement that held at a time; the first one also for the time before it. */
export function placementAt(device: PlacedDevice, atMs: number): Placement | undefined {
  let found = device.placements[0];
  for (const placement of device.placements)
    if (placement.validFromMs !== null && placement.validFromMs <= atMs) found = placement;
  return found;
}
