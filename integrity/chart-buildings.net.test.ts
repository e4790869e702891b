import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildingRecord } from '@domicile/core/building.ts';
import { isCountryCode } from '@domicile/core/countries.ts';
import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { buildingsOf } from '@domicile/core/values.ts';
import { type HelmOutcome, runHelm } from '@domicile/devkit/helm-tool.ts';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';

// Helm renders what a stranger would install, and reads values by the rules by which a cell reads them.

const chart = join(import.meta.dirname, '../charts/domicile-buildings');

const twoBuildings = `
deviceTypes:
  radon-meter: { every: PT1M, metrics: { radon: { unit: "1", min: 0, max: 100000 } } }
roomTypes:
  standard-room: { air: air-quality, light: light-meter, door: contact, presence: presence }
buildings:
  de-7f3k:
    client: acme
    timeZone: Europe/Berlin
    floors: { "1": { rooms: { "r1[01-25]": standard-room } } }
  de-b02q:
    client: globex
    name: Harbour offices
    timeZone: Europe/Berlin
    deletionPolicy: Delete
    exportBeforeDelete: true
    legalHold: true
    quotas: { messagesPerSecond: 500, bytesPerSecond: 10000000000, connections: 20 }
    floors:
      "0": { rooms: { lobby: { devices: { radon: radon-meter } } } }
      "1": { rooms: { "r1[01-10]": { type: standard-room, validFrom: "2026-06-01T00:00:00+02:00" } } }
    devices:
      trolley: { type: air-quality, placements: [{ floor: "0", room: lobby }] }
`;

const roomTypes = {
  'standard-room': {
    air: 'air-quality',
    light: 'light-meter',
    door: 'contact',
    presence: 'presence',
  },
};
const standardRooms = { 'r1[01-25]': 'standard-room' };

/** Values of one building: what is given takes the place of what is right. */
function one(given: object, id = 'de-7f3k', rooms: object = standardRooms): object {
  const right = { client: 'acme', timeZone: 'Europe/Berlin', floors: { '1': { rooms } } };
  return { roomTypes, buildings: { [id]: { ...right, ...given } } };
}

function withRooms(rooms: object): object {
  return one({}, 'de-7f3k', rooms);
}

function withType(type: object, name = 'radon-meter'): object {
  return { ...one({}), deviceTypes: { [name]: type } };
}

function withPlacement(placement: object): object {
  return one({ devices: { trolley: { type: 'air-quality', placements: [placement] } } });
}

const radon = { metrics: { radon: { unit: '1', min: 0 } } };

const accepted: Record<string, object> = {
  nothing: {},
  'a standard building': one({}),
  'a name and a policy': one({ name: 'Harbour', deletionPolicy: 'Delete' }),
  'an export first': one({ deletionPolicy: 'Delete', exportBeforeDelete: true, legalHold: true }),
  'quotas of its own': one({ quotas: { messagesPerSecond: 500, bytesPerSecond: 10_000_000_000 } }),
  'the country in words': one({ country: 'DE' }),
  'UTC as a zone': one({ timeZone: 'Etc/UTC' }),
  'a zone that happens to be UTC': one({ timeZone: 'Africa/Abidjan' }),
  'no floors yet': one({ floors: {} }),
  'zeros by the first bound': withRooms({ 'a[9-10]b': 'standard-room' }),
  'a thousand rooms of five devices': withRooms({
    'r[0001-1000]': { type: 'standard-room', devices: { water: 'water-meter' } },
  }),
  'a device type of its own': withType({ every: 'PT1H30M', ...radon }),
  'a placement with a time': withPlacement({
    floor: '1',
    room: 'r101',
    validFrom: '2026-06-01T00:00:00.5Z',
  }),
};

