import type { CountryPack } from '@domicile/core/country-pack.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { packOfDe, specOfDe } from '../model/cell/test-plan.ts';
import type { ApplyOptions, Kind, Kube, KubeObject } from '../runtime/kube.ts';
import { readDeclared } from './declared.ts';
import { makePlan, type PlanRequest } from './make-plan.ts';
import { faultTold, isRefused, type Plan, tableOfPlan } from './plan.ts';

const packs = new Map<CountryPack['country'], CountryPack>([['DE', packOfDe]]);
const roomTypes = { standard: { air: 'air-quality', presence: 'presence' } };
const house = {
  client: 'acme',
  timeZone: 'Europe/Berlin',
  floors: { '1': { rooms: { 'r1[01-25]': 'standard' } } },
};

function planned(files: readonly object[], more: Partial<PlanRequest> = {}): Promise<Plan> {
  const declared = files.flatMap((file, index) =>
    readDeclared(stringify(file, { version: '1.1' }), `file-${index}.yaml`),
  );
  return makePlan({
    declared,
    packs,
    country: undefined,
    namespace: 'domicile-buildings',
    release: undefined,
    server: undefined,
    ...more,
  });
}

const told = ({ resources }: Plan): string[] =>
  resources.map(({ kind, name, action }) => `${action} ${kind} ${name}`);

test('a cell and two buildings would be created, and it is told what they come to', async () => {
  const plan = await planned([
    specOfDe(),
    { roomTypes, buildings: { 'de-1': house, 'de-2': { ...house, name: 'Two' } } },
  ]);
  expect(told(plan)).toEqual(['create Cell de', 'create Building de-1', 'create Building de-2']);
  expect(isRefused(plan)).toBe(false);
  const table = tableOfPlan(plan);
  expect(table).toContain('50 devices in 25 rooms on 1 floor, 5.0 readings a second');
  expect(table).toContain('acme-de-landing (400 days), acme-de-serving (3650 days)');
  expect(table).toMatch(/processes: broker 2, tasks 2/);
  expect(table).toContain('3 to create. Nothing was changed. --server');
});

test('one building that is wrong hides no other', async () => {
  const wrong = { ...house, floors: { '1': { rooms: { r1: 'suite' } } } };
  const plan = await planned([
    { country: 'DE', roomTypes, buildings: { 'de-1': house, 'de-2': wrong, 'us-3': house } },
  ]);
  expect(told(plan)).toEqual([
    'create Building de-1',
    'refuse Building de-2',
    'refuse Building us-3',
  ]);
  expect(tableOfPlan(plan)).toMatch(/there is no room type suite[^]*us-3: is not in DE/);
  expect(isRefused(plan)).toBe(true);
});

const refusedCells: Record<string, readonly [spec: object, why: RegExp]> = {
  'a region of another country': [
    specOfDe({ regions: ['europe-west3', 'europe-west9'] }),
    /europe-west9 is no region of DE/,
  ],
  'a multi-region': [specOfDe({ regions: ['europe-west3', 'EU'] }), /EU is no region of DE/],
  'a site that the pack does not list': [
    specOfDe({ regions: ['europe-west3', 'onprem-de-kiel'] }),
    /onprem-de-kiel is not in the pack of DE/,
  ],
  'an engine that is not built': [specOfDe({ stream: { engine: 'spark' } }), /spark is refused/],
  'an unknown field': [
    specOfDe({ region: 'europe-west3' }),
    /region: is no field here; did you mean regions\? There are: api, /,
  ],
};

