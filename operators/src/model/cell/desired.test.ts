import { expect, test } from 'vitest';
import { z } from 'zod';
import type { KubeObject } from '../../runtime/kube.ts';
import { desiredCell, objectBreaches } from './desired.ts';
import { planOfDe, specOfDe } from './test-plan.ts';

const templated = z.object({
  kind: z.enum(['Deployment', 'StatefulSet']),
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    replicas: z.number().optional(),
    strategy: z.unknown().optional(),
    template: z.object({
      metadata: z.object({ annotations: z.record(z.string(), z.string()) }),
      spec: z.looseObject({
        serviceAccountName: z.string(),
        automountServiceAccountToken: z.literal(false),
        hostNetwork: z.undefined().optional(),
        nodeName: z.undefined().optional(),
        terminationGracePeriodSeconds: z.number().min(30),
        securityContext: z.object({ runAsNonRoot: z.literal(true) }),
        topologySpreadConstraints: z.array(z.object({ topologyKey: z.string() })).min(1),
        volumes: z.array(z.looseObject({ name: z.string() })),
        containers: z
          .array(
            z.object({
              command: z.array(z.string()),
              env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })),
              volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
              startupProbe: z.object({}),
              readinessProbe: z.object({}),
              livenessProbe: z.object({}),
              resources: z.object({ requests: z.object({}), limits: z.object({}) }),
              securityContext: z.object({
                allowPrivilegeEscalation: z.literal(false),
                readOnlyRootFilesystem: z.literal(true),
              }),
            }),
          )
          .length(1),
      }),
    }),
  }),
});

const secretVolume = z.object({ secret: z.object({ secretName: z.string() }) });

function objects(plan = planOfDe()): KubeObject[] {
  const desired = desiredCell(plan, 'PEM');
  return [
    desired.namespace,
    ...desired.policies,
    ...desired.configs,
    ...desired.workloads.flatMap((one) => one.objects),
  ];
}

const ofKind = (kind: string, plan = planOfDe()) =>
  objects(plan).filter((object) => object.kind === kind);

const controllers = (plan = planOfDe()) =>
  [...ofKind('Deployment', plan), ...ofKind('StatefulSet', plan)].map((one) =>
    templated.parse(one),
  );

test('there is a controller, an account, a budget and a network policy for each process', () => {
  const names = controllers().map(({ metadata }) => metadata.name);
  expect(names.toSorted()).toEqual([
    'api-gateway',
    'broker',
    'commands',
    'issuer',
    'lander',
    'raw-api',
    'serving-api',
    'serving-builder',
    'tasks',
    'web',
  ]);
  for (const kind of ['ServiceAccount', 'PodDisruptionBudget', 'NetworkPolicy']) {
    const made = new Set(ofKind(kind).map(({ metadata }) => metadata.name));
    const without = names.filter((name) => !made.has(name));
    expect(without, `without ${kind}`).toEqual([]);
  }
});

test('every workload of every spec is pinned to the regions of its country', () => {
  for (let seed = 1; seed <= 50; seed++) {
    let state = seed;
    const dice = (sides: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % sides;
    };
    const regions = [['europe-west3'], ['europe-west10', 'europe-west3']][dice(2)] ?? [];
    const plan = planOfDe(
      {
        regions,
        broker: { replicas: 1 + dice(5) },
        stream: { replicas: 1 + dice(5) },
        web: { enabled: dice(2) === 0 },
        lake: {
          store: dice(2) === 0 ? 'gcs' : 's3',
          region: 'europe-west3',
          landingBucket: 'landing',
          servingBucket: 'serving',
        },
      },
      { hasStorage: dice(2) === 0, hasKafkaCa: dice(2) === 0 },
    );
    const made = objects(plan);
    expect(
      made.flatMap((object) => objectBreaches(plan, object)),
      `seed ${seed}`,
    ).toEqual([]);
  }
});

