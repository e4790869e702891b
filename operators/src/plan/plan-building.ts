import type { BuildingRecord, PlacedDevice } from '@domicile/core/building.ts';
import type { CountryPack } from '@domicile/core/country-pack.ts';
import { type Fault, PlatformError } from '@domicile/core/errors.ts';
import { buildingsOf, buildingSpecSchema, recordOfSpec } from '@domicile/core/values.ts';
import type { BuildingResource, BuildingsFile } from './declared.ts';
import type { PlannedResource } from './plan.ts';

/** A building that may be declared, with the resource that the chart makes of it. */
export interface AcceptedBuilding {
  readonly record: BuildingRecord;
  readonly farewell: Farewell;
  readonly resource: BuildingResource;
}

interface Farewell {
  readonly deletionPolicy: 'Retain' | 'Delete';
  readonly exportBeforeDelete: boolean;
  readonly legalHold: boolean;
}

export type LookedAt =
  | { readonly accepted: AcceptedBuilding }
  | { readonly name: string; readonly faults: readonly Fault[] };

/** As far as the name of a resource goes; an id of a building may end with a hyphen. */
const resourceName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The building of a `Building` resource. */
export function lookAtResource(resource: BuildingResource, pack: CountryPack): LookedAt {
  const { name } = resource;
  try {
    const record = recordOfSpec(name, resource.spec, pack.country);
    const spec = buildingSpecSchema.parse(resource.spec);
    return named(name, { record, farewell: spec, resource });
  } catch (error) {
    return { name, faults: faultsOf(error) };
  }
}

/** The buildings of values, each by itself, and what is wrong with what they share. */
export function lookAtValues(
  { country, shared, buildings }: BuildingsFile,
  pack: CountryPack,
): { readonly shared: readonly Fault[]; readonly buildings: readonly LookedAt[] } {
  const around = { ...shared, ...(country !== undefined && { country }) };
  try {
    buildingsOf({ ...around, buildings: {} }, pack.country);
  } catch (error) {
    return { shared: faultsOf(error), buildings: [] };
  }
  return {
    shared: [],
    buildings: Object.entries(buildings).map(([name, building]): LookedAt => {
      try {
        const [record] = buildingsOf({ ...around, buildings: { [name]: building } }, pack.country);
        if (record === undefined) return { name, faults: [{ pointer: '', detail: 'is none' }] };
        const resource = { name, namespace: undefined, spec: specOf(building, shared, record) };
        return named(name, { record, farewell: buildingSpecSchema.parse(resource.spec), resource });
      } catch (error) {
        return { name, faults: faultsOf(error) };
      }
    }),
  };
}

function named(name: string, accepted: AcceptedBuilding): LookedAt {
  if (resourceName.test(name)) return { accepted };
  const detail = 'the name of a resource ends with a letter or a digit';
  return { name, faults: [{ pointer: `/buildings/${name}`, detail }] };
}

/** What the chart renders: the building with the types that it uses, so that it stands alone. */
function specOf(
  building: unknown,
  shared: BuildingsFile['shared'],
  { country, deviceTypes }: BuildingRecord,
): unknown {
  const floors = Object.entries(entriesOf(fieldOf(building, 'floors'))).map(([floor, of]) => [
    floor,
    {
      rooms: Object.fromEntries(
        Object.entries(entriesOf(fieldOf(of, 'rooms'))).map(([room, values]) => [
          room,
          typeof values === 'string' ? { type: values } : (values ?? {}),
        ]),
      ),
    },
  ]);
  const own = entriesOf(shared['deviceTypes']);
  const used = Object.entries(own).filter(([name]) => Object.hasOwn(deviceTypes, name));
  const rooms = floors.flatMap(([, of]) => Object.values(entriesOf(fieldOf(of, 'rooms'))));
  const types = new Set(rooms.map((room) => fieldOf(room, 'type')));
  const roomTypes = Object.entries(entriesOf(shared['roomTypes'])).filter(([name]) =>
    types.has(name),
  );
  return {
    deletionPolicy: 'Retain',
    ...entriesOf(building),
    country,
    floors: Object.fromEntries(floors),
    ...(used.length > 0 && { deviceTypes: Object.fromEntries(used) }),
    ...(roomTypes.length > 0 && { roomTypes: Object.fromEntries(roomTypes) }),
  };
}

function entriesOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function fieldOf(value: unknown, name: string): unknown {
  return entriesOf(value)[name];
}

