import type { BuildingRecord, PlacedDevice } from '@domicile/core/building.ts';
import { type CountryCode, isCountryCode } from '@domicile/core/countries.ts';
import type { CountryPack } from '@domicile/core/country-pack.ts';
import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import { type Fault, PlatformError } from '@domicile/core/errors.ts';
import { isBuildingId } from '@domicile/core/identities.ts';
import {
  buildingsOf,
  buildingSpecSchema,
  buildingsValuesSchema,
  recordOfSpec,
} from '@domicile/core/values.ts';
import { z } from 'zod';
import { farewellOf } from '../model/building/building-resource.ts';
import type { KubeObject } from '../runtime/kube.ts';
import { alikeTold } from './alike.ts';
import type { BuildingResource, BuildingsFile } from './declared.ts';
import type { PlannedResource } from './plan.ts';
import { pointerOf, shapeFaults } from './schema-faults.ts';
import { usableOf, withoutEchoes } from './usable.ts';

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
  const shape = shapeFaults(buildingSpecSchema, resource.spec).map((fault) => ({
    ...fault,
    pointer: `/spec${fault.pointer}`,
  }));
  const usable = usableOf(buildingSpecSchema, resource.spec, standInOf(pack, 0));
  const found = faultsAtHome(name, pack, {
    asSaid: () => recordOfSpec(name, usable, pack.country),
    atHome: (country) => recordOfSpec(name, { ...entriesOf(usable), country }, country),
  });
  const own = found.map(({ pointer, detail }) => ({
    pointer: pointer.replace(pointerOf(['buildings', name]), '/spec'),
    detail: withChoice(detail, usable),
  }));
  const faults = [
    ...shape.map(faultAlone),
    ...withoutEchoes(own, shape),
    ...faultsOfName(name, ''),
  ];
  if (faults.length > 0) return { name, faults };
  const record = recordOfSpec(name, resource.spec, pack.country);
  return { accepted: { record, farewell: buildingSpecSchema.parse(resource.spec), resource } };
}

/** The buildings of values, each by itself, and what is wrong with what they share. */
export function lookAtValues(
  { country, shared, buildings }: BuildingsFile,
  pack: CountryPack,
): { readonly shared: readonly Fault[]; readonly buildings: readonly LookedAt[] } {
  const around = { ...shared, ...(country !== undefined && { country }), buildings: {} };
  const shape = shapeFaults(buildingsValuesSchema, around);
  const usable = entriesOf(usableOf(buildingsValuesSchema, around, standInOf(pack, -1)));
  const found = faultsIn(() => buildingsOf(usable, pack.country)).map(({ pointer, detail }) => ({
    pointer,
    detail: pointer === '/country' ? `is ${String(country)}, and this is ${pack.country}` : detail,
  }));
  const { country: _said, ...types } = usable;
  return {
    shared: [...shape.map(faultAlone), ...withoutEchoes(found, shape)],
    buildings: Object.entries(buildings).map(([name, building]) =>
      lookAtBuilding({ name, building, types, shared }, pack),
    ),
  };
}

function lookAtBuilding(
  of: {
    readonly name: string;
    readonly building: unknown;
    /** What it may use, as far as that can be read. */
    readonly types: Readonly<Record<string, unknown>>;
    readonly shared: BuildingsFile['shared'];
  },
  pack: CountryPack,
): LookedAt {
  const { name, building, types, shared } = of;
  const values = { ...types, buildings: { [name]: building } };
  const shape = shapeFaults(buildingsValuesSchema, values);
  const usable = usableOf(buildingsValuesSchema, values, standInOf(pack, 2));
  const { country: _said, ...fields } = entriesOf(fieldOf(fieldOf(usable, 'buildings'), name));
  const found = faultsAtHome(name, pack, {
    asSaid: () => buildingsOf(usable, pack.country),
    atHome: (country) => buildingsOf({ ...types, buildings: { [name]: fields } }, country),
  }).map(({ pointer, detail }) => ({ pointer, detail: withChoice(detail, types) }));
  const faults = [
    ...shape.map(faultAlone),
    ...withoutEchoes(found, shape),
    ...faultsOfName(name, pointerOf(['buildings', name])),
  ];
  if (faults.length > 0) return { name, faults };
  const [record] = buildingsOf(values, pack.country);
  if (record === undefined) return { name, faults: [{ pointer: '', detail: 'is none' }] };
  const resource = { name, namespace: undefined, spec: specOf(building, shared, record) };
  return { accepted: { record, farewell: buildingSpecSchema.parse(resource.spec), resource } };
}

