import { isDeepStrictEqual } from 'node:util';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { pin, pinnedBy, podSpec, refusedAttempts } from './test-attempts.ts';
import {
  apiVersion,
  buildingNamespace,
  CellHouse,
  cellNamespace,
  operatorNamespace,
} from './test-cell-house.ts';

// Everybody here may do everything that RBAC knows of: what stops them is residency alone.

let house: CellHouse;

beforeAll(async () => {
  house = await CellHouse.start({ cellResyncMs: 1_000 });
  await house.bed.client.apply(house.manifest());
  await house.until('Ready', 'True');
});
afterAll(() => house[Symbol.asyncDispose]());

const thief = () => house.mallory.client;

test.concurrent.each(refusedAttempts)(
  '%s is refused by the API server',
  async (_what, manifest, told) => {
    await expect(thief().apply(manifest)).rejects.toThrow(told);
  },
);

test.each([cellNamespace, operatorNamespace, buildingNamespace])(
  'a pinned pod is let into %s, so it is the place that is refused and nothing else',
  async (namespace) => {
    const metadata = { name: 'guest', namespace };
    const guest = await thief().create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: podSpec(),
    });
    expect(guest.metadata.name).toBe('guest');
    await thief().delete('v1', 'Pod', { ...metadata, graceSeconds: 0 });
  },
);

const nodeOf = z.object({
  spec: z.object({
    nodeName: z.string(),
    ephemeralContainers: z.array(z.object({ name: z.string() })).default([]),
  }),
});

describe('what is let in stays at home', () => {
  const metadata = { name: 'guest', namespace: cellNamespace };
  const guest = async () => nodeOf.safeParse(await thief().get('v1', 'Pod', metadata)).data?.spec;

  test('a container that is debugged into a running pod runs where the pod does', async () => {
    await thief().create({ apiVersion: 'v1', kind: 'Pod', metadata, spec: podSpec() });
    await waitFor('it is on a node', async () => (await guest()) !== undefined);
    const before = await guest();
    const spy = ['guest', '--container=spy', '--image=spy:1', '--profile=restricted'];
    const where = ['--namespace', cellNamespace, '--attach=false'];
    expect(await house.bed.kubectl(['debug', ...spy, ...where])).toMatchObject({ status: 0 });
    expect(await guest()).toEqual({ ...before, ephemeralContainers: [{ name: 'spy' }] });
    expect(before?.nodeName).toMatch(/^de-/);
    // It mounts what the pod has and no more.
    const volumes = [{ name: 'v', nfs: { server: 'nfs.us.example', path: '/' } }];
    await expect(thief().patch('v1', 'Pod', metadata, { spec: { volumes } })).rejects.toThrow(
      /may mount only|may not change fields/,
    );
    await thief().delete('v1', 'Pod', { ...metadata, graceSeconds: 0 });
  });

  test('a DaemonSet has no pod, pinned or not: its controller puts a node in the place of the pin', async () => {
    const labels = { app: 'everywhere' };
    const daemons = { name: 'everywhere', namespace: operatorNamespace };
    await thief().create({
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: daemons,
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: podSpec() },
      },
    });
    await waitFor('its controller is refused', async () => {
      const { items } = await thief().list('v1', 'Event', { namespace: operatorNamespace });
      return items.some(
        (event) =>
          event['reason'] === 'FailedCreate' &&
          String(event['message']).includes('must be pinned to DE'),
      );
    });
    const { items } = await thief().list('v1', 'Pod', { namespace: operatorNamespace });
    expect(items.map(({ metadata: { name } }) => name)).toEqual([]);
    await thief().delete('apps/v1', 'DaemonSet', daemons);
  });
});

