import { z } from 'zod';
import type { BuildingRecord, PlacedDevice, Placement } from './building.ts';
import type { CountryCode } from './countries.ts';
import { builtInDeviceTypes, type DeviceType, deviceTypeSchema } from './device-types.ts';
import { type Fault, PlatformError } from './errors.ts';
import { gatewayDevice, isBuildingId, isDeviceId } from './identities.ts';
import { isResident } from './residency.ts';
import { parseTime } from './telemetry.ts';

/** Of one building; one record of the registry holds them all. */
export const devicesPerBuildingMax = 5000;
/** Of one range such as `r1[01-25]`. */
export const rangeMax = 1000;

const id = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected lower-case letters, digits and hyphens');
const suffix = z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/);
const time = z
  .string()
  .refine((text) => parseTime(text) !== undefined, 'expected an RFC 3339 time with offset');

const timeZone = z.string().refine((name) => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}, 'expected an IANA time zone such as Europe/Berlin');

const roomSchema = z.strictObject({
  type: id.optional(),
  devices: z.record(suffix, id).default({}),
  validFrom: time.optional(),
});
const roomValues = z.union([id, roomSchema]);

const roomRange = z.string().min(1).max(80);
const whole = z.number().int().min(1);

/** What values and the `Building` resource say alike of a building. */
const ofBuilding = {
  client: id,
  timeZone,
  name: z.string().min(1).max(200).optional(),
  /** Devices beside those of the room types, or other placements of them. */
  devices: z
    .record(
      id,
      z.strictObject({
        type: id,
        placements: z
          .array(z.strictObject({ floor: id, room: id, validFrom: time.optional() }))
          .min(1)
          .max(100),
      }),
    )
    .default({}),
  /** What becomes of its data when it is taken out. */
  deletionPolicy: z.enum(['Retain', 'Delete']).default('Retain'),
  /** Before `Delete` erases anything, its readings are copied below `exports/` of the landing store. */
  exportBeforeDelete: z.boolean().default(false),
  /** While set, nothing of it is erased, whatever else is asked. */
  legalHold: z.boolean().default(false),
  /** At the broker, for the whole building; absent: the cell's defaults. */
  quotas: z
    .strictObject({
      messagesPerSecond: whole.max(1_000_000).optional(),
      bytesPerSecond: whole.max(10_000_000_000).optional(),
      connections: whole.max(100_000).optional(),
    })
    .default({}),
};

const buildingValues = z.strictObject({
  ...ofBuilding,
  country: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .optional(),
  floors: z.record(id, z.strictObject({ rooms: z.record(roomRange, roomValues) })),
});

const deviceTypes = z.record(id, deviceTypeSchema).default({});
const roomTypes = z.record(id, z.record(suffix, id)).default({});

/** `spec` of the resource `Building`: the building of a values file with the types that it uses, so that it stands alone. */
export const buildingSpecSchema = z.strictObject({
  ...ofBuilding,
  country: z.string().regex(/^[A-Z]{2}$/),
  deviceTypes,
  roomTypes,
  floors: z.record(id, z.strictObject({ rooms: z.record(roomRange, roomSchema) })),
});

/** As written, before defaults. */
export type BuildingSpec = z.input<typeof buildingSpecSchema>;

/** The values of `charts/domicile-buildings` (docs/api/values.md), parsed from YAML or JSON. */
export const buildingsValuesSchema = z.strictObject({
  /** Of all buildings below; absent: the cell's. */
  country: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .optional(),
  deviceTypes,
  roomTypes,
  buildings: z.record(z.string(), buildingValues).default({}),
});

export type BuildingsValues = z.output<typeof buildingsValuesSchema>;
type BuildingValues = z.output<typeof buildingValues>;

/**
 * The registry records that values declare for one country, by building id.
 * Throws `VALUE_INVALID` with every fault at once, `RESIDENCY_VIOLATION` if only the country is wrong.
 */
