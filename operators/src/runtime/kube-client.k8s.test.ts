import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { configMapKind } from '../model/kinds.ts';
import type { Kind, KubeObject } from './kube.ts';
import { configMap, testClient } from './test-operator.ts';

let bed: KubeTestbed;
beforeAll(async () => {
  bed = await KubeTestbed.start({ controllers: false, kubelet: 'none' });
  await bed.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'here' } });
});
afterAll(() => bed[Symbol.asyncDispose]());

const namespace = 'here';
const deploymentKind: Kind = {
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
};

/** With what the server says in other words: quantities, defaulted keys of lists, empty structs. */
function deployment(name: string, image = 'i:1'): KubeObject {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'main',
              image,
              ports: [{ containerPort: 80 }],
              env: [{ name: 'A', value: '1' }],
              resources: { requests: { cpu: '0.5', memory: '1024Mi' } },
              volumeMounts: [{ name: 'scratch', mountPath: '/tmp' }],
            },
          ],
          volumes: [{ name: 'scratch', emptyDir: {} }],
        },
      },
    },
  };
}

test('what is applied again writes nothing, 60 times', async () => {
  using client = await testClient(bed.kubeconfigPath);
  const first = await client.kube.apply(deploymentKind, deployment('steady'));
  await client.kube.apply(configMapKind, configMap(namespace, 'steady', { a: '1' }));
  const before = client.methods.length;
  for (let n = 0; n < 60; n += 1) {
    const again = await client.kube.apply(deploymentKind, deployment('steady'));
    expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    await client.kube.apply(configMapKind, configMap(namespace, 'steady', { a: '1' }));
  }
  expect(new Set(client.methods.slice(before))).toEqual(new Set(['GET']));
});

test('a new process needs at most one write to know what the server says in other words', async () => {
  using client = await testClient(bed.kubeconfigPath);
  const made = await client.kube.apply(deploymentKind, deployment('restarted'));
  await client.kube.apply(configMapKind, configMap(namespace, 'restarted', { a: '1' }));
  using next = await testClient(bed.kubeconfigPath);
  for (let n = 0; n < 3; n += 1) {
    const seen = await next.kube.apply(deploymentKind, deployment('restarted'));
    expect(seen.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
  }
  expect(next.methods.filter((method) => method === 'PATCH').length).toBeLessThanOrEqual(1);
  const before = next.methods.length;
  await next.kube.apply(configMapKind, configMap(namespace, 'restarted', { a: '1' }));
  expect(next.methods.slice(before)).toEqual(['GET']);
});

test('our fields are mended, those of others are left alone, and what we want no more goes', async () => {
  using client = await testClient(bed.kubeconfigPath);
  const wanted = configMap(namespace, 'drift', { a: '1', b: '2' });
  await client.kube.apply(configMapKind, wanted);
  await bed.client.apply({ ...configMap(namespace, 'drift', { a: 'theirs', c: '3' }) });
  const mended = await client.kube.apply(configMapKind, wanted);
  expect(mended['data']).toEqual({ a: '1', b: '2', c: '3' });
  const less = await client.kube.apply(configMapKind, configMap(namespace, 'drift', { a: '1' }));
  expect(less['data']).toEqual({ a: '1', c: '3' });
  const before = client.methods.length;
  await bed.client.apply({ ...configMap(namespace, 'drift', { c: '4' }) });
  await client.kube.apply(configMapKind, configMap(namespace, 'drift', { a: '1' }));
  expect(client.methods.slice(before)).toEqual(['GET']);
});

test('drift in what the server says in other words is seen as well', async () => {
  using client = await testClient(bed.kubeconfigPath);
  await client.kube.apply(deploymentKind, deployment('drifting'));
  await client.kube.apply(deploymentKind, deployment('drifting'));
  await bed.client.patch(
    'apps/v1',
    'Deployment',
    { name: 'drifting', namespace },
    { spec: { replicas: 7 } },
  );
  const mended = await client.kube.apply(deploymentKind, deployment('drifting'));
  expect(mended['spec']).toMatchObject({ replicas: 2 });
  const next = await client.kube.apply(deploymentKind, deployment('drifting', 'i:2'));
  expect(next['spec']).toMatchObject({ template: { spec: { containers: [{ image: 'i:2' }] } } });
});

test('without force a field of another manager is a conflict that names it', async () => {
  using client = await testClient(bed.kubeconfigPath);
  await bed.client.apply({ ...configMap(namespace, 'theirs', { a: 'theirs' }) });
  const ours = configMap(namespace, 'theirs', { a: 'ours' });
  await expect(client.kube.apply(configMapKind, ours, { force: false })).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('devkit'),
  });
});