test('every fault of a values file is told at once, with its place and what may stand there', async () => {
  const plan = await planned([
    {
      roomTypes: { standard: { air: 'air-qualty' }, Office: { air: 'air-quality' } },
      deviceTypes: { radon: { every: 'PT1M', metrics: { radon: { unit: 'furlong' } } } },
      bildings: {},
      buildings: {
        'de-1': {
          clinet: 'acme',
          timeZone: 'Europe/Berln',
          quotas: { messagesPerSecond: 0, connections: 'many' },
          deletionPolicy: 'Keep',
          floors: {
            '1': { rooms: { 'r1[01-25]': 'standrd', 'r2[05-01]': { typ: 'standard' } } },
            '2': { rooms: { r1: { type: 5, devices: { radon: 'radon' } } } },
          },
        },
        'us-2': { ...house, floors: { '1': { rooms: { r1: 'suite' } } } },
        'de-3': house,
      },
    },
  ]);
  expect(told(plan)).toEqual([
    'refuse values file-0.yaml',
    'refuse Building de-1',
    'refuse Building us-2',
    'refuse Building de-3',
  ]);
  const faults = (name: string) =>
    (plan.resources.find((one) => one.name === name)?.faults ?? []).map(faultTold).toSorted();
  expect(faults('file-0.yaml')).toEqual([
    'bildings: is no field here; did you mean buildings? There are: buildings, country, deviceTypes, roomTypes',
    'deviceTypes.radon.metrics.radon.unit: expected a UCUM code of the unit table, not "furlong"',
    'roomTypes.Office: is no name for this: expected lower-case letters, digits and hyphens',
  ]);
  expect(faults('de-1')).toEqual([
    'buildings.de-1.client: is missing: expected a text',
    expect.stringMatching(
      /^buildings\.de-1\.clinet: is no field here; did you mean client\? There are: client, country, /,
    ),
    'buildings.de-1.deletionPolicy: expected one of Retain, Delete, not "Keep"',
    'buildings.de-1.floors.1.rooms.r1[01-25]: there is no room type standrd; did you mean standard? There are: standard',
    'buildings.de-1.floors.1.rooms.r2[05-01].typ: is no field here; did you mean type? There are: devices, type, validFrom',
    'buildings.de-1.floors.1.rooms.r2[05-01]: expected a room or a range such as r1[01-25]',
    'buildings.de-1.floors.2.rooms.r1.type: expected a text, not 5',
    'buildings.de-1.quotas.connections: expected a number, not "many"',
    'buildings.de-1.quotas.messagesPerSecond: expected at least 1, not 0',
    'buildings.de-1.timeZone: expected an IANA time zone such as Europe/Berlin, not "Europe/Berln"',
  ]);
  expect(faults('us-2')).toEqual([
    'buildings.us-2.floors.1.rooms.r1: there is no room type suite; there are: standard',
    'buildings.us-2: is not in DE, which this cluster serves alone: declare it in the cluster of its own country',
  ]);
  expect(faults('de-3')).toEqual([
    expect.stringMatching(
      /^buildings\.de-3: there is no device type air-qualty; did you mean air-quality\? There are: /,
    ),
  ]);
  expect(tableOfPlan(plan)).toContain('4 refused');
});

