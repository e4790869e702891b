import type { CountryPack } from '@domicile/core/country-pack.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { packOfDe, specOfDe } from '../model/cell/test-plan.ts';
import type { ApplyOptions, Kind, Kube, KubeObject } from '../runtime/kube.ts';
import { readDeclared } from './declared.ts';
import { makePlan, type PlanRequest } from './make-plan.ts';
import { isRefused, type Plan, tableOfPlan } from './plan.ts';

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
  'an unknown field': [specOfDe({ region: 'europe-west3' }), /Unrecognized key: "region"/],
};

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
          'de-1': { ...house, timeZone: 'Asia/Tokyo', deletionPolicy: 'Delete', quotas },
        },
      },
    ])
  ).resources;
  expect(odd?.action).toBe('create');
  expect(odd?.warnings.join('\n')).toMatch(
    /Asia\/Tokyo is no time zone of DE[^]*quota is 1 messages[^]*cannot be brought back/,
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
