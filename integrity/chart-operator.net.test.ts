import { expect, test } from 'vitest';
import { z } from 'zod';
import {
  type HelmVersion,
  objectsOf,
  type RenderedObject,
  renderChart,
} from './support/render-chart.ts';

// The chart of the operator gives it what it needs and no more, and refuses what is of another country.

const chart = 'domicile-operator';
const de = { country: 'DE', regions: ['europe-west3', 'europe-west10'] };

async function rendered(values: object, version: HelmVersion = 4): Promise<RenderedObject[]> {
  const { status, stdout, stderr } = await renderChart(chart, values, { version });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return objectsOf(stdout);
}

const rules = z.array(
  z.object({
    apiGroups: z.array(z.string()).min(1),
    resources: z.array(z.string()).min(1),
    verbs: z.array(z.string()).min(1),
    resourceNames: z.array(z.string()).optional(),
  }),
);

function rulesOf(object: RenderedObject): z.output<typeof rules> {
  return rules.parse(object['rules']);
}

test.each<HelmVersion>([3, 4])('Helm %i renders all of it', async (version) => {
  const objects = await rendered(de, version);
  const kinds = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`).toSorted();
  expect(kinds).toEqual(
    [
      'ClusterRole domicile-system-domicile-operator',
      'ClusterRoleBinding domicile-system-domicile-operator',
      'CustomResourceDefinition buildings.domicile.dev',
      'CustomResourceDefinition cells.domicile.dev',
      'Deployment domicile-operator',
      'Namespace domicile',
      'Namespace domicile-buildings',
      'NetworkPolicy domicile-operator',
      'PodDisruptionBudget domicile-operator',
      'Role domicile-operator',
      'Role domicile-operator-buildings',
      'Role domicile-operator-cell',
      'Role domicile-operator-events',
      'RoleBinding domicile-operator',
      'RoleBinding domicile-operator-buildings',
      'RoleBinding domicile-operator-cell',
      'RoleBinding domicile-operator-events',
      'Service domicile-operator',
      'ServiceAccount domicile-operator',
    ].toSorted(),
  );
});

test('definitions and namespaces, and so all that is declared, stay when the release goes', async () => {
  const objects = await rendered(de);
  const kept = objects
    .filter(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] === 'keep')
    .map(({ kind }) => kind);
  expect(kept.toSorted()).toEqual([
    'CustomResourceDefinition',
    'CustomResourceDefinition',
    'Namespace',
    'Namespace',
  ]);
});

test('no rule has a wildcard, and Secrets are readable where they must be alone', async () => {
  const roles = (await rendered(de)).filter(({ kind }) => /^(Cluster)?Role$/.test(kind));
  expect(roles.length).toBeGreaterThan(3);
  for (const role of roles)
    for (const { apiGroups, resources, verbs } of rulesOf(role))
      expect([...apiGroups, ...resources, ...verbs].join(' ')).not.toContain('*');
  const withSecrets = roles.filter((role) =>
    rulesOf(role).some(({ resources }) => resources.includes('secrets')),
  );
  expect(withSecrets.map(({ kind }) => kind)).toEqual(withSecrets.map(() => 'Role'));
  expect(withSecrets.map(({ metadata }) => `${metadata.namespace}`).toSorted()).toEqual([
    'domicile',
    'domicile-buildings',
    'domicile-system',
  ]);
});

test('nobody is let beyond their own rights', async () => {
  const verbs = (await rendered(de))
    .filter(({ kind }) => /^(Cluster)?Role$/.test(kind))
    .flatMap(rulesOf)
    .flatMap((rule) => rule.verbs.map((verb) => `${verb} ${rule.resources.join(',')}`));
  expect(
    verbs.filter((one) => /^(escalate|bind|impersonate)\b|roles|pods\/exec/.test(one)),
  ).toEqual([]);
});

test('its pods stay in the country, run as nobody and write nothing', async () => {
  const deployment = (await rendered(de)).find(({ kind }) => kind === 'Deployment');
  expect(deployment).toMatchObject({
    spec: {
      replicas: 2,
      template: {
        spec: {
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [
                  {
                    matchExpressions: [
                      { key: 'topology.kubernetes.io/region', operator: 'In', values: de.regions },
                    ],
                  },
                ],
              },
            },
          },
          containers: [
            {
              image: 'domicile:0.1.0',
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
            },
          ],
        },
      },
    },
  });
});

test.each([
  ['DE', ['europe-west3', 'europe-west10']],
  ['KE', ['onprem-ke-nairobi']],
])(
  'without regions its pods, and that of helm test, may run in all of %s',
  async (country, values) => {
    const { stdout } = await renderChart(chart, { country }, { more: ['--skip-tests=false'] });
    const pins = objectsOf(stdout).flatMap((object) => {
      const spec = object.kind === 'Deployment' ? templateOf.parse(object).spec.template : object;
      return object.kind === 'Deployment' || object.kind === 'Pod' ? [pinned.parse(spec)] : [];
    });
    const matchExpressions = [{ key: 'topology.kubernetes.io/region', operator: 'In', values }];
    const pin = { nodeSelectorTerms: [{ matchExpressions }] };
    expect(pins.map(({ spec }) => spec.affinity.nodeAffinity)).toEqual(
      [pin, pin].map((one) => ({ requiredDuringSchedulingIgnoredDuringExecution: one })),
    );
  },
);

const templateOf = z.object({ spec: z.object({ template: z.unknown() }) });
const pinned = z.object({ spec: z.object({ affinity: z.object({ nodeAffinity: z.unknown() }) }) });

test('Buildings may be declared in the namespaces that are named, and nowhere else', async () => {
  const objects = await rendered({ ...de, buildingNamespaces: ['north', 'south'] });
  const roles = objects.filter(({ metadata }) => metadata.name === 'domicile-operator-buildings');
  expect(roles.map(({ metadata }) => `${metadata.namespace}`).toSorted()).toEqual([
    'north',
    'north',
    'south',
    'south',
  ]);
  expect(JSON.stringify(objects)).toContain(
    '{"name":"OPERATOR_BUILDING_NAMESPACES","value":"north,south"}',
  );
});

test('what watches it is made when it is asked for', async () => {
  const metrics = { dashboard: { enabled: true }, serviceMonitor: { enabled: true } };
  const objects = await rendered({ ...de, metrics });
  expect(objects.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['ServiceMonitor', 'ConfigMap']),
  );
  const dashboard = objects.find(({ kind }) => kind === 'ConfigMap');
  const data = z.record(z.string(), z.string()).parse(dashboard?.['data']);
  expect(JSON.parse(data['domicile-operator.json'] ?? '')).toHaveProperty('panels');
});

/** What is refused, and what Helm says of it. */
const refused: Record<string, readonly [values: object, said: RegExp]> = {
  'no country': [{}, /missing property 'country'/],
  'a country without a pack': [{ country: 'XX' }, /country: XX has no country pack/],
  'a region abroad': [
    { country: 'DE', regions: ['us-east1'] },
    /regions: us-east1 lies in US, and this cluster is one of DE/,
  ],
  'a namespace for two': [
    { ...de, buildingNamespaces: ['domicile'] },
    /domicile is the cell's; who declares buildings must not reach its keys/,
  ],
  'the namespace of the operator': [{ ...de, cellNamespace: 'domicile-system' }, /is taken/],
  'a lease that ends before it is renewed': [
    { ...de, lease: { durationSeconds: 10, renewSeconds: 8 } },
    /lease\.renewSeconds: must be less than half/,
  ],
  'an unknown value': [{ ...de, replicaCount: 2 }, /additional properties 'replicaCount'/],
};

test.concurrent.each(Object.entries(refused))('%s is refused', async (_what, [values, said]) => {
  const { status, stdout, stderr } = await renderChart(chart, values);
  expect(stderr).toMatch(said);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
});

test('the namespace of the cell carries nothing that the operator writes too', async () => {
  const cell = (await rendered(de)).find(
    ({ kind, metadata }) => kind === 'Namespace' && metadata.name === 'domicile',
  );
  expect(cell?.metadata.labels).toBeUndefined();
});