export function buildingsOf(values: unknown, country: CountryCode): BuildingRecord[] {
  const parsed = buildingsValuesSchema.safeParse(values);
  if (!parsed.success) {
    throw invalid(
      parsed.error.issues.map(({ path, message }) => ({
        pointer: pointerOf(path),
        detail: message,
      })),
    );
  }
  const faults: Fault[] = [];
  if (parsed.data.country !== undefined && parsed.data.country !== country)
    throw abroad(country, '/country');
  const types = { ...builtInDeviceTypes, ...parsed.data.deviceTypes };
  refuseBuiltIn(parsed.data.deviceTypes, faults);
  const records = Object.entries(parsed.data.buildings).flatMap(([building, declared]) => {
    const pointer = pointerOf(['buildings', building]);
    if (!isBuildingId(building)) {
      faults.push({ pointer, detail: 'expected an id that begins with its country, as de-7f3k' });
      return [];
    }
    requireHome({ building, declared, country });
    const catalogue = { types, roomTypes: parsed.data.roomTypes };
    return [recordOf({ building, declared, country, catalogue, faults })];
  });
  if (faults.length > 0) throw invalid(faults);
  return records;
}

/**
 * The registry record of a `Building` resource of that name. Throws as `buildingsOf` does, with pointers into the values
 * that would have declared it.
 */
export function recordOfSpec(name: string, spec: unknown, country: CountryCode): BuildingRecord {
  const parsed = buildingSpecSchema.safeParse(spec);
  if (!parsed.success)
    throw invalid(
      parsed.error.issues.map(({ path, message }) => ({
        pointer: pointerOf(['spec', ...path]),
        detail: message,
      })),
    );
  const { deviceTypes: own, roomTypes: rooms, ...declared } = parsed.data;
  requireHome({ building: name, declared, country });
  if (!isBuildingId(name))
    throw invalid([
      {
        pointer: '/metadata/name',
        detail: 'expected an id that begins with its country, as de-7f3k',
      },
    ]);
  const faults: Fault[] = [];
  const catalogue = { types: { ...builtInDeviceTypes, ...own }, roomTypes: rooms };
  refuseBuiltIn(own, faults);
  const record = recordOf({ building: name, declared, country, catalogue, faults });
  if (faults.length > 0) throw invalid(faults);
  return record;
}

function refuseBuiltIn(own: Readonly<Record<string, DeviceType>>, faults: Fault[]): void {
  for (const name of Object.keys(own))
    if (Object.hasOwn(builtInDeviceTypes, name))
      faults.push({
        pointer: pointerOf(['deviceTypes', name]),
        detail: 'is in the built-in catalogue; choose another name',
      });
}

function requireHome(of: {
  building: string;
  declared: BuildingValues;
  country: CountryCode;
}): void {
  const { building, declared, country } = of;
  const home = declared.country ?? country;
  if (isBuildingId(building) && isResident(country, building) && home === country) return;
  throw abroad(country, pointerOf(['buildings', building]));
}

function abroad(country: CountryCode, pointer: string): PlatformError {
  return new PlatformError(
    'RESIDENCY_VIOLATION',
    `Cannot declare a building of another country here: this cell serves ${country} alone`,
    { faults: [{ pointer, detail: `is not in ${country}` }] },
  );
}

