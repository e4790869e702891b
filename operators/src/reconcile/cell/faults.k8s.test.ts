import { setTimeout as sleep } from 'node:timers/promises';
import { FakeKubelet } from '@domicile/devkit/kube/fake-kubelet.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { CellHouse, cellNamespace } from './test-cell-house.ts';

// What a cell stands on changes or falls away while the operator runs: it says so, harms nothing, and goes on by itself.

let house: CellHouse;
const cellResyncMs = 1_000;

beforeAll(async () => {
  house = await CellHouse.start({
    cellResyncMs,
    leaseMs: 15_000,
    // A node that is not heard of is given up after 20 s instead of 50, and its pods at once instead of after 5 min.
    flags: {
      'kube-apiserver': [
        '--default-unreachable-toleration-seconds=1',
        '--default-not-ready-toleration-seconds=1',
      ],
      'kube-controller-manager': ['--node-monitor-grace-period=20s', '--node-monitor-period=1s'],
    },
  });
  await house.bed.client.apply(house.manifest());
  await house.until('Ready', 'True');
});
afterAll(() => house[Symbol.asyncDispose]());

const client = () => house.bed.client;

const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    deletionTimestamp: z.string().optional(),
    labels: z.record(z.string(), z.string()),
  }),
  spec: z.object({
    nodeName: z.string().optional(),
    affinity: z.unknown(),
  }),
});

async function pods() {
  const { items } = await client().list('v1', 'Pod', { namespace: cellNamespace });
  return items
    .map((pod) => podSchema.parse(pod))
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** Of a cell whose rollouts have ended: what the Cell says may be of before they began. */
async function allPods() {
  await waitFor('the end of all rollouts', async () => {
    const workloads = await Promise.all(
      ['Deployment', 'StatefulSet'].map((kind) =>
        client().list('apps/v1', kind, { namespace: cellNamespace }),
      ),
    );
    return workloads.flatMap(({ items }) => items).every(isRolledOut);
  });
  const found = await pods();
  expect(found).toHaveLength(16);
  return found;
}

const workloadSchema = z.object({
  metadata: z.object({ generation: z.number() }),
  spec: z.object({ replicas: z.number() }),
  status: z.object({
    observedGeneration: z.number().default(0),
    replicas: z.number().default(0),
    updatedReplicas: z.number().default(0),
    availableReplicas: z.number().default(0),
  }),
});

function isRolledOut(workload: unknown): boolean {
  const { metadata, spec, status } = workloadSchema.parse(workload);
  const counts = [status.replicas, status.updatedReplicas, status.availableReplicas];
  return (
    status.observedGeneration === metadata.generation &&
    counts.every((count) => count === spec.replicas)
  );
}

const pinnedTo = (pod: z.output<typeof podSchema>, region: string) =>
  JSON.stringify(pod.spec.affinity).includes(region);

/** Every condition that was told while something went on, as `ResidencyVerified False NodeAbroad`. */
function told(): { readonly all: Set<string> } & AsyncDisposable {
  const all = new Set<string>();
  const stop = new AbortController();
  const looking = (async () => {
    while (!stop.signal.aborted) {
      const { conditions } = await house.status().catch(() => ({ conditions: [] }));
      for (const { type, status, reason } of conditions) all.add(`${type} ${status} ${reason}`);
      await sleep(100);
    }
  })();
  return {
    all,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await looking;
    },
  };
}

const breaches = (all: ReadonlySet<string>) =>
  [...all].filter((one) => one.startsWith('ResidencyVerified False'));