test('an apply, a patch and a deletion of an old version or another object are conflicts', async () => {
  using client = await testClient(bed.kubeconfigPath);
  const { kube } = client;
  const ref = { name: 'fenced', namespace };
  const first = await kube.create(configMapKind, configMap(namespace, 'fenced', { a: '1' }));
  const { uid = '', resourceVersion = '' } = first.metadata;
  await bed.client.patch('v1', 'ConfigMap', ref, { data: { a: '2' } });
  const stale = configMap(namespace, 'fenced', { a: '3' });
  const conflict = { code: 'CONFLICT' };
  const asSeen = { ...stale, metadata: { ...stale.metadata, resourceVersion } };
  await expect(kube.apply(configMapKind, asSeen)).rejects.toMatchObject(conflict);
  const patch = { metadata: { resourceVersion }, data: { a: '3' } };
  await expect(kube.patch(configMapKind, ref, patch)).rejects.toMatchObject(conflict);
  await expect(kube.delete(configMapKind, ref, { uid, resourceVersion })).rejects.toMatchObject(
    conflict,
  );
  await expect(kube.delete(configMapKind, ref, { uid: 'another' })).rejects.toMatchObject(conflict);
  await expect(kube.create(configMapKind, stale)).rejects.toMatchObject(conflict);
  expect((await kube.get(configMapKind, ref))?.['data']).toEqual({ a: '2' });
  await kube.delete(configMapKind, ref, { uid });
  await kube.delete(configMapKind, ref, { uid });
  expect(await kube.get(configMapKind, ref)).toBeUndefined();
});

test('who does not lead any more writes nothing', async () => {
  let leads = true;
  const leadership = {
    stillLeads: () => leads,
    assert: (doing: string) => {
      if (!leads) throw new Error(`not leading: ${doing}`);
    },
  };
  using client = await testClient(bed.kubeconfigPath, { leadership });
  await client.kube.apply(configMapKind, configMap(namespace, 'led', { a: '1' }));
  leads = false;
  const other = configMap(namespace, 'led', { a: '2' });
  await expect(client.kube.apply(configMapKind, other)).rejects.toThrow('not leading: apply');
  const ref = { name: 'led', namespace };
  await expect(client.kube.patch(configMapKind, ref, {})).rejects.toThrow('not leading');
  const live = await client.kube.get(configMapKind, ref);
  expect(live?.['data']).toEqual({ a: '1' });
});

test('a dry run tells what the server says and stores nothing', async () => {
  using client = await testClient(bed.kubeconfigPath);
  const dry = { dryRun: true };
  await client.kube.apply(configMapKind, configMap(namespace, 'dry', { a: '1' }), dry);
  expect(await client.kube.get(configMapKind, { name: 'dry', namespace })).toBeUndefined();
  const wrong = { ...configMap(namespace, 'Not A Name', {}) };
  await expect(client.kube.apply(configMapKind, wrong, dry)).rejects.toMatchObject({
    code: 'VALUE_INVALID',
    message: expect.stringContaining('metadata.name'),
  });
});

test('lists are whole however many pages they have', async () => {
  using client = await testClient(bed.kubeconfigPath);
  const labels = { of: 'pages' };
  const names = Array.from({ length: 260 }, (_, n) => `page-${n}`);
  for (const name of names)
    await client.kube.create(configMapKind, {
      ...configMap(namespace, name, {}),
      metadata: { name, namespace, labels },
    });
  const found = await client.kube.list(configMapKind, { namespace, labelSelector: 'of=pages' });
  expect(found.map(({ metadata }) => metadata.name).toSorted()).toEqual(names.toSorted());
  expect(found[0]?.kind).toBe('ConfigMap');
});
