import { expect, test } from 'vitest';
import {
  brokerBreaches,
  bucketBreaches,
  buildingBreaches,
  type Home,
  nodeBreaches,
  pinBreaches,
} from './residency-guard.ts';

const home: Home = { country: 'DE', regions: ['europe-west3', 'europe-west10'] };
const reasons = (breaches: readonly { readonly reason: string }[]) =>
  breaches.map(({ reason }) => reason);

test.each([
  ['europe-west3', []],
  ['EUROPE-WEST3', []],
  ['europe-west3-a', []],
  ['europe-west10-b', []],
  ['europe-west1', ['BrokerAbroad']],
  ['europe-west1-a', ['BrokerAbroad']],
  ['europe-west30-a', ['BrokerAbroad']],
  ['us-central1', ['BrokerAbroad']],
  ['europe-west3/../us-east1', ['BrokerAbroad']],
  ['', ['BrokerPlaceUnknown']],
  [undefined, ['BrokerPlaceUnknown']],
])('a broker of the rack %s is judged %j', (rack, expected) => {
  expect(reasons(brokerBreaches(home, [{ id: 1, host: 'kafka-1', rack }]))).toEqual(expected);
});

test('a region that the cell lists but that lies abroad is abroad all the same', () => {
  const listed: Home = { country: 'DE', regions: ['europe-west3', 'us-central1'] };
  expect(
    reasons(brokerBreaches(listed, [{ id: 1, host: 'kafka-1', rack: 'us-central1' }])),
  ).toEqual(['BrokerAbroad']);
  expect(
    reasons(
      bucketBreaches(listed, { bucket: 'b', location: 'us-central1', locationType: 'region' }),
    ),
  ).toEqual(['BucketAbroad']);
});

test.each([
  ['europe-west3', 'region', []],
  ['europe-west4', 'region', ['BucketAbroad']],
  ['eu', 'multi-region', ['BucketOfManyRegions']],
  ['eur4', 'dual-region', ['BucketOfManyRegions']],
  ['eu', 'region', ['BucketAbroad']],
  ['europe-west3', 'unknown', ['BucketPlaceUnknown']],
  ['', 'region', ['BucketPlaceUnknown']],
] as const)('a bucket in %s (%s) is judged %j', (location, locationType, expected) => {
  expect(reasons(bucketBreaches(home, { bucket: 'b', location, locationType }))).toEqual(expected);
});

test.each([
  [{ region: 'europe-west3', zone: 'europe-west3-b' }, []],
  [{ region: 'europe-west3', zone: undefined }, []],
  [{ region: 'us-central1', zone: 'us-central1-a' }, ['NodeAbroad']],
  [{ region: undefined, zone: 'europe-west3-b' }, ['NodePlaceUnknown']],
  [{ region: 'europe-west3', zone: 'us-central1-a' }, ['NodeAbroad']],
  [
    {
      region: 'europe-west3',
      zone: 'europe-west3-a',
      providerId: 'gce://acme/us-central1-a/node-1',
    },
    ['NodeAbroad'],
  ],
  [
    {
      region: 'europe-west3',
      zone: 'europe-west3-a',
      providerId: 'gce://acme/europe-west3-a/node-1',
    },
    [],
  ],
])('a node %j is judged %j', (node, expected) => {
  expect(reasons(nodeBreaches(home, { name: 'node-1', providerId: undefined, ...node }))).toEqual(
    expected,
  );
});

const term = (...matchExpressions: unknown[]) => ({ matchExpressions });
const within = (operator: string, values: string[], key = 'topology.kubernetes.io/region') => ({
  key,
  operator,
  values,
});
const podOf = (nodeSelectorTerms: unknown) => ({
  affinity: {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
  },
});

test.each([
  ['both regions', podOf([term(within('In', ['europe-west3', 'europe-west10']))]), []],
  ['more besides', podOf([term(within('Exists', [], 'gpu'), within('In', ['europe-west3']))]), []],
  ['nothing', {}, ['WorkloadNotPinned']],
  ['no term', podOf([]), ['WorkloadNotPinned']],
  [
    'an alternative without a pin',
    podOf([term(within('In', ['europe-west3'])), term()]),
    ['WorkloadNotPinned'],
  ],
  [
    'one value abroad',
    podOf([term(within('In', ['europe-west3', 'us-central1']))]),
    ['WorkloadNotPinned'],
  ],
  ['NotIn', podOf([term(within('NotIn', ['us-central1']))]), ['WorkloadNotPinned']],
  ['no values', podOf([term(within('In', []))]), ['WorkloadNotPinned']],
  ['another key', podOf([term(within('In', ['europe-west3'], 'region'))]), ['WorkloadNotPinned']],
  [
    'only preferred',
    { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } } },
    ['WorkloadNotPinned'],
  ],
])('a pod with %s is judged as it is placed', (_of, podSpec, expected) => {
  expect(reasons(pinBreaches(home, 'pod x', podSpec))).toEqual(expected);
});

test('a building of another country is none of ours, whichever of the two says so', () => {
  expect(buildingBreaches(home, { id: 'de-1', country: 'DE' })).toEqual([]);
  expect(reasons(buildingBreaches(home, { id: 'us-1', country: 'DE' }))).toEqual([
    'BuildingAbroad',
  ]);
  expect(reasons(buildingBreaches(home, { id: 'de-1', country: 'US' }))).toEqual([
    'BuildingAbroad',
  ]);
});