describe('credentials of administrators that are changed', () => {
  test('Kafka’s: the operator says so while they are wrong, and takes the right ones without a restart', async () => {
    house.kafka.adminPassword = 'next-secret';
    const message = await house.until('KafkaReady', 'False', {
      reason: 'KafkaCredentialsRefused',
    });
    expect(message).toContain('refuses the user or its password');
    expect(message).not.toContain('secret');
    await client().apply(
      house.secret('kafka-admin', { username: 'admin', password: 'next-secret' }),
    );
    await house.until('KafkaReady', 'True');
    await house.until('Ready', 'True');
  });

  test('the store’s: a key of somebody else, no key at all, and the right one', async () => {
    const admin = (data: string) =>
      client().apply(house.secret('lake-admin', { 'credentials.json': data }));
    await admin(house.gcs.keyOf('serving-reader'));
    await house.until('StoreReady', 'False', { reason: 'StoreForbidden' });
    await admin('{"type": "no key"}');
    const message = await house.until('StoreReady', 'False', { reason: 'StoreFailed' });
    expect(message).toMatch(/credentials\.json|key/);
    expect(await house.condition('ResidencyVerified')).toMatchObject({ status: 'Unknown' });
    await client().delete('v1', 'Secret', {
      name: 'lake-admin',
      namespace: house.secret('lake-admin', {}).metadata.namespace,
    });
    const missing = await house.until('StoreReady', 'False', { reason: 'SecretMissing' });
    expect(missing).toContain('create the Secret lake-admin in domicile-system');
    await admin(house.gcs.keyOf('next-admin'));
    await house.until('Ready', 'True');
  });

  test('a writer’s: the bucket knows the next one alone, and who writes is started anew with it', async () => {
    const annotationOf = async (name: string) =>
      JSON.stringify((await client().get('apps/v1', 'Deployment', place(name)))['spec']);
    const place = (name: string) => ({ name, namespace: cellNamespace });
    const [lander, raw] = [await annotationOf('lander'), await annotationOf('raw-api')];
    await client().apply(
      house.secret('lake-writer', { 'credentials.json': house.gcs.keyOf('next-writer') }),
    );
    const grants = () => JSON.stringify(house.gcs.buckets.get(house.landing)?.bindings);
    await waitFor('the bucket knows it', () =>
      grants().includes(house.gcs.memberOf('next-writer')),
    );
    await waitFor(
      'the other has no rights',
      () => !grants().includes(house.gcs.memberOf('writer')),
    );
    await waitFor(
      'the lander is started anew',
      async () => (await annotationOf('lander')) !== lander,
    );
    await house.until('Ready', 'True');
    expect(await annotationOf('raw-api')).toBe(raw);
  });
});

describe('a store that is away', () => {
  const forLong = 1_000_000;
  const broker = { name: 'broker', namespace: cellNamespace };

  test('the operator says so, asks at a steady pace, and goes on by itself', async () => {
    const before = await allPods();
    let asked = 0;
    house.gcs.faults.failNext(forLong, 503, ({ target }) => {
      if (target.startsWith('/token')) return false;
      asked += 1;
      return true;
    });
    const message = await house.until('StoreReady', 'False', { reason: 'StoreUnreachable' });
    expect(message).toContain('503');
    await house.until('Ready', 'False');
    expect(await house.condition('ResidencyVerified')).toMatchObject({ status: 'Unknown' });
    // Also while the cluster is busy: each change of a pod is a reason to look.
    asked = 0;
    const from = performance.now();
    const guest = { name: before[0]?.metadata.name ?? 'none', namespace: cellNamespace };
    for (let n = 0; n < 40; n += 1) {
      await client().patch('v1', 'Pod', guest, { metadata: { annotations: { noise: `${n}` } } });
      await sleep(200);
    }
    const looks = (performance.now() - from) / 2_000;
    // Of a look that is refused at once, one request.
    expect(asked).toBeLessThanOrEqual(Math.ceil(looks) + 1);
    expect((await pods()).map(({ metadata }) => metadata.name)).toEqual(
      before.map(({ metadata }) => metadata.name),
    );
    house.gcs.faults.clear();
    await house.until('Ready', 'True');
  });

  test('what somebody edits in the cluster meanwhile is put right all the same', async () => {
    house.gcs.faults.failNext(forLong, 503);
    await house.until('StoreReady', 'False');
    const containers = [{ name: 'broker', image: 'thief:1' }];
    await client().apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: broker,
        spec: { template: { spec: { containers } } },
      },
      { fieldManager: 'thief' },
    );
    await waitFor('the image is back', async () => {
      const found = JSON.stringify(await client().get('apps/v1', 'Deployment', broker));
      return found.includes('"image":"domicile:test"');
    });
    expect(await house.condition('StoreReady')).toMatchObject({ status: 'False' });
    house.gcs.faults.clear();
    await house.until('Ready', 'True');
  });
});

test('while etcd is slow, nothing is taken for a breach, the leader stays, and a change comes through', async () => {
  const lease = z.object({
    spec: z.object({ holderIdentity: z.string(), leaseTransitions: z.number().default(0) }),
  });
  const leaseNow = async () =>
    lease.parse(
      await client().get('coordination.k8s.io/v1', 'Lease', {
        name: 'domicile-operator',
        namespace: 'domicile-system',
      }),
    ).spec;
  const before = await leaseNow();
  await using seen = told();
  {
    await using _slow = house.bed.slowEtcd({ pausedMs: 900, runningMs: 100 });
    await client().apply(house.manifest({ broker: { replicas: 3 } }));
    const ready = async () =>
      (await pods()).filter(({ metadata }) => metadata.name.startsWith('broker-')).length === 3;
    await waitFor('a third broker', ready, 90_000);
    await sleep(5_000);
  }
  await house.until('Ready', 'True');
  expect(await leaseNow()).toEqual(before);
  expect(breaches(seen.all)).toEqual([]);
  expect([...seen.all].filter((one) => /Failed|Forbidden/.test(one))).toEqual([]);
  await client().apply(house.manifest());
  await house.until('Ready', 'True');
}, 150_000);