test('a workload that lost its pin is seen by the last look before it is written', () => {
  const plan = planOfDe();
  const broker = ofKind('Deployment').find(({ metadata }) => metadata.name === 'broker');
  const spec = templated.parse(broker).spec;
  const { affinity: _affinity, ...podSpec } = spec.template.spec;
  const changed: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'broker' },
    spec: { template: { spec: podSpec } },
  };
  expect(objectBreaches(plan, changed).map(({ reason }) => reason)).toEqual(['WorkloadNotPinned']);
});

test('every mount has its volume, and every setting that is a path lies below a mount or in the image', () => {
  for (const { metadata, spec } of controllers()) {
    const [container] = spec.template.spec.containers;
    const volumes = spec.template.spec.volumes.map(({ name }) => name);
    expect(new Set(volumes).size, `of ${metadata.name}`).toBe(volumes.length);
    const mounts = container?.volumeMounts ?? [];
    expect(mounts.map(({ name }) => name).toSorted(), `of ${metadata.name}`).toEqual(
      volumes.toSorted(),
    );
    const stray = (container?.env ?? []).filter(
      ({ value }) =>
        value?.startsWith('/') === true &&
        !value.startsWith('/app/') &&
        !mounts.some(({ mountPath }) => value === mountPath || value.startsWith(`${mountPath}/`)),
    );
    expect(stray, `of ${metadata.name}`).toEqual([]);
    const names = (container?.env ?? []).map(({ name }) => name);
    expect(new Set(names).size, `of ${metadata.name}`).toBe(names.length);
  }
});

test('only the issuer is given the key of the authority, and only who needs it a way to raw data', () => {
  const mounting = (secret: string) =>
    controllers()
      .filter(({ spec }) =>
        spec.template.spec.volumes.some(
          (volume) => secretVolume.safeParse(volume).data?.secret.secretName === secret,
        ),
      )
      .map(({ metadata }) => metadata.name);
  expect(mounting('cell-authority')).toEqual(['issuer']);
  expect(mounting('lake-raw-reader')).toEqual(['raw-api']);
  expect(mounting('lake-writer')).toEqual(['lander', 'serving-builder']);
  expect(mounting('lake-serving-reader')).toEqual(['serving-api']);
  expect(mounting('lake-eraser')).toEqual([]);
  expect(mounting('kafka-raw')).toEqual(['raw-api']);
  const serving = controllers().find(({ metadata }) => metadata.name === 'serving-api');
  const env = serving?.spec.template.spec.containers[0]?.env.map(({ name }) => name) ?? [];
  expect(env).toContain('LAKE_SERVING_BUCKET');
  expect(env).not.toContain('LAKE_LANDING_BUCKET');
});

test('gateways outside of the cluster are sent to renew where they can reach the issuer', () => {
  const gatewayOf = (plan: ReturnType<typeof planOfDe>) =>
    controllers(plan)
      .find(({ metadata }) => metadata.name === 'api-gateway')
      ?.spec.template.spec.containers[0]?.env.find(
        ({ name }) => name === 'GATEWAY_EST_RENEWAL_URL',
      );
  expect(gatewayOf(planOfDe())).toBeUndefined();
  const enrolment = { url: 'https://est.de.example:8444/', serviceType: 'LoadBalancer' };
  const plan = planOfDe({ enrolment });
  expect(gatewayOf(plan)?.value).toBe('https://est.de.example:8444');
  const service = ofKind('Service', plan).find(({ metadata }) => metadata.name === 'issuer');
  expect(service).toMatchObject({ spec: { type: 'LoadBalancer', ports: [{ port: 8444 }] } });
});