const faultAlone = ({ pointer, detail }: Fault): Fault => ({ pointer, detail });

/** Something that may stand where a field is missing or wrong; `depth`: of a building's own fields. */
function standInOf({ country }: CountryPack, depth: number) {
  const ofBuilding: Readonly<Record<string, unknown>> = {
    client: 'some-client',
    timeZone: 'UTC',
    country,
    floors: {},
  };
  return (path: readonly PropertyKey[]): unknown => {
    const [first, second] = path;
    // A type that is wrong is there all the same for whoever uses it.
    if (first === 'roomTypes' && path.length === 2) return {};
    if (first === 'deviceTypes' && second !== undefined && path.length === 2)
      return { metrics: { some_metric: {} } };
    if (depth >= 0 && path.length === depth + 1) {
      const [field] = path.slice(depth);
      return structuredClone(ofBuilding[String(field)]);
    }
    return undefined;
  };
}

/** What core says against it; if that is its country, also what else there is, as if it were at home. */
function faultsAtHome(
  name: string,
  { country }: CountryPack,
  read: { readonly asSaid: () => unknown; readonly atHome: (own: CountryCode) => unknown },
): readonly Fault[] {
  const faults = faultsIn(read.asSaid);
  const own = name.slice(0, 2).toUpperCase();
  const isAbroad = faults.some(({ detail }) => detail === `is not in ${country}`);
  return isAbroad && isCountryCode(own) ? [...faults, ...faultsIn(() => read.atHome(own))] : faults;
}

/** Those of what it throws; none if it does not. */
export function faultsIn(read: () => unknown): readonly Fault[] {
  try {
    read();
    return [];
  } catch (error) {
    return faultsOf(error);
  }
}

/** With what may be done about it. */
function withChoice(detail: string, around: unknown): string {
  if (/^is not in [A-Z]{2}$/.test(detail))
    return `${detail}, which this cluster serves alone: declare it in the cluster of its own country`;
  const [, what, name] = /^there is no (room|device) type (\S+)$/.exec(detail) ?? [];
  if (what === undefined || name === undefined) return detail;
  const own = Object.keys(entriesOf(fieldOf(around, `${what}Types`)));
  const builtIn = what === 'device' ? Object.keys(builtInDeviceTypes) : [];
  const choice = alikeTold(name, [...own, ...builtIn]);
  return choice === '' ? `${detail}: declare it in ${what}Types` : `${detail}${choice}`;
}

function faultsOfName(name: string, pointer: string): Fault[] {
  if (resourceName.test(name) || !isBuildingId(name)) return [];
  return [{ pointer, detail: 'the name of a resource ends with a letter or a digit' }];
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

function faultsOf(error: unknown): readonly Fault[] {
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

const departing = z.object({
  status: z.object({ erasure: z.object({ until: z.string() }) }),
});

/** Of one whose resource is deleted already: what becomes of it, until when, and how to change one's mind. */
export function departureTold(object: KubeObject): string {
  const { name, namespace = '' } = object.metadata;
  const { deletionPolicy, legalHold } = farewellOf(object['spec']);
  if (deletionPolicy === 'Retain') return 'is being taken out, which takes seconds; its data stays';
  if (legalHold)
    return 'is being taken out under legal hold: it stays until spec.legalHold is false, and is then erased';
  const until = departing.safeParse(object).data?.status.erasure.until;
  const told = until === undefined ? 'which takes weeks' : `until ${until} at the earliest`;
  return `is being taken out and all of its data erased, ${told}; to let it go at once with what is not erased yet: kubectl -n ${namespace} patch building ${name} --type=merge -p '{"spec":{"deletionPolicy":"Retain"}}'`;
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
    ...(/[\p{Cc}\p{Cf}]/u.test(record.name ?? '')
      ? ['its name holds signs that cannot be seen, and may be read as another one: write it anew']
      : []),
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