test('every fault of a cell is told at once, by the fields of its values', async () => {
  const { kafka: _kafka, ...rest } = specOfDe({
    regions: ['europe-west9'],
    lake: { ...specOfDe().lake, softDeleteDays: 3, landingBucket: 'No Bucket' },
    stream: { engine: 'spark' },
    broker: { replicas: 0, servicetype: 'NodePort' },
  });
  const [cell] = (await planned([rest])).resources;
  expect((cell?.faults ?? []).map(faultTold).toSorted()).toEqual([
    'broker.replicas: expected at least 1, not 0',
    expect.stringMatching(/^broker\.servicetype: is no field here; did you mean serviceType\?/),
    'kafka: is missing: expected a map of fields',
    expect.stringMatching(/^lake\.landingBucket: expected the name of a bucket/),
    expect.stringMatching(/^lake\.region: .* is none of the cell's regions/),
    expect.stringMatching(/^lake\.softDeleteDays: .*7 to 90/),
    'regions.0: europe-west9 is no region of DE',
    expect.stringMatching(/^stream\.engine: spark is refused/),
  ]);
});

test('a manifest is told by its own fields', async () => {
  const [one] = (
    await planned([
      {
        apiVersion: 'domicile.dev/v1alpha1',
        kind: 'Building',
        metadata: { name: 'de-1', namespace: 'homes' },
        spec: {
          ...house,
          country: 'DE',
          legalHld: true,
          floors: { '1': { rooms: { r1: { type: 'suite' } } } },
        },
      },
    ])
  ).resources;
  expect((one?.faults ?? []).map(faultTold).toSorted()).toEqual([
    'spec.floors.1.rooms.r1: there is no room type suite: declare it in roomTypes',
    expect.stringMatching(/^spec\.legalHld: is no field here; did you mean legalHold\?/),
  ]);
});

test.each(Object.entries(refusedCells))('%s is refused', async (_what, [spec, why]) => {
  const plan = await planned([spec]);
  expect(told(plan)).toEqual([expect.stringMatching(/^refuse Cell/)]);
  expect(tableOfPlan(plan)).toMatch(why);
});

test('a country without a pack, and none at all, cannot be planned', async () => {
  await expect(planned([{ buildings: { 'ke-1': house } }])).rejects.toThrow(
    /KE has no country pack/i,
  );
  await expect(planned([{ buildings: {} }])).rejects.toThrow(/the country is not known/);
});

test('what is allowed and may not be meant is noted', async () => {
  const quotas = { messagesPerSecond: 1 };
  const [odd] = (
    await planned([
      {
        roomTypes,
        buildings: {
          'de-1': {
            ...house,
            name: 'Main \u202Esuoh',
            timeZone: 'Asia/Tokyo',
            deletionPolicy: 'Delete',
            quotas,
          },
        },
      },
    ])
  ).resources;
  expect(odd?.action).toBe('create');
  expect(odd?.warnings.join('\n')).toMatch(
    /Asia\/Tokyo is no time zone of DE[^]*quota is 1 messages[^]*signs that cannot be seen[^]*cannot be brought back/,
  );
});

test('one building in two files is refused', async () => {
  const values = { roomTypes, buildings: { 'de-1': house } };
  const plan = await planned([values, values]);
  expect(tableOfPlan(plan)).toContain('is declared in file-0.yaml and in file-1.yaml');
  expect(isRefused(plan)).toBe(true);
});

test('manifests are read as values are', async () => {
  const plan = await planned([
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'other' } },
    {
      apiVersion: 'domicile.dev/v1alpha1',
      kind: 'Building',
      metadata: { name: 'de-1', namespace: 'homes' },
      spec: {
        ...house,
        country: 'DE',
        roomTypes,
        floors: { '1': { rooms: { r1: { type: 'standard' } } } },
      },
    },
  ]);
  expect(told(plan)).toEqual(['create Building de-1']);
});

/** An API server that has some objects and refuses some names. */
function clusterWith(objects: readonly KubeObject[], refusals: Record<string, PlatformError> = {}) {
  const applied: [string, ApplyOptions | undefined][] = [];
  const unused = (): never => {
    throw new Error('a plan changes nothing');
  };
  const kube: Kube = {
    get: unused,
    create: unused,
    patch: unused,
    delete: unused,
    list: (kind: Kind) => Promise.resolve(objects.filter((object) => object.kind === kind.kind)),
    apply(_kind, object, options) {
      applied.push([object.metadata.name, options]);
      const refusal = refusals[object.metadata.name];
      return refusal ? Promise.reject(refusal) : Promise.resolve(object);
    },
  };
  const of = (kind: string) => objects.filter((object) => object.kind === kind);
  const server = { kube, present: { cells: of('Cell'), buildings: of('Building') } };
  return { server, applied };
}

function buildingOf(name: string, spec: object = {}, namespace = 'domicile-buildings'): KubeObject {
  const rooms = { 'r1[01-25]': { type: 'standard' } };
  return {
    apiVersion: 'domicile.dev/v1alpha1',
    kind: 'Building',
    metadata: { name, namespace, labels: { 'app.kubernetes.io/instance': 'homes' } },
    spec: { ...house, country: 'DE', roomTypes, floors: { '1': { rooms } }, ...spec },
  };
}