interface Declaration {
  readonly building: string;
  readonly declared: BuildingValues;
  readonly country: CountryCode;
  readonly catalogue: {
    readonly types: Readonly<Record<string, DeviceType>>;
    readonly roomTypes: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
  readonly faults: Fault[];
}

function recordOf(declaration: Declaration): BuildingRecord {
  const { building, declared, country, catalogue, faults } = declaration;
  const devices = devicesOf(declaration);
  const at = (detail: string): void => {
    faults.push({ pointer: pointerOf(['buildings', building]), detail });
  };
  if (devices.length > devicesPerBuildingMax)
    at(`has ${devices.length} devices; ${devicesPerBuildingMax} are allowed`);
  for (const device of devices) if (!isDeviceId(device.id)) at(`${device.id} is no device id`);
  if (devices.some((device) => device.id === gatewayDevice))
    at(`the device id ${gatewayDevice} is reserved`);
  const used = new Set(devices.flatMap(({ placements }) => placements.map(({ type }) => type)));
  for (const type of used)
    if (!Object.hasOwn(catalogue.types, type)) at(`there is no device type ${type}`);
  for (const metric of metricsOfTwoUnits([...used].map((type) => catalogue.types[type])))
    at(
      `its device types give the metric ${metric} two units, so its rooms could not be summarised`,
    );
  return {
    id: building,
    country,
    client: declared.client,
    name: declared.name ?? null,
    timeZone: declared.timeZone,
    state: 'active',
    deviceTypes: Object.fromEntries(
      Object.entries(catalogue.types).filter(([name]) => used.has(name)),
    ),
    devices,
    passwordHash: null,
    quotas: declared.quotas,
  };
}

/** A room, floor or building has one summary of a metric, so its devices must agree on the unit. */
function metricsOfTwoUnits(types: readonly (DeviceType | undefined)[]): string[] {
  const units = new Map<string, Set<string>>();
  for (const type of types) {
    for (const [metric, { unit }] of Object.entries(type?.metrics ?? {}))
      units.set(metric, (units.get(metric) ?? new Set()).add(unit));
  }
  return [...units].filter(([, found]) => found.size > 1).map(([metric]) => metric);
}

function devicesOf(declaration: Declaration): PlacedDevice[] {
  const placements = new Map<string, Placement[]>();
  for (const [floor, { rooms }] of Object.entries(declaration.declared.floors))
    for (const [range, values] of Object.entries(rooms))
      placeRooms(declaration, { floor, range, values, placements });
  for (const [device, { type, placements: own }] of Object.entries(declaration.declared.devices))
    placements.set(
      device,
      own.map(({ floor, room, validFrom }) => ({
        validFromMs: timeOf(validFrom),
        floor,
        room,
        type,
      })),
    );
  return [...placements].map(([device, all]) => ({
    id: device,
    placements: all.toSorted((a, b) => (a.validFromMs ?? -Infinity) - (b.validFromMs ?? -Infinity)),
  }));
}

interface RoomsOfFloor {
  readonly floor: string;
  readonly range: string;
  readonly values: z.output<typeof roomValues>;
  readonly placements: Map<string, Placement[]>;
}

function placeRooms({ building, catalogue, faults }: Declaration, of: RoomsOfFloor): void {
  const { floor, range, values, placements } = of;
  const pointer = pointerOf(['buildings', building, 'floors', floor, 'rooms', range]);
  const { type, devices, validFrom } =
    typeof values === 'string' ? { type: values, devices: {}, validFrom: undefined } : values;
  const ofType = type === undefined ? {} : catalogue.roomTypes[type];
  const names = expandRange(range);
  if (ofType === undefined) faults.push({ pointer, detail: `there is no room type ${type}` });
  if (names === undefined)
    faults.push({ pointer, detail: 'expected a room or a range such as r1[01-25]' });
  const inEach = Object.entries({ ...ofType, ...devices });
  for (const room of names ?? []) {
    for (const [end, deviceType] of inEach) {
      const all = placements.get(`${room}-${end}`) ?? [];
      all.push({ validFromMs: timeOf(validFrom), floor, room, type: deviceType });
      placements.set(`${room}-${end}`, all);
    }
  }
}

function timeOf(text: string | undefined): number | null {
  return text === undefined ? null : (parseTime(text) ?? null);
}

/** `r1[01-25]` → r101 … r125, with the zeros of the first bound; a plain id is itself; undefined if unreadable. */
export function expandRange(text: string): string[] | undefined {
  const match = /^([a-z0-9-]*)\[(\d{1,6})-(\d{1,6})\]([a-z0-9-]*)$/.exec(text);
  if (!match) return isDeviceId(text) ? [text] : undefined;
  const [, before = '', first = '', last = '', after = ''] = match;
  const count = Number(last) - Number(first) + 1;
  if (count < 1 || count > rangeMax) return undefined;
  const names = Array.from(
    { length: count },
    (_, index) => `${before}${`${Number(first) + index}`.padStart(first.length, '0')}${after}`,
  );
  return names.every(isDeviceId) ? names : undefined;
}

function invalid(faults: readonly Fault[]): PlatformError {
  const told = faults.slice(0, 20).map(({ pointer, detail }) => `${pointer}: ${detail}`);
  return new PlatformError('VALUE_INVALID', `Cannot read values: ${told.join('; ')}`, { faults });
}

function pointerOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}
