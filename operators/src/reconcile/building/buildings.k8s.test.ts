import type { BuildingRecord } from '@domicile/core/building.ts';
import { parseBuildingId, parseCountryCode } from '@domicile/core/identities.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { runErasurePass } from '@domicile/lake/erasure/erasure.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { enrolmentSecretName, enrolmentShardOf } from '../../model/building/enrolment.ts';
import { buildingKind, configMapKind, jobKind, secretKind } from '../../model/kinds.ts';
import type { OperatorService } from '../../start.ts';
import { BuildingCluster, conditionsIn } from './test-cluster.ts';
import { cellNamespace, operatorNamespace } from './test-house.ts';

let cluster: BuildingCluster;
let operator: OperatorService;
beforeAll(async () => {
  cluster = await BuildingCluster.start();
  operator = await cluster.operator();
});
afterAll(async () => {
  await operator[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

const fresh = () => freshName('de');

async function untilTold(name: string, type: string, told: string, namespace?: string) {
  const isTold = async () => (await cluster.conditions(name, namespace))[type] === told;
  await waitFor(`${type} of ${name} to be ${told}`, isTold, 30_000).catch(
    async (error: unknown) => {
      const found = await cluster.building(name, namespace);
      throw new Error(`It says ${JSON.stringify(found?.['status'])}`, { cause: error });
    },
  );
}

const ready = (name: string, namespace?: string) =>
  untilTold(name, 'Ready', 'True Onboarded', namespace);

/** What the registry says of a building last: its records, and null for a tombstone. */
async function registered(building: string): Promise<(BuildingRecord | null)[]> {
  const all = await readTopic(cluster.kafka.admin(), 'de.registry.v1');
  return all
    .filter(({ key }) => key?.toString() === building)
    .map(({ value }) => (value === null ? null : JSON.parse(value.toString())));
}

async function secretOf(name: string, namespace = 'north'): Promise<Record<string, string>> {
  const found = await cluster.client.kube.get(secretKind, { name, namespace });
  const data = z.record(z.string(), z.string()).parse(found?.['data'] ?? {});
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
}

const shardOf = (building: string) => enrolmentSecretName(enrolmentShardOf(building));
const enrolled = async (building: string): Promise<unknown> => {
  const text = (await secretOf(shardOf(building), cellNamespace))[`${building}.json`];
  return text === undefined ? undefined : JSON.parse(text);
};

test('a building becomes ready, is told by kubectl, and comes out and in again', async () => {
  const name = fresh();
  await cluster.declare(name);
  await ready(name);
  const { stdout } = await cluster.bed.kubectl(['get', 'buildings', '-n', 'north']);
  expect(stdout).toMatch(new RegExp(`${name} +DE +DE +\\?/3 +True +True`));
  const secret = await secretOf(`${name}-gateway`);
  expect((await registered(name)).at(-1)).toMatchObject({
    state: 'active',
    passwordHash: secret['password-hash'],
  });
  expect(await enrolled(name)).toMatchObject({ state: 'active' });

  await cluster.drop(buildingKind, name);
  await waitFor('it to be let go', async () => (await cluster.building(name)) === undefined);
  expect((await registered(name)).at(-1)).toMatchObject({ state: 'offboarded' });
  expect(await enrolled(name)).toMatchObject({ state: 'offboarded' });
  await cluster.declare(name);
  await ready(name);
  expect((await registered(name)).at(-1)).toMatchObject({ state: 'active' });
  expect(await secretOf(`${name}-gateway`)).toEqual(secret);
});

test('what is deleted or edited is restored, and foreign fields are left alone', async () => {
  const name = fresh();
  await cluster.declare(name);
  await ready(name);
  const ref = { name: `${name}-gateway`, namespace: 'north' };
  await cluster.client.kube.patch(secretKind, ref, {
    metadata: { labels: { mine: 'yes' } },
    data: { extra: Buffer.from('mine').toString('base64'), password: null },
  });
  await waitFor('another password', async () => 'password' in (await secretOf(ref.name)));
  const mended = await cluster.client.kube.get(secretKind, ref);
  expect(mended?.metadata.labels).toMatchObject({ mine: 'yes' });
  expect(await secretOf(ref.name)).toMatchObject({ extra: 'mine' });

  await cluster.drop(secretKind, ref.name);
  await waitFor('the Secret', async () => 'password' in (await secretOf(ref.name)));
  await waitFor('its hash in the registry', async () => {
    const hash = (await secretOf(ref.name))['password-hash'];
    return (await registered(name)).at(-1)?.passwordHash === hash;
  });

  const shard = { name: shardOf(name), namespace: cellNamespace };
  await cluster.client.kube.patch(secretKind, shard, { data: { [`${name}.json`]: null } });
  await waitFor('the enrolment', async () => (await enrolled(name)) !== undefined);
  await cluster.drop(secretKind, shard.name, cellNamespace);
  await waitFor('the Secret of enrolments', async () => (await enrolled(name)) !== undefined);
});

test('of two resources the older has the building, and the other follows when it goes', async () => {
  const name = fresh();
  await cluster.declare(name, 'south');
  // Ages are told in whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await cluster.declare(name, 'north');
  await ready(name, 'south');
  await untilTold(name, 'Registered', 'False ClaimedElsewhere', 'north');
  const { stdout } = await cluster.bed.kubectl(['describe', 'building', name, '-n', 'north']);
  expect(stdout).toContain('An older resource in the namespace south declares this building');
  await cluster.drop(buildingKind, name, 'south');
  await ready(name, 'north');
  expect((await registered(name)).map((record) => record?.state)).toEqual([
    'active',
    'offboarded',
    'active',
  ]);
});

test('a building of another country is refused and says so', async () => {
  const name = freshName('us');
  await cluster.declare(name, 'north', { country: 'US' });
  await untilTold(name, 'ResidencyVerified', 'False BuildingAbroad');
  expect(await cluster.conditions(name)).toMatchObject({ Ready: 'False BuildingAbroad' });
  expect(await registered(name)).toEqual([]);
  await cluster.drop(buildingKind, name);
  await waitFor('it to be gone', async () => (await cluster.building(name)) === undefined);
});

test('Delete runs the eraser, waits, certifies and lets go', async () => {
  const name = fresh();
  await cluster.declare(name, 'north', { deletionPolicy: 'Delete', legalHold: true });
  await ready(name);
  const id = (await cluster.building(name))?.metadata.uid ?? '';
  await cluster.drop(buildingKind, name);
  await untilTold(name, 'Erased', 'False LegalHold');
  expect((await registered(name)).at(-1)).toMatchObject({ state: 'offboarded' });
  await cluster.client.kube.patch(
    buildingKind,
    { name, namespace: 'north' },
    { spec: { legalHold: false } },
  );
  for (const pass of ['erase', 'verify'] as const) {
    const job = { name: `erase-${id}-${pass}`, namespace: cellNamespace };
    await waitFor(`the Job of ${pass}`, async () =>
      Boolean(await cluster.client.kube.get(jobKind, job)),
    );
    await runErasurePass(
      {
        landing: cluster.archive,
        serving: cluster.archive,
        country: parseCountryCode('DE'),
        building: parseBuildingId(name),
        partition: 0,
        id,
        nonce: pass,
        signal: AbortSignal.timeout(10_000),
      },
      pass,
      { graceMs: 0, now: Date.now },
    );
  }
  await waitFor(
    'it to be let go',
    async () => (await cluster.building(name)) === undefined,
    30_000,
  );
  expect((await registered(name)).at(-1)).toBeNull();
  expect(await enrolled(name)).toBeUndefined();
  expect(await secretOf(`${name}-gateway`)).toEqual({});
  const kept = { name: `erasure-${name}-${id.slice(0, 8)}`, namespace: operatorNamespace };
  const certificate = await cluster.client.kube.get(configMapKind, kept);
  expect(JSON.stringify(certificate?.['data'])).toContain('certificate.jws');
});

test('the deletion of a namespace does not hang', async () => {
  const namespace = await cluster.namespace(freshName('wing'));
  const name = fresh();
  await cluster.declare(name, namespace);
  await ready(name, namespace);
  await cluster.bed.kubectl(['delete', 'namespace', namespace, '--wait', '--timeout=60s']);
  expect((await registered(name)).at(-1)).toMatchObject({ state: 'offboarded' });
});

test('while Kafka is away it says so, and it recovers by itself', async () => {
  const name = fresh();
  await cluster.kafka.cluster.kill(1);
  await cluster.declare(name);
  await untilTold(name, 'Registered', 'Unknown KafkaUnavailable');
  cluster.kafka.cluster.restart(1);
  await cluster.kafka.cluster.ready();
  await ready(name);
  expect((await registered(name)).map((record) => record?.state)).toEqual(['active']);
});

test('a steady state makes no writes, over many resyncs', async () => {
  await operator[Symbol.asyncDispose]();
  operator = await cluster.operator({ OPERATOR_RESYNC_MS: '1000' });
  const name = fresh();
  await cluster.declare(name);
  await ready(name);
  await waitFor('quiet', async () => {
    const before = await cluster.writes();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    return (await cluster.writes()) === before;
  });
  const before = await cluster.writes();
  await new Promise((resolve) => setTimeout(resolve, 8000));
  expect(await cluster.writes()).toBe(before);
  expect(conditionsIn(await cluster.building(name))['Ready']).toBe('True Onboarded');
  expect(cluster.failures).toEqual([]);
});
