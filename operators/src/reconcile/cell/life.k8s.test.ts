import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { podSpec } from './test-attempts.ts';
import {
  apiVersion,
  buildingNamespace,
  CellHouse,
  cellNamespace,
  operatorNamespace,
} from './test-cell-house.ts';

let house: CellHouse;
const cellResyncMs = 100;

beforeAll(async () => {
  house = await CellHouse.start({ cellResyncMs });
});
afterAll(() => house[Symbol.asyncDispose]());

const client = () => house.bed.client;
const place = (name: string) => ({ name, namespace: cellNamespace });

async function dataOf(name: string, namespace = cellNamespace): Promise<unknown> {
  return (await client().find('v1', 'Secret', { name, namespace }))?.['data'];
}

test('before there is a Cell, the namespaces of the operator and of Buildings take no pod that could go abroad', async () => {
  for (const namespace of [operatorNamespace, buildingNamespace]) {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'early', namespace },
      spec: podSpec({ affinity: undefined }),
    };
    const told = () =>
      client()
        .apply(pod, { dryRun: true })
        .then(() => 'let in', String);
    await waitFor(`it is refused in ${namespace}`, async () =>
      (await told()).includes('must be pinned to DE'),
    );
    expect(await told()).toContain('must be pinned to DE');
  }
});

describe('a Cell that stands on what is not there', () => {
  test('says so, begins no process, and goes on by itself', async () => {
    house.kafka.isDown = true;
    await client().apply(house.manifest());
    await house.until('KafkaReady', 'False', { reason: 'KafkaUnreachable' });
    await house.until('StoreReady', 'True');
    await house.until('WorkloadsReady', 'False', { reason: 'WaitsForTheOutside' });
    expect(await house.condition('ResidencyVerified')).toMatchObject({ status: 'Unknown' });
    expect(await house.child('apps/v1', 'Deployment', 'broker')).toBeUndefined();
    house.kafka.isDown = false;
    await house.until('Ready', 'True');
  });

  test('is ready with all its parts', async () => {
    expect(await house.status()).toMatchObject({
      observedGeneration: 1,
      replicas: '16/16',
      residency: {
        brokers: [
          { id: 1, rack: 'europe-west3' },
          { id: 2, rack: 'europe-west3' },
          { id: 3, rack: 'europe-west10' },
        ],
        buckets: [
          { name: house.landing, location: 'europe-west3' },
          { name: house.serving, location: 'europe-west3' },
        ],
      },
    });
    const { stdout } = await house.bed.kubectl(['get', 'dcell']);
    expect(stdout.split('\n')[1]?.split(/\s+/).slice(0, 7)).toEqual([
      'de',
      'DE',
      '16/16',
      'True',
      'True',
      'True',
      'True',
    ]);
  });

  test('gives nobody the rights of another at the store', async () => {
    const bindings = house.gcs.buckets.get(house.landing)?.bindings ?? [];
    const members = new Set(bindings.flatMap((one) => JSON.stringify(one)));
    expect([...members].join()).not.toContain(house.gcs.memberOf('serving-reader'));
    expect([...members].join()).toContain(house.gcs.memberOf('raw-reader'));
  });
});

test('a steady state makes no writes: sixty looks, each at everything', async () => {
  await house.until('Ready', 'True');
  // Controllers of the cluster still tell how far the rollouts have come.
  await waitFor('quiet', async () => {
    const so = await writes();
    await sleep(20 * cellResyncMs);
    return so === (await writes());
  });
  const before = {
    looks: house.kafka.looks,
    acts: house.kafka.acts.length,
    writes: await writes(),
  };
  const bucket = house.gcs.buckets.get(house.landing)?.metageneration;
  await waitFor('sixty looks', async () => house.kafka.looks >= before.looks + 60);
  expect(house.kafka.acts.length).toBe(before.acts);
  expect(house.gcs.buckets.get(house.landing)?.metageneration).toBe(bucket);
  expect(await writes()).toBe(before.writes);
});

