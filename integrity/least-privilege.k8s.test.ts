import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { homes, OperatorUnderAudit, regions, system } from './support/operator-under-audit.ts';

// The operator lives a whole life with the rights of its chart: it is forbidden nothing that it asks, and each right that it has it
// uses.

const apiVersion = 'domicile.dev/v1alpha1';
const partOf = 'app.kubernetes.io/part-of';
let house: OperatorUnderAudit;

const conditions = z.object({
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) })
    .prefault({}),
});

async function isReady(kind: string, name: string): Promise<boolean> {
  const place = kind === 'Cell' ? { name } : { name, namespace: homes };
  const object = await house.bed.client.find(apiVersion, kind, place);
  return conditions
    .parse(object ?? {})
    .status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

async function untilReady(kind: string, name: string): Promise<void> {
  await waitFor(`${kind} ${name}`, () => isReady(kind, name), 90_000).catch(
    async (error: unknown) => {
      const { items } = await house.bed.client.list(apiVersion, kind);
      const told = JSON.stringify(items.map((item) => item['status']));
      throw new Error(`${told}\n${(await house.log()).slice(-3000)}`, { cause: error });
    },
  );
}

const cell = (changes: object = {}): Promise<void> =>
  house.upgrade('domicile-cell', system, {
    country: 'DE',
    regions,
    kafka: { bootstrap: house.kafka.bootstrap, partitions: 1, replicas: 1 },
    lake: {
      store: 'gcs',
      endpoint: house.gcs.url,
      region: regions[0],
      landingBucket: 'domicile-de-landing',
      servingBucket: 'domicile-de-serving',
      softDeleteDays: 0,
    },
    broker: { host: 'mqtt.de.example' },
    api: { issuer: 'https://id.example', jwks: 'https://id.example/jwks', replicasMax: 4 },
    ...changes,
  });

const one = {
  client: 'acme',
  timeZone: 'Europe/Berlin',
  floors: { '1': { rooms: { r1: { devices: { air: 'air-quality' } } } } },
};
const buildings = (declared: object): Promise<void> =>
  house.upgrade('domicile-buildings', homes, { buildings: declared });

/** A volume for what the issuer keeps, as a class of the cluster would make one. */
const storage = [
  {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: {
      name: 'home',
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'kubernetes.io/no-provisioner',
  },
  {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'issuer' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Gi' },
      hostPath: { path: '/nowhere' },
      storageClassName: 'home',
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            {
              matchExpressions: [
                { key: 'topology.kubernetes.io/region', operator: 'In', values: regions },
              ],
            },
          ],
        },
      },
    },
  },
];

beforeAll(async () => {
  house = await OperatorUnderAudit.start();
  await house.upgrade('domicile-operator', system, { country: 'DE', regions });
  await house.startOperator({
    OPERATOR_RESYNC_MS: '10000',
    OPERATOR_CELL_RESYNC_MS: '2000',
    OPERATOR_ERASURE_SETTLE_MS: '0',
    OPERATOR_ERASURE_KAFKA_RETENTION_MS: '500',
    OPERATOR_ERASURE_GRACE_MS: '0',
  });
}, 180_000);
afterAll(() => house[Symbol.asyncDispose]());

