import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { waitFor } from '../wait-for.ts';
import { follow } from './follow.ts';
import { KubeApiError, type Manifest } from './kube-client.ts';
import { KubeTestbed } from './kube-testbed.ts';

let bed: KubeTestbed;
beforeAll(async () => {
  bed = await KubeTestbed.start({
    nodes: [
      { name: 'de-a', region: 'europe-west3', zone: 'europe-west3-a' },
      { name: 'us-a', region: 'us-central1', zone: 'us-central1-a' },
    ],
    outcomeOf: (pod) => (pod.metadata.name.startsWith('never') ? 'not-ready' : 'running'),
  });
});
afterAll(() => bed[Symbol.asyncDispose]());

function deployment(namespace: string, replicas: number): Manifest {
  const labels = { app: 'web' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          nodeSelector: { 'topology.kubernetes.io/region': 'europe-west3' },
          containers: [{ name: 'web', image: 'domicile.example/web:1' }],
        },
      },
    },
  };
}

const podSchema = z.looseObject({
  status: z.looseObject({
    phase: z.string(),
    conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
  }),
});

const deploymentSchema = z.looseObject({
  status: z.looseObject({ availableReplicas: z.number().default(0) }),
});

function available(namespace: string, replicas: number): Promise<void> {
  return waitFor(`${replicas} available`, async () => {
    const found = await bed.client.get('apps/v1', 'Deployment', { name: 'web', namespace });
    return deploymentSchema.parse(found).status.availableReplicas === replicas;
  });
}

test('pods run on the nodes of their region, and what was applied goes on after the API server was killed', async () => {
  const namespace = await bed.namespace();
  await bed.client.apply(deployment(namespace, 2));
  await available(namespace, 2);
  const { items } = await bed.client.list('v1', 'Pod', { namespace });
  expect(items.map((pod) => Reflect.get(Object(pod['spec']), 'nodeName'))).toEqual([
    'de-a',
    'de-a',
  ]);
  await bed.killApiServer();
  await expect(bed.client.list('v1', 'Pod')).rejects.toThrow(/ECONN|EPIPE|socket|hang up/);
  await bed.startApiServer();
  await bed.client.apply(deployment(namespace, 3));
  await available(namespace, 3);
});

test('a pod that may not be ready is not', async () => {
  const namespace = await bed.namespace();
  const spec = { containers: [{ name: 'web', image: 'domicile.example/web:1' }] };
  const place = { name: 'never', namespace };
  await bed.client.create({ apiVersion: 'v1', kind: 'Pod', metadata: place, spec });
  const status = async () => podSchema.parse(await bed.client.get('v1', 'Pod', place)).status;
  await waitFor('a running pod', async () => (await status()).phase === 'Running');
  const ready = (await status()).conditions.find(({ type }) => type === 'Ready');
  expect(ready?.status).toBe('False');
});

test('nothing is lost of what a typed client would drop, and an object of a new kind follows its definition', async () => {
  const group = 'devkit.domicile.dev';
  const schema = {
    type: 'object',
    properties: { spec: { type: 'object', properties: { size: { type: 'integer', default: 7 } } } },
  };
  const definition: Manifest = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  };
  const widget: Manifest = {
    apiVersion: `${group}/v1`,
    kind: 'Widget',
    metadata: { name: 'one', namespace: 'default' },
    spec: {},
  };
  await bed.client.applyAll([definition, widget]);
  const found = await bed.client.get(widget.apiVersion, widget.kind, widget.metadata);
  expect(found['spec']).toEqual({ size: 7 });
});

test('a service account may do what it was granted, and a user what their group was', async () => {
  const namespace = await bed.namespace();
  const account = await bed.serviceAccount(namespace, 'default');
  const refused = account.client.list('v1', 'Secret', { namespace });
  await expect(refused).rejects.toThrow(KubeApiError);
  await expect(refused).rejects.toMatchObject({ status: 403 });
  const { client } = await bed.user('jane', ['system:masters']);
  expect((await client.list('v1', 'Secret', { namespace })).items).toEqual([]);
});

test('following goes on over a kill of the API server and misses nothing', async () => {
  const namespace = await bed.namespace();
  const seen = new Map<string, string>();
  const stopping = new AbortController();
  const following = follow(bed.client, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    signal: stopping.signal,
    onList: (objects) => {
      for (const name of seen.keys()) seen.set(name, 'DELETED');
      for (const { metadata } of objects) seen.set(metadata.name, 'LIST');
    },
    onChange: (type, { metadata }) => void seen.set(metadata.name, type),
  });
  const write = (name: string) =>
    bed.client.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace } });
  await write('before');
  await waitFor('the one before', () => seen.has('before'));
  await bed.killApiServer();
  await bed.startApiServer();
  await write('after');
  await waitFor('the one after', () => seen.has('after'));
  await bed.client.delete('v1', 'ConfigMap', { name: 'after', namespace });
  await waitFor('that it is gone', () => seen.get('after') === 'DELETED');
  stopping.abort();
  await following;
  expect(seen.get('before')).toMatch(/LIST|ADDED/);
});

test('an API server that says nothing, and one whose store is slow, answer later', async () => {
  {
    using _paused = bed.pauseApiServer();
    const path = '/api/v1/namespaces?limit=1';
    const asked = bed.client.open('GET', path, undefined, { timeout: 300 });
    await expect(asked).rejects.toThrow('no answer');
  }
  await bed.ready();
  await using _slow = bed.slowEtcd({ pausedMs: 100, runningMs: 50 });
  const metadata = { name: 'slow', namespace: await bed.namespace() };
  await bed.client.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { is: 'there' } });
});

test('kubectl and both Helms reach it', async () => {
  const nodes = await bed.kubectl(['get', 'nodes', '-o', 'name']);
  expect(nodes.stdout.trim().split('\n')).toEqual(['node/de-a', 'node/us-a']);
  for (const version of [3, 4] as const) {
    const { status, stdout } = await bed.helm(
      ['list', '--all-namespaces', '--output', 'json'],
      version,
    );
    expect({ status, releases: stdout.trim() }).toEqual({ status: 0, releases: '[]' });
  }
});