describe('a workload that is there', () => {
  const broker = { name: 'broker', namespace: cellNamespace };
  const edit = (affinity: unknown) =>
    thief().patch('apps/v1', 'Deployment', broker, { spec: { template: { spec: { affinity } } } });

  test.each([
    ['loses its pin', null],
    ['is pinned abroad', pinnedBy(pin(['us-central1']))],
    ['gets an alternative abroad', pinnedBy(pin(['europe-west3']), pin(['us-central1']))],
  ])('is not changed so that it %s', async (_what, affinity) => {
    await expect(edit(affinity)).rejects.toThrow('must be pinned to DE');
  });

  test('is not put onto a node abroad by hand', async () => {
    const metadata = { name: 'gated', namespace: cellNamespace };
    const spec = podSpec({ schedulingGates: [{ name: 'wait' }] });
    await thief().create({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
    const path = `/api/v1/namespaces/${cellNamespace}/pods/gated/binding`;
    const content = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata,
      target: { apiVersion: 'v1', kind: 'Node', name: 'us-a' },
    };
    await expect(thief().request('POST', path, { content })).rejects.toThrow('only the scheduler');
    await thief().delete('v1', 'Pod', metadata);
  });

  test('has all its pods on nodes at home', async () => {
    const { items } = await thief().list('v1', 'Pod', { namespace: cellNamespace });
    const nodes = new Set(items.map((pod) => JSON.stringify(pod['spec']).includes('"us-a"')));
    expect([...nodes]).toEqual([false]);
    expect(items.length).toBeGreaterThan(10);
  });
});

describe('the operator’s own Deployment', () => {
  const place = { name: 'domicile-operator', namespace: operatorNamespace };
  const labels = { app: 'operator' };

  test('is let in with a pin to any region of the country, also one that no Cell names', async () => {
    const affinity = pinnedBy(pin(['europe-west10', 'onprem-de-bonn']));
    const template = { metadata: { labels }, spec: podSpec({ affinity }) };
    await thief().apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: place,
      spec: { replicas: 1, selector: { matchLabels: labels }, template },
    });
    const hasPod = async () =>
      (await thief().list('v1', 'Pod', { namespace: operatorNamespace })).items.length === 1;
    await expect(waitFor('its pod', hasPod)).resolves.toBeUndefined();
  });

  test.each([
    ['loses its pin', { affinity: null }],
    ['is pinned abroad', { affinity: pinnedBy(pin(['us-central1'])) }],
    ['is pinned to a site abroad', { affinity: pinnedBy(pin(['onprem-us-dallas'])) }],
    [
      'gets an alternative abroad',
      { affinity: pinnedBy(pin(['europe-west3']), pin(['us-east1'])) },
    ],
    ['selects a zone abroad', { nodeSelector: { 'topology.kubernetes.io/zone': 'us-central1-a' } }],
    ['names its node', { nodeName: 'us-a' }],
  ])('is not changed so that it %s', async (_what, spec) => {
    await expect(
      thief().patch('apps/v1', 'Deployment', place, { spec: { template: { spec } } }),
    ).rejects.toThrow(/must be pinned to DE|zone outside|must not name its node/);
  });

  test('is let in again once a policy that refused it was put right', async () => {
    const version = 'admissionregistration.k8s.io/v1';
    const kind = 'ValidatingAdmissionPolicy';
    const name = { name: 'domicile-operator-placement' };
    const before = (await thief().get(version, kind, name))['spec'];
    // The operator’s own pods could not come back under it: it has to be mended by the one that runs.
    await thief().patch(version, kind, name, {
      spec: { validations: [{ expression: 'false', message: 'nobody' }] },
    });
    await waitFor('the policy is as before', async () => {
      return isDeepStrictEqual((await thief().get(version, kind, name))['spec'], before);
    });
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...place, name: 'next' } };
    const isLetIn = async () =>
      thief()
        .apply({ ...pod, spec: podSpec() }, { dryRun: true })
        .then(
          () => true,
          () => false,
        );
    await expect(waitFor('a pinned pod is let in', isLetIn)).resolves.toBeUndefined();
    await thief().delete('apps/v1', 'Deployment', place);
  });
});