test('the operator lives its whole life', { timeout: 300_000 }, async () => {
  const { client } = house.bed;
  await client.applyAll(storage);
  await cell();
  await untilReady('Cell', 'de');
  await buildings({ 'de-1': one, 'de-2': { ...one, deletionPolicy: 'Delete' } });
  await untilReady('Building', 'de-1');
  await untilReady('Building', 'de-2');

  // What somebody else changed is put right, each kind of object once.
  const inCell = (name: string) => ({ name, namespace: 'domicile' });
  const inHomes = (name: string) => ({ name, namespace: homes });
  for (const [version, kind, name] of [
    ['v1', 'Secret', 'broker-tls'],
    ['v1', 'Service', 'broker'],
    ['v1', 'ServiceAccount', 'broker'],
    ['v1', 'ConfigMap', 'web-config'],
    ['apps/v1', 'Deployment', 'lander'],
    ['apps/v1', 'StatefulSet', 'tasks'],
    ['policy/v1', 'PodDisruptionBudget', 'broker'],
  ] as const) {
    await client.delete(version, kind, inCell(name));
    const isBack = async () => (await client.find(version, kind, inCell(name))) !== undefined;
    await waitFor(`${kind} ${name}`, isBack, 60_000);
  }
  const drifted = { metadata: { labels: { [partOf]: 'nothing' } } };
  const kept = [
    ['v1', 'Service', 'broker'],
    ['v1', 'ServiceAccount', 'broker'],
    ['v1', 'ConfigMap', 'web-config'],
    ['v1', 'PersistentVolumeClaim', 'issuer-state'],
    ['apps/v1', 'Deployment', 'lander'],
    ['apps/v1', 'StatefulSet', 'tasks'],
    ['policy/v1', 'PodDisruptionBudget', 'broker'],
    ['autoscaling/v2', 'HorizontalPodAutoscaler', 'api-gateway'],
  ] as const;
  for (const [version, kind, name] of kept)
    await client.patch(version, kind, inCell(name), drifted);
  const profile = 'pod-security.kubernetes.io/enforce';
  const weaker = { metadata: { labels: { [profile]: 'privileged' } } };
  await client.patch('v1', 'Namespace', { name: 'domicile' }, weaker);
  for (const [version, kind, name] of kept)
    await waitFor(`${kind} ${name} to be as declared`, async () => {
      const { labels } = (await client.get(version, kind, inCell(name))).metadata;
      return labels[partOf] === 'domicile';
    });
  await waitFor('the profile of the namespace', async () => {
    const { labels } = (await client.get('v1', 'Namespace', { name: 'domicile' })).metadata;
    return labels[profile] === 'restricted';
  });
  const asked = 'domicile.dev/rotate-password';
  await client.patch(apiVersion, 'Building', inHomes('de-1'), {
    metadata: { annotations: { [asked]: 'now' } },
  });
  await waitFor('another password', async () =>
    JSON.stringify(await client.get('v1', 'Secret', inHomes('de-1-gateway'))).includes('"now"'),
  );
  for (const serial of ['1C5E', '2D6F']) {
    await client.patch('v1', 'ConfigMap', inCell('revoked-certificates'), {
      data: { 'revoked.txt': `${serial}\n` },
    });
    const copy = { name: 'revoked-certificates-de', namespace: system };
    await waitFor(`a copy of ${serial}`, async () =>
      JSON.stringify((await client.find('v1', 'ConfigMap', copy)) ?? '').includes(serial),
    );
  }
  // Of another country: refused, and told by an event.
  await client.apply({
    apiVersion,
    kind: 'Building',
    metadata: inHomes('us-1'),
    spec: { ...one, country: 'US' },
  });
  await waitFor('the event of it', async () => {
    const { items } = await client.list('events.k8s.io/v1', 'Event', { namespace: homes });
    return items.some((event) => event['reason'] === 'BuildingAbroad');
  });
  await untilReady('Cell', 'de');

  // What is no longer wanted goes.
  await cell({
    web: { enabled: false },
    api: { issuer: 'https://id.example', jwks: 'https://id.example/jwks' },
  });
  for (const [version, kind, name] of [
    ['autoscaling/v2', 'HorizontalPodAutoscaler', 'api-gateway'],
    ['apps/v1', 'Deployment', 'web'],
    ['v1', 'Service', 'web'],
    ['v1', 'ServiceAccount', 'web'],
    ['v1', 'ConfigMap', 'web-config'],
  ] as const) {
    const isGone = async () => (await client.find(version, kind, inCell(name))) === undefined;
    await waitFor(`${kind} ${name} to go`, isGone);
  }
  await buildings({});
  await client.delete(apiVersion, 'Building', inHomes('us-1'));
  const gone = async () =>
    (await client.find(apiVersion, 'Building', inHomes('de-1'))) === undefined;
  await waitFor('the building that keeps its data to go', gone, 90_000);
  const tells = async (reason: string) =>
    JSON.stringify(await client.get(apiVersion, 'Building', inHomes('de-2'))).includes(reason);
  await waitFor('the Job that erases the other', () => tells('The pass erase runs as the Job'));
  await house.bed.helm(['uninstall', 'domicile-cell', '--namespace', system]);
  await waitFor('that there is no cell to be told', () => tells('WaitsForTheCell'));
  await house.stopOperator();
  expect((await house.asked()).length).toBeGreaterThan(100);
});

