import { join } from 'node:path';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { specOfDe } from '../model/cell/test-plan.ts';
import { buildingDefinition } from './building-definition.ts';
import { cellDefinition } from './cell-definition.ts';

let bed: KubeTestbed;
const apiVersion = 'domicile.dev/v1alpha1';

beforeAll(async () => {
  bed = await KubeTestbed.start({ controllers: false, kubelet: 'none' });
  // Of each kind one, so that both are served.
  await bed.client.applyAll([cellDefinition, buildingDefinition, cell(), building()]);
  // A kind is told by discovery a moment after it is served.
  for (const kind of ['cells', 'buildings'])
    await waitFor(`kubectl knows ${kind}`, async () => {
      return (await bed.kubectl(['get', `${kind}.domicile.dev`])).status === 0;
    });
});
afterAll(() => bed[Symbol.asyncDispose]());

const name = () => freshName('de');

function cell(changes: Readonly<Record<string, unknown>> = {}, called = name()) {
  return { apiVersion, kind: 'Cell', metadata: { name: called }, spec: specOfDe(changes) };
}

function building(changes: Readonly<Record<string, unknown>> = {}, called = name()) {
  return {
    apiVersion,
    kind: 'Building',
    metadata: { name: called, namespace: 'default' },
    spec: {
      country: 'DE',
      client: 'acme',
      timeZone: 'Europe/Berlin',
      roomTypes: { office: { air: 'air-quality' } },
      floors: { '1': { rooms: { 'r1[01-25]': { type: 'office' } } } },
      ...changes,
    },
  };
}

const lake = (changes: Readonly<Record<string, unknown>>) => ({
  lake: { ...specOfDe().lake, ...changes },
});

test('the examples are taken by kubectl, which refuses unknown fields', async () => {
  const folder = join(import.meta.dirname, '../../../examples/kubernetes');
  const { status, stdout, stderr } = await bed.kubectl([
    'apply',
    '--dry-run=server',
    '--namespace',
    'default',
    '-f',
    join(folder, 'cell.yaml'),
  ]);
  expect(`${stdout}${stderr}`).toContain('cell.domicile.dev/de created (server dry run)');
  expect(status).toBe(0);
});

describe('a Cell', () => {
  test('gets its defaults', async () => {
    const made = await bed.client.apply(cell());
    expect(made['spec']).toMatchObject({
      namespace: 'domicile',
      kafka: { replicas: 3, adminSecret: 'kafka-admin' },
      lake: { softDeleteDays: 7, identities: { rawReader: 'lake-raw-reader' } },
      broker: { replicas: 2, serviceType: 'LoadBalancer' },
      stream: { engine: 'embedded' },
    });
  });

  test.each([
    ['a region abroad', { regions: ['europe-west3', 'us-central1'] }, 'must lie in DE'],
    ['a multi-region', { regions: ['eu'] }, 'should match'],
    ['an on-premises site abroad', { regions: ['onprem-us-dallas'] }, 'must lie in DE'],
    ['a country that is none', { country: 'XX' }, 'Unsupported value'],
    ['another country’s code', { country: 'US' }, 'must lie in US'],
    ['a bucket outside its regions', lake({ region: 'europe-west1' }), 'none of the regions'],
    ['one bucket for both', lake({ servingBucket: 'acme-de-landing' }), 'buckets of their own'],
    [
      'one identity for two rights',
      lake({ identities: { servingReader: 'lake-writer' } }),
      'a Secret of its own',
    ],
    ['what the store cannot do', lake({ softDeleteDays: 3 }), '7 to 90 days'],
    ['a namespace of the cluster', { namespace: 'kube-system' }, 'is taken'],
    ['an odd partition count', { kafka: { bootstrap: 'k:9092', partitions: 7 } }, 'Unsupported'],
    ['an unknown field', { residency: 'off' }, 'residency'],
  ])('with %s is refused', async (_of, changes, message) => {
    await expect(bed.client.apply(cell(changes))).rejects.toThrow(message);
  });

  test('of one’s own machines is taken', async () => {
    const region = 'onprem-de-berlin';
    const made = await bed.client.apply(cell({ regions: [region], ...lake({ region }) }));
    expect(made['spec']).toMatchObject({ regions: [region] });
  });

  test.each([
    ['country', { country: 'US', regions: ['us-central1'], ...lake({ region: 'us-central1' }) }],
    ['partitions', { kafka: { bootstrap: 'k:9092', partitions: 16 } }],
    ['namespace', { namespace: 'elsewhere' }],
    ['landing bucket', lake({ landingBucket: 'acme-us-landing' })],
    ['store', lake({ store: 's3' })],
  ])('keeps its %s', async (_field, changes) => {
    const called = name();
    await bed.client.apply(cell({}, called));
    await expect(bed.client.apply(cell(changes, called))).rejects.toThrow('is immutable');
  });

  test('may add regions of its country and name other brokers', async () => {
    const called = name();
    await bed.client.apply(cell({ regions: ['europe-west3'] }, called));
    const changed = await bed.client.apply(
      cell({ kafka: { bootstrap: 'kafka-9.example:9092', partitions: 8 } }, called),
    );
    expect(changed.metadata.generation).toBe(2);
  });
});