describe('the Cell itself', () => {
  test.each([
    ['takes in a region abroad', { regions: ['europe-west3', 'us-central1'] }, 'must lie in DE'],
    ['takes in a multi-region', { regions: ['europe-west3', 'eu'] }, 'should match'],
    ['takes in a site abroad', { regions: ['onprem-us-dallas'] }, 'must lie in DE'],
    ['moves to another country', { country: 'US' }, /is immutable|must lie in US/],
  ])('is refused when it %s', async (_what, changes, told) => {
    await expect(thief().apply(house.manifest(changes))).rejects.toThrow(told);
  });

  test.each([
    ['another landing bucket', { landingBucket: 'acme-us-landing' }],
    ['another region of the buckets', { region: 'us-central1' }],
    ['another store', { store: 's3' }],
  ])('is refused when it names %s', async (_what, change) => {
    const { lake } = house.manifest().spec;
    await expect(thief().apply(house.manifest({ lake: { ...lake, ...change } }))).rejects.toThrow(
      'is immutable',
    );
  });

  test('of another country is refused by the operator, and makes nothing', async () => {
    const us = house.manifest(
      {
        country: 'US',
        regions: ['us-central1'],
        lake: { ...house.manifest().spec.lake, region: 'us-central1' },
      },
      'us',
    );
    await thief().apply(us);
    const message = await house.until('ResidencyVerified', 'False', {
      reason: 'CountryOther',
      name: 'us',
    });
    expect(message).toContain('create the Cell of US in a cluster of its own');
    expect(await house.condition('Ready')).toMatchObject({ status: 'True' });
    await thief().delete(apiVersion, 'Cell', { name: 'us' });
  });
});

describe('what is taken away is refused meanwhile, and comes back', () => {
  const probe = (namespace: string) =>
    thief().apply(
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'probe', namespace },
        spec: podSpec({ affinity: undefined }),
      },
      { dryRun: true },
    );
  const refuses = async (namespace: string) =>
    probe(namespace).then(
      () => false,
      () => true,
    );

  test.each([
    ['ValidatingAdmissionPolicy', 'domicile-cell-placement', cellNamespace],
    ['ValidatingAdmissionPolicyBinding', 'domicile-cell-placement', cellNamespace],
    ['ValidatingAdmissionPolicy', 'domicile-operator-placement', operatorNamespace],
    ['ValidatingAdmissionPolicyBinding', 'domicile-operator-placement', buildingNamespace],
  ])('a %s %s', async (kind, name, namespace) => {
    const version = 'admissionregistration.k8s.io/v1';
    await thief().delete(version, kind, { name });
    await waitFor(`the ${kind} is back`, async () => {
      const found = await thief().find(version, kind, { name });
      return found !== undefined && found.metadata.deletionTimestamp === undefined;
    });
    await expect(waitFor('it is enforced', () => refuses(namespace))).resolves.toBeUndefined();
  });

  test('the wall of the network', async () => {
    const version = 'networking.k8s.io/v1';
    const place = { name: 'default-deny', namespace: cellNamespace };
    await thief().delete(version, 'NetworkPolicy', place);
    const isBack = async () =>
      (await house.child(version, 'NetworkPolicy', 'default-deny')) !== undefined;
    await expect(waitFor('the policy is back', isBack)).resolves.toBeUndefined();
  });

  test('the profile of the namespace', async () => {
    const place = { name: cellNamespace };
    const label = 'pod-security.kubernetes.io/enforce';
    await thief().patch('v1', 'Namespace', place, { metadata: { labels: { [label]: null } } });
    const isBack = async () => {
      const { metadata } = await thief().get('v1', 'Namespace', place);
      return metadata.labels[label] === 'restricted';
    };
    await expect(waitFor('the label is back', isBack)).resolves.toBeUndefined();
  });
});

