import type { BuildingRecord } from '@domicile/core/building.ts';
import { parseBuildingId, parseCountryCode } from '@domicile/core/identities.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { runErasurePass } from '@domicile/lake/erasure/erasure.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { enrolmentSecretName, enrolmentShardOf } from '../../model/building/enrolment.ts';
import { buildingKind, cellKind, configMapKind, jobKind, secretKind } from '../../model/kinds.ts';
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
  await waitFor(`${type} of ${name} to be ${told}`, isTold, 45_000).catch(
    async (error: unknown) => {
      const found = await cluster.building(name, namespace);
      throw new Error(`It says ${JSON.stringify(found?.['status'])}`, { cause: error });
    },
  );
}

const ready = (name: string, namespace?: string) =>
  untilTold(name, 'Ready', 'True Onboarded', namespace);

/** Resolves when nobody has written for that long. */
async function quiet(forMs: number): Promise<void> {
  await waitFor('quiet', async () => {
    const before = await cluster.writes();
    await new Promise((resolve) => setTimeout(resolve, forMs));
    return (await cluster.writes()) === before;
  });
}

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

const told = async (...args: string[]): Promise<string> =>
  (await cluster.bed.kubectl([...args, '-n', 'north'])).stdout;

test('kubectl tells how many devices spoke lately, and what they said stays when nobody counts', async () => {
  const name = fresh();
  await cluster.declare(name);
  await ready(name);
  const line = (devices: string) => new RegExp(`${name} +DE +DE +${devices} +True +True`);
  const shows = (devices: string) =>
    waitFor(`${devices} of ${name}`, async () =>
      line(devices).test(await told('get', 'buildings')),
    );
  await shows('\\?/3');
  cluster.seen.set(name, 1);
  await shows('1/3');
  cluster.seen.delete(name);
  cluster.seen.set('de-another', 1);
  await quiet(500);
  const before = await cluster.writes();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(await told('get', 'buildings')).toMatch(line('1/3'));
  expect(await cluster.writes()).toBe(before);
});

test('an edited password that is not fit is not taken, and kubectl says what to do', async () => {
  const name = fresh();
  await cluster.declare(name);
  await ready(name);
  const before = (await registered(name)).at(-1)?.passwordHash;
  const write = (password: string) =>
    cluster.bed.kubectl([
      'patch',
      'secret',
      `${name}-gateway`,
      '--namespace=north',
      '--type=merge',
      '--patch',
      JSON.stringify({ stringData: { password } }),
    ]);
  await write('hunter2');
  await untilTold(name, 'Enrolled', 'False CredentialsRefused');
  expect(await told('describe', 'building', name)).toMatch(
    /The password in the Secret \S+-gateway is not taken: it has 7 characters, and 16 are the fewest[^]*CredentialsRefused/,
  );
  await waitFor('the event', async () =>
    (await told('get', 'events')).includes('CredentialsRefused'),
  );
  expect((await registered(name)).at(-1)?.passwordHash).toBe(before);
  await write('Correct-Horse-Battery');
  await ready(name);
  const after = (await registered(name)).at(-1)?.passwordHash;
  expect(after).not.toBe(before);
  expect((await secretOf(`${name}-gateway`))['password-hash']).toBe(after);
});

test('quotas may become fewer while it is served, and none that let nothing in', async () => {
  const name = fresh();
  await cluster.declare(name, 'north', { quotas: { messagesPerSecond: 500, connections: 20 } });
  await ready(name);
  const narrow = (quotas: object) =>
    cluster.bed.kubectl([
      'patch',
      'building',
      name,
      '--namespace=north',
      '--type=merge',
      '--patch',
      JSON.stringify({ spec: { quotas } }),
    ]);
  await narrow({ messagesPerSecond: 1 });
  await waitFor('the registry to say so', async () => {
    const quotas = (await registered(name)).at(-1)?.quotas;
    return quotas?.messagesPerSecond === 1 && quotas.connections === 20;
  });
  expect(await cluster.conditions(name)).toMatchObject({ Ready: 'True Onboarded' });
  const refused = await narrow({ connections: 0 });
  expect(refused.status).not.toBe(0);
  expect(refused.stderr).toMatch(/spec\.quotas\.connections.*greater than or equal to 1/);
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
  await waitFor('the event', async () =>
    /ClaimedElsewhere .*An older resource in the namespace south/.test(
      await told('get', 'events', '--field-selector', `involvedObject.name=${name}`),
    ),
  );
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
  // Tasks were asked to forget it before the first pass.
  expect((await registered(name)).at(-2)).toMatchObject({ state: 'offboarded', erased: true });
  expect((await registered(name)).at(-1)).toBeNull();
  expect(await enrolled(name)).toBeUndefined();
  expect(await secretOf(`${name}-gateway`)).toEqual({});
  const kept = { name: `erasure-${name}-${id.slice(0, 8)}`, namespace: operatorNamespace };
  const certificate = await cluster.client.kube.get(configMapKind, kept);
  expect(JSON.stringify(certificate?.['data'])).toContain('certificate.jws');
});