test('looks at buckets are far apart, and who fills them knows how long they keep what is in them', () => {
  const envOf = (name: string, plan = planOfDe()) => {
    const found = controllers(plan).find(({ metadata }) => metadata.name === name);
    const env = found?.spec.template.spec.containers[0]?.env ?? [];
    return Object.fromEntries(env.map((one) => [one.name, one.value]));
  };
  expect(envOf('raw-api')).toMatchObject({ RAW_REFRESH_MS: '5000' });
  expect(envOf('serving-api')).toMatchObject({ SERVING_REFRESH_MS: '5000' });
  expect(envOf('lander')).toMatchObject({
    LANDER_AUDIT_MS: '30000',
    LANDER_RETENTION_DAYS: '400',
  });
  expect(envOf('serving-builder')).toMatchObject({ SERVING_RETENTION_DAYS: '3650' });
  expect(envOf('serving-builder')).not.toHaveProperty('LANDER_AUDIT_MS');
  const { lake } = specOfDe();
  const shorter = planOfDe({ lake: { ...lake, retentionDays: { landing: 30, serving: 500 } } });
  expect(envOf('lander', shorter)).toMatchObject({ LANDER_RETENTION_DAYS: '30' });
  expect(envOf('serving-builder', shorter)).toMatchObject({ SERVING_RETENTION_DAYS: '500' });
});

test('brokers and APIs are never fewer while they change, and what must be alone is alone', () => {
  const strategies = new Map(
    controllers().map(({ metadata, spec }) => [metadata.name, JSON.stringify(spec.strategy)]),
  );
  for (const name of ['broker', 'commands', 'serving-api', 'raw-api', 'api-gateway', 'web'])
    expect(strategies.get(name), `of ${name}`).toContain('"maxUnavailable":0');
  for (const name of ['lander', 'serving-builder', 'issuer'])
    expect(strategies.get(name), `of ${name}`).toContain('Recreate');
});

test('a Secret that is read at start restarts who reads it, and nobody else', () => {
  const before = controllers();
  const after = controllers(planOfDe({}, { digests: new Map([['lake-writer', 'abc']]) }));
  const changed = after.filter(
    ({ spec }, index) =>
      spec.template.metadata.annotations['domicile.dev/read-at-start'] !==
      before[index]?.spec.template.metadata.annotations['domicile.dev/read-at-start'],
  );
  expect(changed.map(({ metadata }) => metadata.name)).toEqual(['lander', 'serving-builder']);
  const authority = controllers(planOfDe({}, { digests: new Map([['cell-authority', 'abc']]) }));
  const told = (one: (typeof before)[number]) => one.spec.template.metadata.annotations;
  const trusting = authority.filter((one, index) => {
    const was = before[index];
    return was !== undefined && JSON.stringify(told(one)) !== JSON.stringify(told(was));
  });
  expect(trusting.map(({ metadata }) => metadata.name)).toEqual(['issuer', 'api-gateway']);
});

test('an autoscaler holds the replicas once it is there', () => {
  const changes = {
    api: { issuer: 'https://id.example', jwks: 'https://id.example/jwks', replicasMax: 5 },
  };
  expect(
    ofKind('HorizontalPodAutoscaler', planOfDe(changes)).map(({ metadata }) => metadata.name),
  ).toEqual(['serving-api', 'api-gateway']);
  const replicasOf = (plan: ReturnType<typeof planOfDe>) =>
    controllers(plan).find(({ metadata }) => metadata.name === 'serving-api')?.spec.replicas;
  const now = (replicas: number) => ({ replicasNow: new Map([['serving-api', replicas]]) });
  expect(replicasOf(planOfDe(changes))).toBe(2);
  expect(replicasOf(planOfDe(changes, now(4)))).toBe(4);
  expect(replicasOf(planOfDe(changes, now(1)))).toBe(2);
  expect(replicasOf(planOfDe(changes, now(9)))).toBe(5);
  expect(replicasOf(planOfDe({}, now(4)))).toBe(2);
});

test('what holds data, keys or the namespace has no owner that could take it along', () => {
  const kept = objects()
    .filter(({ metadata }) => metadata.ownerReferences === undefined)
    .filter(({ apiVersion }) => !apiVersion.startsWith('admissionregistration'));
  expect(kept.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    'Namespace domicile',
    'ConfigMap cell-authority',
    'PersistentVolumeClaim issuer-state',
  ]);
});