test('releases are upgraded, tested, rolled back, taken out and installed again under the policies that it left', async () => {
  const helm = async (...parameters: readonly string[]) => {
    const { status, stderr } = await house.bed.helm(parameters);
    expect({ parameters, status, stderr }).toMatchObject({ parameters, status: 0 });
  };
  const inSystem = ['--namespace', system];
  // Any region of the country, as its pack names them.
  await house.upgrade('domicile-operator', system, { country: 'DE' });
  await helm('test', 'domicile-operator', ...inSystem);
  await helm('rollback', 'domicile-operator', '1', '--wait', ...inSystem);
  await cell();
  await helm('test', 'domicile-cell', ...inSystem);
  await buildings({ 'de-1': one });
  await helm('test', 'domicile-buildings', '--namespace', homes);
  await helm('uninstall', 'domicile-operator', ...inSystem);
  await house.upgrade('domicile-operator', system, { country: 'DE', regions });
  const abroad = { country: 'US', regions: ['us-east1'] };
  await expect(house.upgrade('domicile-operator', system, abroad)).rejects.toThrow(
    'must be pinned to DE',
  );
}, 120_000);

test('nothing that it asked was forbidden', async () => {
  const forbidden = (await house.asked()).filter(
    ({ responseStatus, requestURI }) =>
      responseStatus?.code === 403 && !requestURI.includes('/domicile-probe-of-the-policies?'),
  );
  expect(forbidden.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
});

/** What is used where no audit tells, or only when something fails that is not made to fail here. */
const notInThisLife = {
  '* domicile.dev/cells get':
    'asked by the API server of whoever makes a policy with such a parameter',
  'domicile-buildings /secrets delete': 'an erasure that has ended; its Job is only played here',
  'domicile batch/jobs delete': 'an erasure whose Job failed begins again',
  'default events.k8s.io/events patch': 'an event that happens again is counted',
  'domicile-buildings events.k8s.io/events patch': 'an event that happens again is counted',
};

const rules = z.object({
  rules: z.array(
    z.object({
      apiGroups: z.array(z.string()),
      resources: z.array(z.string()),
      verbs: z.array(z.string()),
    }),
  ),
});

test('it has used each right that its chart gives', async () => {
  const { client } = house.bed;
  const used = new Set(
    (await house.asked()).flatMap(({ verb, objectRef, responseStatus }) => {
      if (objectRef === undefined) return [];
      const { apiGroup, resource, subresource, namespace = '' } = objectRef;
      const what = `${apiGroup}/${resource}${subresource === undefined ? '' : `/${subresource}`}`;
      // Applied where there was nothing: that takes the right to create as well.
      const verbs = verb === 'patch' && responseStatus?.code === 201 ? [verb, 'create'] : [verb];
      return verbs.flatMap((one_) => [`${namespace} ${what} ${one_}`, `* ${what} ${one_}`]);
    }),
  );
  const roles = [
    ...(await client.list('rbac.authorization.k8s.io/v1', 'ClusterRole')).items,
    ...(await client.list('rbac.authorization.k8s.io/v1', 'Role')).items,
  ].filter(
    ({ metadata }) => metadata.labels?.['app.kubernetes.io/instance'] === 'domicile-operator',
  );
  expect(roles.length).toBe(5);
  const given = roles.flatMap((role) =>
    rules
      .parse(role)
      .rules.flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            verbs.map((verb) => `${role.metadata.namespace ?? '*'} ${group}/${resource} ${verb}`),
          ),
        ),
      ),
  );
  const unused = given.filter((right) => !used.has(right));
  expect(unused.filter((right) => !Object.hasOwn(notInThisLife, right))).toEqual([]);
});