describe('what nobody can refuse is seen', () => {
  async function metric(): Promise<string> {
    const answer = await fetch(`${house.adminUrl}/metrics`);
    const lines = (await answer.text()).split('\n');
    return lines.filter((line) => line.startsWith('domicile_residency_breaches{')).join('\n');
  }

  async function eventOf(reason: string): Promise<boolean> {
    const { items } = await thief().list('events.k8s.io/v1', 'Event', { namespace: 'default' });
    return items.some((event) => event['reason'] === reason && event['type'] === 'Warning');
  }

  /** What the Cell says of it, once condition, metric and event do. */
  async function seen(reason: string): Promise<string> {
    const message = await house.until('ResidencyVerified', 'False', { reason });
    expect(await house.condition('Ready')).toMatchObject({ status: 'False' });
    expect(await metric()).toContain(`reason="${reason}"`);
    await waitFor(`an event ${reason}`, () => eventOf(reason), 20_000);
    return message;
  }

  async function healed(): Promise<void> {
    await house.until('ResidencyVerified', 'True');
    await house.until('Ready', 'True');
    expect(await metric()).toBe('');
  }

  const label = (node: string, labels: Readonly<Record<string, string | null>>) =>
    thief().patch('v1', 'Node', { name: node }, { metadata: { labels } });
  const region = 'topology.kubernetes.io/region';

  test('a node that is relabelled abroad', async () => {
    await label('de-b', { [region]: 'us-central1' });
    expect(await seen('NodeAbroad')).toContain('node de-b stands in us-central1');
    await label('de-b', { [region]: 'europe-west10' });
    await healed();
  });

  test('a node that loses its label', async () => {
    await label('de-b', { [region]: null });
    expect(await seen('NodePlaceUnknown')).toContain('node de-b has no label');
    await label('de-b', { [region]: 'europe-west10' });
    await healed();
  });

  test.each([cellNamespace, operatorNamespace, buildingNamespace])(
    'a node abroad that is labelled as at home, once a pod of %s is on it',
    async (namespace) => {
      await label('us-a', { [region]: 'europe-west3' });
      const metadata = { name: 'lured', namespace };
      const spec = podSpec({ nodeSelector: { 'kubernetes.io/hostname': 'us-a' } });
      await thief().create({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
      expect(await seen('NodeAbroad')).toContain(
        'node us-a is labelled europe-west3, but is in us-central1-a',
      );
      await thief().delete('v1', 'Pod', { ...metadata, graceSeconds: 0 });
      await label('us-a', { [region]: 'us-central1' });
      await healed();
    },
  );

  test('a broker of Kafka abroad, and nothing is written to it', async () => {
    const [first, ...others] = house.kafka.brokers;
    if (first === undefined) throw new Error('there are brokers');
    house.kafka.brokers = [{ ...first, rack: 'us-central1' }, ...others];
    expect(await seen('BrokerAbroad')).toContain('broker 1 (kafka-1) stands in us-central1');
    // Only now: a look that was under way had seen all of them at home.
    const topic = 'de.readings.v1';
    house.kafka.topics.delete(topic);
    const { looks } = house.kafka;
    await waitFor('two more looks', () => house.kafka.looks >= looks + 2);
    expect(house.kafka.topics.has(topic)).toBe(false);
    house.kafka.brokers = [{ ...first, rack: undefined }, ...others];
    expect(await seen('BrokerPlaceUnknown')).toContain('names no rack');
    expect(house.kafka.topics.has(topic)).toBe(false);
    house.kafka.brokers = [first, ...others];
    await healed();
    expect(house.kafka.topics.has(topic)).toBe(true);
  });

  test.each([
    ['of another region', 'US-CENTRAL1', 'region', 'BucketAbroad'],
    ['of many regions', 'EU', 'multi-region', 'BucketOfManyRegions'],
    ['of two regions', 'EUR4', 'dual-region', 'BucketOfManyRegions'],
  ])('a bucket %s, and it is not touched', async (_what, location, locationType, reason) => {
    const bucket = house.gcs.buckets.get(house.landing);
    if (bucket === undefined) throw new Error('there is the bucket');
    const { fields, metageneration } = bucket;
    bucket.fields = { ...fields, location, locationType };
    expect(await seen(reason)).toContain(location.toLowerCase());
    expect(bucket.metageneration).toBe(metageneration);
    bucket.fields = fields;
    await healed();
  });
});