/** What is refused, and what Helm says of it. */
const refused: Record<string, readonly [values: object, said: RegExp]> = {
  'an unknown field': [one({ floor: {} }), /additional properties 'floor' not allowed/],
  'an unknown field at the top': [{ building: {} }, /additional properties 'building' not allowed/],
  'an unknown field of a room': [
    withRooms({ r1: { typ: 'standard-room' } }),
    /additional properties 'typ' not allowed/,
  ],
  'no client': [one({ client: undefined }), /missing property 'client'/],
  'a client in capitals': [one({ client: 'ACME' }), /\/client': 'ACME' does not match pattern/],
  'an unknown time zone': [one({ timeZone: 'Mars/Base' }), /Mars\/Base is no IANA time zone/],
  'the zone of the machine': [one({ timeZone: 'Local' }), /Local is no IANA time zone/],
  'an unknown policy': [one({ deletionPolicy: 'Keep' }), /must be one of 'Retain', 'Delete'/],
  'a quota of nothing': [one({ quotas: { connections: 0 } }), /connections': minimum: got 0/],
  'a quota that is none': [one({ quotas: { perSecond: 5 } }), /additional properties 'perSecond'/],
  'a hold in words': [one({ legalHold: 'yes' }), /legalHold': got string, want boolean/],
  'a building without a country': [one({}, 'xx-7f3k'), /begins with its country.*xx is none/],
  'a building in capitals': [one({}, 'DE-7f3k'), /'DE-7f3k' does not match pattern/],
  'another country by word': [one({ country: 'US' }), /is US, and the id begins with de/],
  'another country by id': [
    { roomTypes, buildings: { ...buildingsIn(one({})), ...buildingsIn(one({}, 'us-7f3k')) } },
    /are of DE, US, and one cluster serves one country/,
  ],
  'a falling range': [withRooms({ 'r[9-1]': 'standard-room' }), /expected a room or a range/],
  'a range too long': [withRooms({ 'r[1-1001]': 'standard-room' }), /of at most 1000 rooms/],
  'a range that cannot be read': [
    withRooms({ 'r[a-z]': 'standard-room' }),
    /'r\[a-z\]' does not match/,
  ],
  'a range of names that are no ids': [
    withRooms({ '-[1-2]': 'standard-room' }),
    /expected a room or/,
  ],
  'an unknown room type': [withRooms({ r1: 'suite' }), /rooms\.r1: there is no room type suite/],
  'an unknown device type': [
    withRooms({ r1: { devices: { a: 'teapot' } } }),
    /there is no device type teapot/,
  ],
  'too many devices': [
    withRooms({
      'r[0001-1000]': { type: 'standard-room', devices: { water: 'water-meter' } },
      lobby: { devices: { door: 'contact' } },
    }),
    /has 5001 devices; 5000 are allowed/,
  ],
  'a device id too long': [
    withRooms({ [`r${'0'.repeat(60)}`]: { devices: { door: 'contact' } } }),
    /is no device id/,
  ],
  'the id of the gateway': [
    one({ devices: { gateway: { type: 'contact', placements: [{ floor: '1', room: 'r101' }] } } }),
    /the device id gateway is reserved/,
  ],
  'a built-in device type': [withType(radon, 'presence'), /presence: is in the built-in catalogue/],
  'an unknown unit': [withType({ metrics: { a: { unit: 'furlong' } } }), /\/unit': value must be/],
  'no metric': [withType({ metrics: {} }), /minProperties: got 0, want 1/],
  'a metric in capitals': [withType({ metrics: { CO2: {} } }), /'CO2' does not match pattern/],
  'a range of nothing': [withType({ metrics: { a: { min: 2, max: 2 } } }), /min must be below max/],
  'a bound without bounds': [withType({ metrics: { a: { max: 1e13 } } }), /maximum: got/],
  'a cadence of nothing': [withType({ every: 'PT0S', ...radon }), /must be longer than nothing/],
  'a cadence that is no duration': [withType({ every: '10s', ...radon }), /'10s' does not match/],
  'a placement without a room': [withPlacement({ floor: '1' }), /missing property 'room'/],
  'no placement': [
    one({ devices: { trolley: { type: 'contact', placements: [] } } }),
    /minItems: got 0, want 1/,
  ],
  'a time that is none': [
    withPlacement({ floor: '1', room: 'r101', validFrom: '2026-02-30T00:00:00Z' }),
    /2026-02-30T00:00:00Z is no time/,
  ],
  'a time without its offset': [
    withRooms({ r101: { type: 'standard-room', validFrom: '2026-02-03T00:00:00' } }),
    /does not match pattern/,
  ],
};

test.concurrent.each(Object.entries(accepted))('%s is accepted by both', async (_what, values) => {
  expect(acceptedByCell(values)).toBe(true);
  expect(await render(yaml(values))).toMatchObject({ status: 0, stderr: '' });
});

test.concurrent.each(Object.entries(refused))(
  '%s is refused by both',
  async (_what, [values, said]) => {
    expect(acceptedByCell(values)).toBe(false);
    const { status, stdout, stderr } = await render(yaml(values));
    expect(stderr).toMatch(said);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  },
);

test('each building becomes one resource that carries what it uses', async () => {
  const { stdout, stderr } = await render(twoBuildings);
  expect(stderr).toBe('');
  const [first, second, ...more] = parseAllDocuments(stdout).map((document) => document.toJS());
  expect(more).toEqual([]);
  const declared = parse(twoBuildings);
  expect(first).toMatchObject({
    apiVersion: 'domicile.dev/v1alpha1',
    kind: 'Building',
    metadata: {
      name: 'de-7f3k',
      namespace: 'homes',
      labels: { 'domicile.dev/country': 'de', 'app.kubernetes.io/instance': 'buildings' },
    },
  });
  expect(first.spec).toEqual({
    country: 'DE',
    client: 'acme',
    timeZone: 'Europe/Berlin',
    deletionPolicy: 'Retain',
    roomTypes: declared.roomTypes,
    floors: { '1': { rooms: { 'r1[01-25]': { type: 'standard-room' } } } },
  });
  expect(second.metadata.name).toBe('de-b02q');
  expect(second.spec).toEqual({
    country: 'DE',
    ...declared.buildings['de-b02q'],
    roomTypes: declared.roomTypes,
    deviceTypes: declared.deviceTypes,
  });
});

test('what is rendered declares the same building as the values', async () => {
  const { stdout } = await render(twoBuildings);
  const specs = parseAllDocuments(stdout).map((document) => document.toJS());
  const again = specs.flatMap(
    ({ metadata, spec: { roomTypes: rooms, deviceTypes, ...building } }) =>
      buildingsOf(
        {
          roomTypes: rooms,
          ...(deviceTypes && { deviceTypes }),
          buildings: { [metadata.name]: building },
        },
        'DE',
      ),
  );
  expect(again.map(byDevice)).toEqual(buildingsOf(parse(twoBuildings), 'DE').map(byDevice));
});

test.each(['de', 'us'])('what the demo declares in %s installs in a cluster too', async (cc) => {
  const values = readFileSync(
    join(import.meta.dirname, `../examples/demo/${cc}.values.yaml`),
    'utf8',
  );
  const { stdout, stderr } = await render(values, '--set', `country=${cc.toUpperCase()}`);
  expect(stderr).toBe('');
  const names = parseAllDocuments(stdout).map((document) => document.toJS().metadata.name);
  expect(new Set(names)).toEqual(new Set(Object.keys(parse(values).buildings)));
});

test('the country of the cluster refuses every other one', async () => {
  expect(await render(twoBuildings, '--set', 'country=DE')).toMatchObject({ status: 0 });
  const { status, stderr } = await render(twoBuildings, '--set', 'country=US');
  expect(status).toBe(1);
  expect(stderr).toContain(
    'buildings.de-7f3k: is a building of DE, and this cluster serves US alone',
  );
  expect(stderr).toContain('buildings.de-b02q: is a building of DE');
  expect((await render(twoBuildings, '--set', 'country=QQ')).stderr).toContain(
    'QQ is no country of ISO 3166-1',
  );
});

test('a release holds 500 buildings, and says so above', async () => {
  expect(await render(yaml(many(500)))).toMatchObject({ status: 0, stderr: '' });
  const { status, stdout, stderr } = await render(yaml(many(501)));
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toContain("at '/buildings': maxProperties: got 501, want 500");
});

test('a release holds two million characters, and says so above', async () => {
  const rooms = Object.fromEntries(
    Array.from({ length: 250 }, (_, index) => [`r${index}`, 'standard-room']),
  );
  const { status, stdout, stderr } = await render(yaml(many(500, rooms)));
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(/buildings: are \d+ characters long.*are several releases/);
});

function many(count: number, rooms: object = standardRooms): object {
  const of = Array.from({ length: count }, (_, index) =>
    buildingsIn(one({}, `de-${index}`, rooms)),
  );
  return { roomTypes, buildings: Object.assign({}, ...of) };
}

test('its notes name a few buildings and count many', async () => {
  const house = { client: 'acme', timeZone: 'Europe/Berlin', floors: {} };
  const notesOf = async (count: number) => {
    const ids = Array.from({ length: count }, (_, n) => [`de-${`${n}`.padStart(4, '0')}`, house]);
    using folder = mkdtempDisposableSync(join(tmpdir(), 'values-'));
    const file = join(folder.path, 'values.yaml');
    writeFileSync(file, yaml({ buildings: Object.fromEntries(ids) }));
    const release = ['install', 'homes', chart, '--namespace', 'homes', '--dry-run=client'];
    const { stdout } = await runHelm([...release, '--values', file]);
    return stdout.slice(stdout.indexOf('NOTES:'));
  };
  expect(await notesOf(2)).toContain('2 buildings are declared: de-0000, de-0001.\n');
  expect(await notesOf(1)).toContain('1 building is declared: de-0000.\n');
  const notes = await notesOf(500);
  expect(notes).toContain(
    '500 buildings are declared: de-0000, de-0001, de-0002, de-0003, de-0004 and 495 more.\n',
  );
  expect(notes).toContain('--selector app.kubernetes.io/instance=homes --output wide');
  expect(notes.length).toBeLessThan(1000);
});

test('every fault is told at once', async () => {
  const { stderr } = await render(
    yaml({
      buildings: {
        'de-7f3k': {
          client: 'acme',
          timeZone: 'Mars/Base',
          floors: { '1': { rooms: { 'r[9-1]': 'suite' } } },
        },
      },
    }),
  );
  expect(stderr).toMatch(/Mars\/Base[^]*no room type suite[^]*expected a room or a range/);
});

test('Norway is a country and no boolean', async () => {
  const { stdout } = await render(yaml(one({ country: 'NO' }, 'no-7f3k')), '--set', 'country=NO');
  expect(parse(stdout, { version: '1.1' }).spec.country).toBe('NO');
});

test('the example in values.yaml is right once it is uncommented', async () => {
  const { stdout } = await runHelm(['show', 'values', chart]);
  const example = stdout
    .replaceAll(/^(\w+): \{\}$/gm, '$1:')
    .replaceAll(/^#( .*)$/gm, (line, rest: string) => (/^ {2}/.test(rest) ? rest : line));
  const { status, stderr } = await render(example);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(buildingsOf(parse(example), 'DE').map(({ id }) => id)).toEqual(['de-7f3k', 'de-b02q']);
});

test('the catalogue of the chart is that of core', () => {
  expect(catalogue('deviceTypes')).toEqual(Object.keys(builtInDeviceTypes).toSorted());
  const letters = Array.from({ length: 26 }, (_, index) => String.fromCodePoint(65 + index));
  const countries = letters.flatMap((a) => letters.map((b) => a + b)).filter(isCountryCode);
  expect(catalogue('countries')).toEqual(countries);
});

/** The words of a template of the catalogue. */
function catalogue(name: string): string[] {
  const text = readFileSync(join(chart, 'templates/_catalogue.tpl'), 'utf8');
  const found = new RegExp(`define "domicile.${name}" -}}([^{]*)`).exec(text)?.[1] ?? '';
  return found.trim().split(/\s+/).toSorted();
}

/** Helm sorts keys, and so the order of devices says nothing. */
function byDevice(building: BuildingRecord): BuildingRecord {
  return { ...building, devices: building.devices.toSorted((a, b) => a.id.localeCompare(b.id)) };
}

/** Helm reads YAML 1.1, in which NO is a boolean unless it is quoted. */
function yaml(values: object): string {
  return stringify(values, { version: '1.1' });
}

function buildingsIn(values: object): object {
  return 'buildings' in values && typeof values.buildings === 'object' && values.buildings !== null
    ? values.buildings
    : {};
}

function acceptedByCell(values: object): boolean {
  try {
    buildingsOf(parse(yaml(values)), 'DE');
    return true;
  } catch (error) {
    if (error instanceof PlatformError) return false;
    throw error;
  }
}

async function render(values: string, ...more: string[]): Promise<HelmOutcome> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'values-'));
  const file = join(folder.path, 'values.yaml');
  writeFileSync(file, values);
  const release = ['template', 'buildings', chart, '--namespace', 'homes', '--skip-tests'];
  return await runHelm([...release, '--values', file, ...more]);
}