/** The sum of the versions of all that the operator keeps: a write of anything makes it another. */
async function writes(): Promise<string> {
  const kinds = [
    ['apps/v1', 'Deployment'],
    ['apps/v1', 'StatefulSet'],
    ['v1', 'ConfigMap'],
    ['v1', 'Secret'],
    ['v1', 'Service'],
    ['v1', 'ServiceAccount'],
    ['policy/v1', 'PodDisruptionBudget'],
    ['networking.k8s.io/v1', 'NetworkPolicy'],
  ] as const;
  const versions: string[] = [(await house.cell()).metadata.resourceVersion];
  for (const [version, kind] of kinds) {
    const { items } = await client().list(version, kind, { namespace: cellNamespace });
    versions.push(...items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`));
  }
  return versions.join('\n');
}

describe('what drifts is restored, and what is another’s is left alone', () => {
  const deployment = z.object({
    metadata: z.object({ annotations: z.record(z.string(), z.string()) }),
    spec: z.object({
      replicas: z.number(),
      template: z.object({
        spec: z.object({
          containers: z.array(
            z.object({
              image: z.string(),
              env: z.array(z.object({ name: z.string(), value: z.string().optional() })),
            }),
          ),
        }),
      }),
    }),
  });
  const broker = async () =>
    deployment.parse(await client().get('apps/v1', 'Deployment', place('broker')));

  test.each([
    ['apps/v1', 'Deployment', 'raw-api'],
    ['apps/v1', 'StatefulSet', 'tasks'],
    ['v1', 'Service', 'api-gateway'],
    ['v1', 'ServiceAccount', 'lander'],
    ['v1', 'ConfigMap', 'cell-authority'],
    ['policy/v1', 'PodDisruptionBudget', 'broker'],
    ['networking.k8s.io/v1', 'NetworkPolicy', 'serving-api'],
  ])('a deleted %s %s %s comes back', async (version, kind, name) => {
    const { uid } = (await client().get(version, kind, place(name))).metadata;
    await client().delete(version, kind, place(name));
    const isBack = async () => {
      const found = await house.child(version, kind, name);
      return found !== undefined && found.metadata.uid !== uid;
    };
    await expect(waitFor('it is back', isBack)).resolves.toBeUndefined();
  });

  test('and kubectl tells it', async () => {
    const restored = 'Deployment raw-api: was changed or deleted by somebody else';
    const told = async () => (await house.bed.kubectl(['describe', 'cell', house.name])).stdout;
    await waitFor('the event', async () => (await told()).includes(restored));
    expect(await told()).toMatch(/Normal +BroughtAbout .* Deployment raw-api: was changed or/);
  });

  test('an edited Deployment', async () => {
    const image = 'thief:1';
    const containers = [{ name: 'broker', image }];
    await client().apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { ...place('broker'), annotations: { 'sre.example/note': 'mine' } },
        spec: { replicas: 5, template: { spec: { containers } } },
      },
      { fieldManager: 'sre' },
    );
    await waitFor('the image is back', async () => {
      const [container] = (await broker()).spec.template.spec.containers;
      return container?.image === 'domicile:test';
    });
    const { spec, metadata } = await broker();
    expect(spec.replicas).toBe(2);
    expect(metadata.annotations['sre.example/note']).toBe('mine');
  });

  test.each([
    [
      'ValidatingAdmissionPolicy',
      { matchConditions: [{ name: 'never', expression: 'false' }] },
      'matchConditions',
    ],
    [
      'ValidatingAdmissionPolicyBinding',
      { matchResources: { objectSelector: { matchLabels: { never: 'there' } } } },
      'matchResources',
    ],
  ])('what somebody adds to a %s is taken out', async (kind, spec, field) => {
    const version = 'admissionregistration.k8s.io/v1';
    const name = 'domicile-cell-placement';
    const specOf = (object: unknown) =>
      z.object({ spec: z.record(z.string(), z.unknown()) }).parse(object).spec;
    const fieldOf = async () => specOf(await client().get(version, kind, { name }))[field];
    const before = await fieldOf();
    const records = () => house.lines.filter((line) => line.includes(`"${kind} ${name}"`)).length;
    const recordsBefore = records();
    const added = specOf(await client().patch(version, kind, { name }, { spec }));
    expect(added[field]).not.toEqual(before);
    await waitFor('it is as before', async () => isDeepStrictEqual(await fieldOf(), before));
    expect(await fieldOf()).toEqual(before);
    await waitFor('there is a record of it', () => records() > recordsBefore);
  });

  test('a container that somebody adds is taken out', async () => {
    const containers = [{ name: 'spy', image: 'spy:1', env: [{ name: 'SPY', value: '1' }] }];
    await client().apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: place('broker'),
        spec: { template: { spec: { containers } } },
      },
      { fieldManager: 'spy' },
    );
    const count = async () => (await broker()).spec.template.spec.containers.length;
    await waitFor('it is out', async () => (await count()) === 1);
    expect(await count()).toBe(1);
  });

  test('a setting that somebody adds stays, one of ours that he changes does not', async () => {
    const container = {
      name: 'broker',
      env: [
        { name: 'BROKER_QUEUE_MAX', value: '500' },
        { name: 'KAFKA_BOOTSTRAP', value: 'kafka.us.example:9092' },
      ],
    };
    await client().apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: place('broker'),
        spec: { template: { spec: { containers: [container] } } },
      },
      { fieldManager: 'sre' },
    );
    const envOf = async () => (await broker()).spec.template.spec.containers[0]?.env ?? [];
    await waitFor('our setting is back', async () =>
      (await envOf()).some(
        ({ name, value }) =>
          name === 'KAFKA_BOOTSTRAP' && value?.startsWith('kafka-1.example') === true,
      ),
    );
    expect(await envOf()).toContainEqual({ name: 'BROKER_QUEUE_MAX', value: '500' });
  });

  test('a topic’s settings and a bucket’s policy', async () => {
    house.kafka.topics.set('de.latest.v1', { drift: 'yes' });
    const bucket = house.gcs.buckets.get(house.serving);
    if (bucket === undefined) throw new Error('there is the bucket');
    bucket.bindings = [
      ...bucket.bindings,
      { role: 'roles/storage.objectViewer', members: ['allUsers'] },
    ];
    bucket.metageneration += 1;
    await waitFor('the topic is as declared', async () => {
      return house.kafka.topics.get('de.latest.v1')?.['drift'] === undefined;
    });
    await waitFor('nobody unknown reads', async () => {
      return !JSON.stringify(house.gcs.buckets.get(house.serving)?.bindings).includes('allUsers');
    });
    expect(house.kafka.acts.at(-1)).toBe('topic-configs de.latest.v1');
  });

  test('a password of Kafka that is lost is made anew, and Kafka is told', async () => {
    const before = house.kafka.passwords.get('raw');
    await client().delete('v1', 'Secret', place('kafka-raw'));
    await waitFor('Kafka is told', async () => house.kafka.passwords.get('raw') !== before);
    const data = z.object({ password: z.string() }).parse(await dataOf('kafka-raw'));
    expect(Buffer.from(data.password, 'base64').toString()).toBe(house.kafka.passwords.get('raw'));
  });

  test('the authority is the same after it was deleted where the issuer reads it', async () => {
    const before = await dataOf('cell-authority');
    await client().delete('v1', 'Secret', place('cell-authority'));
    await waitFor('it is back', async () => (await dataOf('cell-authority')) !== undefined);
    expect(await dataOf('cell-authority')).toEqual(before);
    const master = { name: 'cell-authority-de', namespace: operatorNamespace };
    await client().delete('v1', 'Secret', master);
    await waitFor('the master is back', async () => {
      return (await dataOf('cell-authority-de', operatorNamespace)) !== undefined;
    });
    expect(await dataOf('cell-authority-de', operatorNamespace)).toEqual(before);
  });
});

describe('what nobody should act on is refused with a reason', () => {
  test('another partition count in Kafka', async () => {
    house.kafka.refusals = [
      { reason: 'PartitionsDiffer', target: 'de.readings.v1', detail: 'has 4 partitions' },
    ];
    const message = await house.until('KafkaReady', 'False', { reason: 'PartitionsDiffer' });
    expect(message).toContain('de.readings.v1: has 4 partitions');
    house.kafka.refusals = [];
    await house.until('Ready', 'True');
  });

  test('a life cycle of somebody else’s on a bucket, by which what is kept would go', async () => {
    const bucket = house.gcs.buckets.get(house.landing);
    if (bucket === undefined) throw new Error('there is the bucket');
    const { fields } = bucket;
    const rule = { action: { type: 'Delete' }, condition: { age: 1 } };
    const before = z.object({ lifecycle: z.object({ rule: z.array(z.unknown()) }) }).parse(fields);
    bucket.fields = { ...fields, lifecycle: { rule: [...before.lifecycle.rule, rule] } };
    const message = await house.until('StoreReady', 'False', { reason: 'ForeignRules' });
    expect(message).toContain(`${house.landing}: Delete {"age":1}`);
    expect(bucket.fields['lifecycle']).toMatchObject({ rule: [...before.lifecycle.rule, rule] });
    bucket.fields = fields;
    await house.until('Ready', 'True');
  });

  test('a second Cell: the older wins, and the other says why', async () => {
    await client().apply(house.manifest({}, 'de-second'));
    const message = await house.until('Ready', 'False', {
      reason: 'AnotherCellInForce',
      name: 'de-second',
    });
    expect(message).toContain('the older Cell de is it');
    await client().delete(apiVersion, 'Cell', { name: 'de-second' });
    expect(await house.condition('Ready')).toMatchObject({ status: 'True' });
  });

  test('Spark, until there is a job for it', async () => {
    await client().apply(house.manifest({ stream: { engine: 'spark' } }));
    await house.until('Ready', 'False', { reason: 'EngineNotBuilt' });
    expect(await house.child('apps/v1', 'StatefulSet', 'tasks')).toBeDefined();
    await client().apply(house.manifest());
    await house.until('Ready', 'True');
  });

  test('a web app that is no longer wanted goes, and nothing else', async () => {
    await client().apply(house.manifest({ web: { enabled: false } }));
    await waitFor('the web app is gone', async () => {
      return (await house.child('apps/v1', 'Deployment', 'web')) === undefined;
    });
    expect(await house.child('apps/v1', 'Deployment', 'broker')).toBeDefined();
    await client().apply(house.manifest());
    await house.until('Ready', 'True');
  });
});