export function faultsOf(error: unknown): readonly Fault[] {
  if (!(error instanceof PlatformError)) throw error;
  return error.faults.length > 0 ? error.faults : [{ pointer: '', detail: error.message }];
}

/** What a building comes to, in figures. */
export function detailsOf({ record, farewell }: AcceptedBuilding): string[] {
  const rooms = new Set<string>();
  const floors = new Set<string>();
  for (const { placements } of record.devices)
    for (const { floor, room } of placements) {
      floors.add(floor);
      rooms.add(`${floor}/${room}`);
    }
  const figures = [
    count(record.devices.length, 'device'),
    `in ${count(rooms.size, 'room')} on ${count(floors.size, 'floor')},`,
    `${readingsPerSecond(record).toFixed(1)} readings a second, of client ${record.client}`,
  ];
  const quotas = Object.entries(record.quotas ?? {}).map(([name, limit]) => `${name} ${limit}`);
  return [
    figures.join(' '),
    ...(quotas.length > 0 ? [`quotas: ${quotas.join(', ')}`] : []),
    farewellTold(farewell),
  ];
}

export function farewellTold({ deletionPolicy, exportBeforeDelete, legalHold }: Farewell): string {
  if (legalHold) return 'under legal hold: nothing of it is erased when it is taken out';
  if (deletionPolicy === 'Retain') return 'when it is taken out, its data stays';
  return exportBeforeDelete
    ? 'when it is taken out, its readings are exported and then all of its data is erased'
    : 'when it is taken out, all of its data is erased, without an export';
}

function readingsPerSecond({ devices, deviceTypes }: BuildingRecord): number {
  return devices.reduce((sum, { placements }) => {
    const everyMs = deviceTypes[placements.at(-1)?.type ?? '']?.everyMs;
    return everyMs === undefined ? sum : sum + 1000 / everyMs;
  }, 0);
}

export function warningsOf({ record, farewell }: AcceptedBuilding, pack: CountryPack): string[] {
  const { timeZone, quotas, devices } = record;
  const expected = readingsPerSecond(record);
  const limit = quotas?.messagesPerSecond;
  return [
    ...(pack.timeZones.some((zone) => canonical(zone) === canonical(timeZone))
      ? []
      : [`${timeZone} is no time zone of ${pack.country}; days of summaries would be days of it`]),
    ...(limit !== undefined && limit < expected
      ? [
          `its devices make ${expected.toFixed(1)} readings a second, and its quota is ${limit} messages; gateways must put several into one`,
        ]
      : []),
    ...(devices.length === 0 ? ['it has no device'] : []),
    ...(farewell.deletionPolicy === 'Delete' && !farewell.legalHold
      ? ['deletionPolicy is Delete: what is erased cannot be brought back']
      : []),
  ];
}

function canonical(timeZone: string): string {
  return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone;
}

/** How a building would differ from what is declared now. */
export function changesBetween(now: BuildingRecord, then: BuildingRecord): string[] {
  const before = new Map(now.devices.map((device) => [device.id, device]));
  const after = new Map(then.devices.map((device) => [device.id, device]));
  const added = [...after.keys()].filter((id) => !before.has(id));
  const removed = [...before.keys()].filter((id) => !after.has(id));
  const moved = [...after].filter(([id, device]) => isMoved(before.get(id), device));
  const plain = ['name', 'timeZone', 'quotas', 'deviceTypes'] as const;
  return [
    ...namesTold('devices added', added),
    ...namesTold('devices taken out', removed),
    ...namesTold(
      'devices placed otherwise',
      moved.map(([id]) => id),
    ),
    ...plain
      .filter((field) => JSON.stringify(now[field]) !== JSON.stringify(then[field]))
      .map((field) =>
        field === 'name' || field === 'timeZone'
          ? `${field}: ${now[field] ?? 'none'} → ${then[field] ?? 'none'}`
          : `${field} differ`,
      ),
  ];
}

function isMoved(before: PlacedDevice | undefined, after: PlacedDevice): boolean {
  return (
    before !== undefined && JSON.stringify(before.placements) !== JSON.stringify(after.placements)
  );
}

function namesTold(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${what}: ${few(names)}`];
}

function few(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

export function refusedBuilding(
  name: string,
  source: string,
  faults: readonly Fault[],
): PlannedResource {
  const kind = 'Building';
  return { kind, name, source, action: 'refuse', details: [], warnings: [], faults };
}