test('compared with a cluster: new, changed, unchanged, claimed elsewhere, left out', async () => {
  const { server, applied } = clusterWith([
    buildingOf('de-2'),
    buildingOf('de-3', { name: 'Old' }),
    buildingOf('de-4', {}, 'north'),
    buildingOf('de-5', { deletionPolicy: 'Delete' }),
  ]);
  const more = { ...house, floors: { '1': { rooms: { 'r1[01-26]': 'standard' } } }, name: 'New' };
  const buildings = { 'de-1': house, 'de-2': house, 'de-3': more, 'de-4': house };
  const plan = await planned([{ roomTypes, buildings }], { server, release: 'homes' });
  expect(told(plan)).toEqual([
    'create Building de-1',
    'same Building de-2',
    'change Building de-3',
    'refuse Building de-4',
    'remove Building de-5',
  ]);
  const table = tableOfPlan(plan);
  expect(table).toContain('devices added: r126-air, r126-presence');
  expect(table).toContain('name: Old → New');
  expect(table).toContain('is declared in namespace north already');
  expect(table).toContain('all of its data is erased, without an export');
  expect(applied.map(([name]) => name)).toEqual(['de-1', 'de-2', 'de-3']);
  expect(applied.every(([, options]) => options?.dryRun === true)).toBe(true);
});

test('of a building that is being taken out it is told until when, and how to change one’s mind', async () => {
  const going = (name: string, spec: object, status: object = {}): KubeObject => {
    const object = buildingOf(name, spec);
    const metadata = { ...object.metadata, deletionTimestamp: '2026-11-23T09:00:00Z' };
    return { ...object, metadata, status };
  };
  const erasure = { phase: 'Waiting', until: '2026-12-30T09:10:00.000Z' };
  const { server } = clusterWith([
    going('de-1', { deletionPolicy: 'Delete' }, { erasure }),
    going('de-2', { deletionPolicy: 'Delete' }, { erasure }),
    going('de-3', { deletionPolicy: 'Delete', legalHold: true }),
    going('de-4', {}),
  ]);
  const plan = await planned([{ roomTypes, buildings: { 'de-1': house } }], {
    server,
    release: 'homes',
  });
  expect(told(plan)).toEqual([
    'refuse Building de-1',
    'remove Building de-2',
    'remove Building de-3',
    'remove Building de-4',
  ]);
  const table = tableOfPlan(plan);
  expect(table).toMatch(
    /buildings\.de-1: is being taken out and all of its data erased, until 2026-12-30T09:10:00\.000Z at the earliest; to let it go at once[^\n]*"Retain"[^\n]*; what is declared now would go with it: helm upgrade once it is gone \(kubectl -n \S+ wait --for=delete building\/de-1 /,
  );
  expect(table).toMatch(
    /de-2 [^\n]*is being taken out and all of its data erased, until 2026-12-30/,
  );
  expect(table).toMatch(/de-3 [^\n]*under legal hold: it stays until spec\.legalHold is false/);
  expect(table).toMatch(/de-4 [^\n]*which takes seconds; its data stays/);
});

test('what the API server would refuse is refused, in its words', async () => {
  const message = 'spec.client: Invalid value: is immutable';
  const { server } = clusterWith([], { 'de-1': new PlatformError('VALUE_INVALID', message) });
  const plan = await planned([{ roomTypes, buildings: { 'de-1': house } }], { server });
  expect(told(plan)).toEqual(['refuse Building de-1']);
  expect(tableOfPlan(plan)).toContain(`the API server: ${message}`);
});

test('an API server that does not answer is no refusal', async () => {
  const away = new PlatformError('UPSTREAM_UNAVAILABLE', 'no answer');
  const { server } = clusterWith([], { 'de-1': away });
  await expect(planned([{ roomTypes, buildings: { 'de-1': house } }], { server })).rejects.toBe(
    away,
  );
});

test('one cluster is one cell of one country', async () => {
  const there = { apiVersion: 'domicile.dev/v1alpha1', kind: 'Cell', metadata: { name: 'de' } };
  const { server } = clusterWith([{ ...there, spec: specOfDe() }]);
  expect(told(await planned([specOfDe()], { server }))).toEqual(['change Cell de']);
  const second = { ...specOfDe(), name: 'other' };
  expect(tableOfPlan(await planned([second], { server }))).toContain(
    'this cluster has the cell de; one cluster is one cell',
  );
});
