import { execFile } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HelmOutcome } from '@domicile/devkit/helm-tool.ts';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { charts, type HelmVersion } from './support/render-chart.ts';

// The charts on a real API server: what was declared outlives installs, upgrades, rollbacks and releases, by Helm 3 and 4. Pods
// are played; the operator's writes are made by hand.

const system = 'domicile-system';
const homes = 'domicile-buildings';
const apiVersion = 'domicile.dev/v1alpha1';
const operatorValues = { country: 'DE', regions: ['europe-west3'] };
const cellValues = {
  country: 'DE',
  regions: ['europe-west3'],
  kafka: { bootstrap: 'kafka:9093' },
  lake: {
    store: 'gcs',
    region: 'europe-west3',
    landingBucket: 'acme-de-landing',
    servingBucket: 'acme-de-serving',
  },
  api: { issuer: 'https://id.example/', jwks: 'https://id.example/jwks' },
};
const house = {
  client: 'acme',
  timeZone: 'Europe/Berlin',
  floors: { '1': { rooms: { 'r1[01-25]': { devices: { air: 'air-quality' } } } } },
};

interface Release {
  readonly name: string;
  readonly namespace?: string;
  readonly values: object;
}

describe.each<HelmVersion>([3, 4])('with Helm %i', (version) => {
  let bed: KubeTestbed;

  beforeAll(async () => {
    const node = { name: 'de-a', region: 'europe-west3', zone: 'europe-west3-a' };
    bed = await KubeTestbed.start({
      nodes: [node],
      outcomeOf: ({ metadata }) => (metadata.name.endsWith('-test') ? 'succeeded' : 'running'),
    });
  });
  afterAll(() => bed[Symbol.asyncDispose]());

  async function upgrade(release: Release, ...more: string[]): Promise<HelmOutcome> {
    const { name, namespace = system, values } = release;
    using folder = mkdtempDisposableSync(join(tmpdir(), 'values-'));
    const file = join(folder.path, 'values.yaml');
    writeFileSync(file, stringify(values, { version: '1.1' }));
    const where = ['--create-namespace', '--namespace', namespace, '--values', file];
    return await bed.helm(
      ['upgrade', '--install', name, join(charts, name), ...where, '--wait', ...more],
      version,
    );
  }

  const operator = (values: object = {}, ...more: string[]): Promise<HelmOutcome> =>
    upgrade({ name: 'domicile-operator', values: { ...operatorValues, ...values } }, ...more);
  const cell = (values: object = {}): Promise<HelmOutcome> =>
    upgrade({ name: 'domicile-cell', values: { ...cellValues, ...values } });
  const buildings = (declared: object): Promise<HelmOutcome> =>
    upgrade({ name: 'domicile-buildings', namespace: homes, values: { buildings: declared } });

  const uidOf = async (name: string): Promise<string | undefined> =>
    (await bed.client.find(apiVersion, 'Building', { name, namespace: homes }))?.metadata.uid;

  test('the cell cannot come before the operator, and nothing of it is left', async () => {
    const { status, stderr } = await cell();
    expect(status).toBe(1);
    expect(stderr).toMatch(/no matches for kind "Cell"/);
    await bed.helm(['uninstall', 'domicile-cell', '--namespace', system], version);
  });

  test('plan says what to install first', async () => {
    const { code, stderr } = await plan(bed, { buildings: { 'de-1': house } });
    expect(stderr).toContain('install the chart domicile-operator first');
    expect(code).toBe(2);
  });

  test('operator, cell and buildings are installed in this order, and pass their tests', async () => {
    expect(await operator()).toMatchObject({ status: 0, stderr: '' });
    expect(await cell()).toMatchObject({ status: 0, stderr: '' });
    const told = await buildings({ 'de-1': house, 'de-2': house });
    expect(told).toMatchObject({ status: 0, stderr: '' });
    expect(told.stdout).toContain('2 buildings are declared: de-1, de-2.');
    for (const [name, namespace] of [
      ['domicile-operator', system],
      ['domicile-cell', system],
      ['domicile-buildings', homes],
    ] as const)
      expect(await bed.helm(['test', name, '--namespace', namespace], version)).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/Phase:\s+Succeeded/),
      });
    const { items } = await bed.client.list('v1', 'Pod', { namespace: system });
    const pods = items.filter(({ metadata }) => metadata.name.startsWith('domicile-operator-'));
    expect(pods.length).toBeGreaterThanOrEqual(2);
  });

  test('plan --server tells what is there, new, changed, abroad and left out, and changes nothing', async () => {
    const before = await uidOf('de-1');
    const { code, stdout } = await plan(
      bed,
      {
        buildings: {
          'de-1': house,
          'de-3': { ...house, name: 'Three' },
          'us-4': house,
        },
      },
      '--release=domicile-buildings',
    );
    expect(stdout).toMatch(/= Building de-1/);
    expect(stdout).toMatch(/\+ Building de-3/);
    expect(stdout).toMatch(/! Building us-4/);
    expect(stdout).toMatch(/- Building de-2 +when it is taken out, its data stays/);
    expect(code).toBe(1);
    expect(await uidOf('de-3')).toBeUndefined();
    expect(await uidOf('de-1')).toBe(before);
  });

  test('plan --server tells what the API server would refuse', async () => {
    const { code, stdout } = await plan(bed, {
      buildings: { 'de-1': { ...house, client: 'globex' } },
    });
    expect(stdout).toMatch(/the API server: [^]*is immutable/);
    expect(code).toBe(1);
    const moved = await plan(bed, {
      ...cellValues,
      lake: { ...cellValues.lake, landingBucket: 'acme-other' },
    });
    expect(moved.stdout).toMatch(/! Cell[^]*data is never moved by an edit/);
    const same = await plan(bed, cellValues);
    expect(same.stdout).toMatch(/= Cell +de +as it is/);
    expect(same.code).toBe(0);
  });

  test('a building that is added and rolled back leaves the others as they were', async () => {
    const [first, second] = [await uidOf('de-1'), await uidOf('de-2')];
    expect(await buildings({ 'de-1': house, 'de-2': house, 'de-3': house })).toMatchObject({
      status: 0,
    });
    expect(await uidOf('de-3')).toBeDefined();
    expect(
      await bed.helm(['rollback', 'domicile-buildings', '1', '--namespace', homes], version),
    ).toMatchObject({ status: 0 });
    expect(await uidOf('de-3')).toBeUndefined();
    expect([await uidOf('de-1'), await uidOf('de-2')]).toEqual([first, second]);
  });

  test('what the operator wrote is no conflict at the next upgrade, nor at a rollback', async () => {
    const fieldManager = 'domicile-operator';
    const labels = {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'domicile.dev/country': 'de',
    };
    await bed.client.apply(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'domicile', labels } },
      { fieldManager },
    );
    const finalizers = ['domicile.dev/building'];
    const metadata = { name: 'de-1', namespace: homes };
    await bed.client.apply(
      { apiVersion, kind: 'Building', metadata: { ...metadata, finalizers } },
      { fieldManager },
    );
    const conditions = [
      {
        type: 'Ready',
        status: 'True',
        reason: 'Ready',
        message: 'up',
        observedGeneration: 1,
        lastTransitionTime: '2026-11-01T00:00:00Z',
      },
    ];
    await bed.client.patch(
      apiVersion,
      'Building',
      { ...metadata, subresource: 'status' },
      { status: { conditions } },
    );
    expect(await operator({ resyncSeconds: 300, replicas: 1 })).toMatchObject({ status: 0 });
    expect(await buildings({ 'de-1': { ...house, name: 'One' }, 'de-2': house })).toMatchObject({
      status: 0,
    });
    expect(await cell({ broker: { replicas: 3 } })).toMatchObject({ status: 0 });
    expect(
      await bed.helm(['rollback', 'domicile-operator', '1', '--namespace', system], version),
    ).toMatchObject({ status: 0 });
    const kept = await bed.client.get(apiVersion, 'Building', metadata);
    expect(kept['status']).toMatchObject({ conditions: [{ type: 'Ready', status: 'True' }] });
    expect(kept.metadata['finalizers']).toEqual(finalizers);
    const namespace = await bed.client.get('v1', 'Namespace', { name: 'domicile' });
    expect(namespace.metadata.labels).toMatchObject(labels);
  });

  test('the operator goes, even first, and all that is declared stays; it comes again and finds it', async () => {
    const uid = await uidOf('de-1');
    await bed.client.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys-of-the-cell', namespace: 'domicile' },
    });
    const gone = await bed.helm(['uninstall', 'domicile-operator', '--namespace', system], version);
    expect(gone).toMatchObject({ status: 0 });
    expect(gone.stdout).toContain('[CustomResourceDefinition] buildings.domicile.dev');
    expect(await uidOf('de-1')).toBe(uid);
    expect(await bed.client.find(apiVersion, 'Cell', { name: 'de' })).toBeDefined();
    expect(await operator()).toMatchObject({ status: 0, stderr: '' });
    expect(await uidOf('de-1')).toBe(uid);
    const secret = { name: 'keys-of-the-cell', namespace: 'domicile' };
    expect(await bed.client.find('v1', 'Secret', secret)).toBeDefined();
  });

  test('under another name it says whose the definitions are, and takes them over when told to', async () => {
    await bed.helm(['uninstall', 'domicile-operator', '--namespace', system], version);
    const chart = join(charts, 'domicile-operator');
    const other = ['install', 'other', chart, '--namespace', system, '--set', 'country=DE'];
    const refused = await bed.helm(other, version);
    expect(refused).toMatchObject({ status: 1 });
    expect(refused.stderr).toMatch(/invalid ownership metadata/);
    const uid = await uidOf('de-1');
    expect(await bed.helm([...other, '--take-ownership'], version)).toMatchObject({ status: 0 });
    expect(await uidOf('de-1')).toBe(uid);
    await bed.helm(['uninstall', 'other', '--namespace', system], version);
    expect(await operator({}, '--take-ownership')).toMatchObject({ status: 0 });
  });

  test('buildings whose release goes wait for the operator, which keeps or erases their data', async () => {
    const gone = ['uninstall', 'domicile-buildings', '--namespace', homes, '--wait=false'];
    expect(await bed.helm(version === 3 ? gone.slice(0, -1) : gone, version)).toMatchObject({
      status: 0,
    });
    const held = await bed.client.get(apiVersion, 'Building', { name: 'de-1', namespace: homes });
    expect(held.metadata.deletionTimestamp).toBeDefined();
    expect(await uidOf('de-2')).toBeUndefined();
    const { stdout } = await plan(bed, { buildings: { 'de-1': house } });
    expect(stdout).toContain('is being taken out, which takes seconds; its data stays');
  });

  test('a building that is being taken out cannot be declared again before it is gone', async () => {
    const again = await buildings({ 'de-1': house, 'de-2': house });
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(
      /- buildings\.de-1: is being taken out, [^]* wait --for=delete building\/de-1 /,
    );
    expect(again.stderr).not.toContain('buildings.de-2');
    expect(await buildings({ 'de-2': house })).toMatchObject({ status: 0 });
    const leaving = await uidOf('de-1');
    const metadata = { name: 'de-1', namespace: homes };
    const letGo = { metadata: { finalizers: null } };
    await bed.client.patch(apiVersion, 'Building', metadata, letGo);
    expect(await buildings({ 'de-1': house, 'de-2': house })).toMatchObject({ status: 0 });
    expect([undefined, leaving]).not.toContain(await uidOf('de-1'));
  });

  test('deleting the definitions is what deletes the rest, and nothing but kubectl does it', async () => {
    const { items } = await bed.client.list('apiextensions.k8s.io/v1', 'CustomResourceDefinition');
    expect(items.map(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'])).toEqual([
      'keep',
      'keep',
    ]);
  });
});

function plan(
  bed: KubeTestbed,
  values: object,
  ...more: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const tool = join(charts, '../operators/bin/domicile.js');
  const args = [tool, 'plan', '--server', '-f', '-', '--kubeconfig', bed.kubeconfigPath, ...more];
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, args, { env: {} }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
    child.stdin?.end(stringify(values, { version: '1.1' }));
  });
}