describe('a Building', () => {
  test('gets its defaults', async () => {
    const made = await bed.client.apply(building());
    expect(made['spec']).toMatchObject({
      deletionPolicy: 'Retain',
      legalHold: false,
      floors: { '1': { rooms: { 'r1[01-25]': { type: 'office', devices: {} } } } },
    });
  });

  test.each([
    ['the name of another country', {}, freshName('us'), 'must begin with its country'],
    ['a name without country', {}, 'tower', 'the id of the building'],
    ['a dotted name', {}, 'de-a.b', 'the id of the building'],
    ['an unknown time zone form', { timeZone: 'Berlin time' }, freshName('de'), 'should match'],
    [
      'a built-in type redefined',
      { deviceTypes: { contact: { metrics: { open: {} } } } },
      freshName('de'),
      'built-in',
    ],
    [
      'a range upside down',
      { deviceTypes: { t: { metrics: { m: { min: 2, max: 1 } } } } },
      freshName('de'),
      'min must be below max',
    ],
    [
      'a metric with a bad name',
      { deviceTypes: { t: { metrics: { 'M-1': {} } } } },
      freshName('de'),
      'every key must match',
    ],
    [
      'a floor with a bad name',
      { floors: { 'First Floor': { rooms: {} } } },
      freshName('de'),
      'every key must match',
    ],
    ['no floors', { floors: undefined }, freshName('de'), 'floors'],
  ])('with %s is refused', async (_of, changes, called, message) => {
    await expect(bed.client.apply(building(changes, called))).rejects.toThrow(message);
  });

  test.each([
    ['client', { client: 'other' }],
    ['country', { country: 'US' }],
  ])('keeps its %s', async (_field, changes) => {
    const called = name();
    await bed.client.apply(building({}, called));
    await expect(bed.client.apply(building(changes, called))).rejects.toThrow(/is immutable|begin/);
  });

  test('of 5,000 devices is taken', async () => {
    const floors = Object.fromEntries(
      Array.from({ length: 50 }, (_, floor) => [
        `${floor}`,
        { rooms: { [`r${floor}-[01-50]`]: { type: 'office', devices: { light: 'light-meter' } } } },
      ]),
    );
    const made = await bed.client.apply(building({ floors }));
    expect(made.metadata.generation).toBe(1);
  });

  test('shows what an SRE asks first', async () => {
    const called = name();
    await bed.client.apply(building({}, called));
    const condition = (type: string) => ({
      type,
      status: 'True',
      reason: 'AsDeclared',
      message: 'fine',
      observedGeneration: 1,
      lastTransitionTime: '2026-01-01T00:00:00Z',
    });
    await bed.client.patch(
      apiVersion,
      'Building',
      { name: called, namespace: 'default', subresource: 'status' },
      {
        status: {
          observedGeneration: 1,
          cell: 'DE',
          devices: { expected: 25, seen: 24, text: '24/25' },
          conditions: ['Ready', 'ResidencyVerified'].map(condition),
        },
      },
    );
    const { stdout } = await bed.kubectl(['get', 'bld', called]);
    const [head = '', row = ''] = stdout.split('\n');
    expect(head.split(/\s{2,}/)).toEqual([
      'NAME',
      'COUNTRY',
      'CELL',
      'DEVICES',
      'RESIDENCY',
      'READY',
      'AGE',
    ]);
    expect(row.split(/\s{2,}/).slice(1, 6)).toEqual(['DE', 'DE', '24/25', 'True', 'True']);
  });
});