test('an export waits for a store that is away; a hold ends what runs; Retain lets go', async () => {
  const name = fresh();
  const spec = { deletionPolicy: 'Delete', exportBeforeDelete: true };
  await cluster.declare(name, 'north', spec);
  await ready(name);
  const id = (await cluster.building(name))?.metadata.uid ?? '';
  const job = { name: `erase-${id}-export`, namespace: cellNamespace };
  const hasJob = async () => Boolean(await cluster.client.kube.get(jobKind, job));
  const patch = (more: object) =>
    cluster.client.kube.patch(buildingKind, { name, namespace: 'north' }, { spec: more });
  cluster.isStoreAway = true;
  await cluster.drop(buildingKind, name);
  await untilTold(name, 'Erased', 'Unknown CannotTakeOut');
  expect(await told('describe', 'building', name)).toMatch(
    /the store does not answer\. Its gateway is refused, and nothing more is done/,
  );
  expect(await cluster.conditions(name)).toMatchObject({ Registered: 'False Offboarded' });
  expect(await hasJob()).toBe(false);
  cluster.isStoreAway = false;
  await untilTold(name, 'Erased', 'False Exporting');
  await waitFor('the Job', hasJob);
  await patch({ legalHold: true });
  await untilTold(name, 'Erased', 'False LegalHold');
  await waitFor('the Job to end', async () => !(await hasJob()));
  await patch({ legalHold: false });
  await waitFor('the Job again', hasJob);
  await patch({ deletionPolicy: 'Retain' });
  await waitFor('it to be let go', async () => (await cluster.building(name)) === undefined);
  expect(await hasJob()).toBe(false);
  expect((await registered(name)).at(-1)).toMatchObject({ state: 'offboarded' });
  expect((await registered(name)).at(-1)).not.toHaveProperty('erased');
});

test('a cell that goes is told, and a building that goes meanwhile is refused when it is back', async () => {
  const [stays, goes] = [fresh(), fresh()];
  for (const name of [stays, goes]) await cluster.declare(name);
  for (const name of [stays, goes]) await ready(name);
  const cell = await cluster.client.kube.get(cellKind, { name: 'de' });
  await cluster.client.kube.delete(cellKind, { name: 'de' }, { uid: cell?.metadata.uid ?? '' });
  await untilTold(stays, 'Ready', 'False NoCell');
  await cluster.drop(buildingKind, goes);
  await untilTold(goes, 'Erased', 'Unknown WaitsForTheCell');
  expect(await told('describe', 'building', goes)).toMatch(
    /it is taken out when the chart domicile-cell/,
  );
  await waitFor('the event', async () => (await told('get', 'events')).includes('WaitsForTheCell'));
  await cluster.cell();
  await waitFor('it to be let go', async () => (await cluster.building(goes)) === undefined);
  expect((await registered(goes)).at(-1)).toMatchObject({ state: 'offboarded' });
  await ready(stays);
  expect((await registered(stays)).length).toBe(1);
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
}, 120_000);

test('a steady state makes no writes, over many resyncs', async () => {
  await operator[Symbol.asyncDispose]();
  operator = await cluster.operator({ OPERATOR_RESYNC_MS: '1000' });
  const name = fresh();
  await cluster.declare(name);
  await ready(name);
  await quiet(3000);
  const before = await cluster.writes();
  await new Promise((resolve) => setTimeout(resolve, 8000));
  expect(await cluster.writes()).toBe(before);
  expect(conditionsIn(await cluster.building(name))['Ready']).toBe('True Onboarded');
  expect(cluster.failures).toEqual([]);
});