describe('regions', () => {
  const narrow = { regions: ['europe-west3'] };

  test('that become fewer: a broker that stands in the one given up is told, and then every pod is replaced', async () => {
    await client().apply(house.manifest(narrow));
    const message = await house.until('ResidencyVerified', 'False', { reason: 'BrokerAbroad' });
    expect(message).toContain(
      'broker 3 (kafka-3) stands in europe-west10, outside DE (europe-west3)',
    );
    const { brokers } = house.kafka;
    house.kafka.brokers = brokers.map((one) => ({ ...one, rack: 'europe-west3' }));
    await using seen = told();
    await house.until('ResidencyVerified', 'True');
    await house.until('Ready', 'True');
    await waitFor('every pod is pinned to the region that is left', async () =>
      (await pods()).every((pod) => !pinnedTo(pod, 'europe-west10')),
    );
    const found = await allPods();
    expect(new Set(found.map(({ spec }) => spec.nodeName))).toEqual(new Set(['de-a']));
    // The pods of before were at home all the time: in the country.
    const others = [...seen.all].filter((one) => /Abroad|Unknown$|NotPinned/.test(one));
    expect(others.filter((one) => !one.endsWith('BrokerAbroad'))).toEqual([]);
    const stray = { name: 'broker', namespace: cellNamespace };
    const affinity = JSON.parse(
      JSON.stringify(found[0]?.spec.affinity).replaceAll('west3', 'west10'),
    );
    await expect(
      client().patch('apps/v1', 'Deployment', stray, {
        spec: { template: { spec: { affinity } } },
      }),
    ).rejects.toThrow('must be pinned to DE');

    house.kafka.brokers = brokers;
    await client().apply(house.manifest());
    await house.until('Ready', 'True');
    await waitFor('every pod may run in both again', async () =>
      (await pods()).every((pod) => pinnedTo(pod, 'europe-west10')),
    );
  }, 120_000);

  test('of which one is lost: its pods come back in the other, nothing is a breach, and it is taken in again', async () => {
    const lost = (await allPods()).filter(({ spec }) => spec.nodeName === 'de-b');
    expect(lost.length).toBeGreaterThan(0);
    await using seen = told();
    await house.bed.kubelet.loseNode('de-b');
    await waitFor(
      'all pods are in the region that is left',
      async () => {
        const found = await pods();
        return found.length === 16 && found.every(({ spec }) => spec.nodeName === 'de-a');
      },
      90_000,
    );
    await house.until('Ready', 'True');
    await client().delete('v1', 'Node', { name: 'de-b' });
    expect(breaches(seen.all)).toEqual([]);

    // Now the other one as well: nothing goes abroad, though there is room.
    await client().patch('v1', 'Node', { name: 'de-a' }, { spec: { unschedulable: true } });
    await client().delete('v1', 'Pod', {
      name: (await pods())[0]?.metadata.name ?? 'none',
      namespace: cellNamespace,
    });
    const message = await house.until('WorkloadsReady', 'False', { reason: 'NotReady' });
    expect(message).toMatch(/waits for [a-z-]+ [01]\/[12]/);
    const waiting = async () => (await pods()).filter(({ spec }) => spec.nodeName === undefined);
    await waitFor('one waits', async () => (await waiting()).length === 1);
    await sleep(1_000);
    expect((await waiting()).length).toBe(1);
    expect(breaches(seen.all)).toEqual([]);

    await using back = new FakeKubelet({
      client: client(),
      nodes: [{ name: 'de-b', region: 'europe-west10', zone: 'europe-west10-a' }],
    });
    await back.start();
    await house.until('Ready', 'True');
    const found = await pods();
    expect(found.filter(({ spec }) => spec.nodeName === 'de-b')).toHaveLength(1);

    // The provider takes a machine away, as it does at a bad time, with a pod still on it.
    await client().patch('v1', 'Node', { name: 'de-a' }, { spec: { unschedulable: null } });
    await client().delete('v1', 'Node', { name: 'de-b' });
    await sleep(3 * cellResyncMs);
    expect(breaches(seen.all)).toEqual([]);
  }, 180_000);
});
