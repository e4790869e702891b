import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pin, pinnedBy, podSpec } from './test-attempts.ts';
import { apiVersion, CellHouse, cellNamespace, operatorNamespace } from './test-cell-house.ts';

let house: CellHouse;

beforeAll(async () => {
  house = await CellHouse.start({ cellResyncMs: 300 });
});
/** Each begins with a Cell that is ready, whatever the one before has left. */
beforeEach(async () => {
  await house.startOperator();
  const found = await client().find(apiVersion, 'Cell', { name: house.name });
  const isOfUs = JSON.stringify(found?.['spec'] ?? '').includes('"country":"US"');
  if (found && (isOfUs || found.metadata.deletionTimestamp !== undefined)) await takeOut();
  await client().apply(house.manifest());
  await house.until('Ready', 'True');
});
afterAll(() => house[Symbol.asyncDispose]());

const client = () => house.bed.client;
const place = (name: string) => ({ name, namespace: cellNamespace });

async function takeOut(): Promise<void> {
  const cell = { name: house.name };
  await client().delete(apiVersion, 'Cell', cell);
  if ((await client().find(apiVersion, 'Cell', cell)) !== undefined)
    await client().patch(apiVersion, 'Cell', cell, { metadata: { finalizers: null } });
  await waitFor('the Cell is gone', async () => {
    return (await client().find(apiVersion, 'Cell', cell)) === undefined;
  });
}

async function processesAreGone(): Promise<void> {
  await waitFor('the processes are gone', async () => {
    const { items } = await client().list('v1', 'Pod', { namespace: cellNamespace });
    return items.length === 0;
  });
}

async function dataOf(name: string, namespace = cellNamespace): Promise<unknown> {
  return (await client().find('v1', 'Secret', { name, namespace }))?.['data'];
}

describe('the end of a Cell', () => {
  test('takes its processes and leaves its data, keys and walls, which the next one adopts', async () => {
    const authority = await dataOf('cell-authority');
    const topics = house.kafka.topics.size;
    await client().delete(apiVersion, 'Cell', { name: house.name });
    await processesAreGone();
    expect(await dataOf('cell-authority')).toEqual(authority);
    expect(house.kafka.topics.size).toBe(topics);
    expect([...house.gcs.buckets.keys()]).toContain(house.landing);
    // What is left is guarded: without its Cell, the namespace takes no pod at all.
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: place('late'), spec: podSpec() };
    const refusal = /no params found|policy/;
    await waitFor('the API server has seen that it is gone', async () =>
      refusal.test(
        await client()
          .apply(pod, { dryRun: true })
          .then(() => '', String),
      ),
    );
    await expect(client().apply(pod)).rejects.toThrow(refusal);
    // The operator’s own pods come back all the same, at home.
    const own = { ...pod, metadata: { name: 'late', namespace: operatorNamespace } };
    expect(await client().apply(own, { dryRun: true })).toMatchObject({ kind: 'Pod' });
    const abroad = { ...own, spec: podSpec({ affinity: undefined }) };
    await expect(client().apply(abroad)).rejects.toThrow('must be pinned to DE');
    await client().apply(house.manifest());
    await house.until('Ready', 'True');
    expect(await dataOf('cell-authority')).toEqual(authority);
  });

  test('that somebody waits for is told, and it is held at home until then', async () => {
    const cell = { name: house.name };
    const finalizers = ['example.org/backup'];
    await client().patch(apiVersion, 'Cell', cell, { metadata: { finalizers } });
    await client().delete(apiVersion, 'Cell', cell);
    await house.until('Ready', 'False', { reason: 'Terminating' });
    expect(await house.condition('KafkaReady')).toMatchObject({ status: 'Unknown' });
    const version = 'admissionregistration.k8s.io/v1';
    const binding = { name: 'domicile-cell-placement' };
    await client().delete(version, 'ValidatingAdmissionPolicyBinding', binding);
    await waitFor('the binding is back', async () => {
      const found = await client().find(version, 'ValidatingAdmissionPolicyBinding', binding);
      return found !== undefined;
    });
    await client().patch(apiVersion, 'Cell', cell, { metadata: { finalizers: null } });
    await waitFor('the Cell is gone', async () => {
      return (await client().find(apiVersion, 'Cell', cell)) === undefined;
    });
  });

  test('lets no Cell of another country that bears its name open what is left to that country', async () => {
    const { lake } = house.manifest().spec;
    const us = {
      country: 'US',
      regions: ['us-central1'],
      lake: { ...lake, region: 'us-central1' },
    };
    const pod = (region: string) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: place('guest'),
      spec: podSpec({ affinity: pinnedBy(pin([region])) }),
    });
    await takeOut();
    await client().apply(house.manifest(us));
    await house.until('ResidencyVerified', 'False', { reason: 'CountryOther' });
    const refusedBy = async (policy: string) => {
      let told = '';
      await waitFor(`${policy} refuses it`, async () => {
        told = await client()
          .apply(pod('us-central1'), { dryRun: true })
          .then(() => '', String);
        return told.includes(policy);
      });
      return told;
    };
    // Of two policies that refuse it the API server names any one: each is looked at while the other does not hold.
    const version = 'admissionregistration.k8s.io/v1';
    const bindingOf = 'ValidatingAdmissionPolicyBinding';
    const [ofCell, ofCountry] = ['domicile-cell-placement', 'domicile-operator-placement'];
    await house.stopOperator();
    await client().delete(version, bindingOf, { name: ofCountry });
    expect(await refusedBy(ofCell)).toContain('must be pinned to DE');
    await house.startOperator();
    await waitFor('that of the country is back', async () => {
      return (await client().find(version, bindingOf, { name: ofCountry })) !== undefined;
    });
    // Nobody keeps those of the cell now; those of the country know no Cell.
    await client().delete(version, bindingOf, { name: ofCell });
    await waitFor('a pod at home is let in', async () =>
      client()
        .apply(pod('europe-west3'), { dryRun: true })
        .then(
          () => true,
          () => false,
        ),
    );
    expect(await refusedBy(ofCountry)).toContain('must be pinned to DE');
  });

  test('without what it owns leaves all of it, and the next one takes it over', async () => {
    const owners = async () =>
      JSON.stringify(await house.child('networking.k8s.io/v1', 'NetworkPolicy', 'default-deny'));
    expect(await owners()).toContain('"kind":"Cell"');
    const { uid } = (await client().get('apps/v1', 'Deployment', place('broker'))).metadata;
    const path = `/apis/${apiVersion}/cells/${house.name}`;
    await client().request('DELETE', path, { content: { propagationPolicy: 'Orphan' } });
    await waitFor('the Cell is gone', async () => {
      return (await client().find(apiVersion, 'Cell', { name: house.name })) === undefined;
    });
    expect(await owners()).not.toContain('"kind":"Cell"');
    await client().apply(house.manifest());
    await house.until('Ready', 'True');
    expect((await client().get('apps/v1', 'Deployment', place('broker'))).metadata.uid).toBe(uid);
    expect(await owners()).toContain('"kind":"Cell"');
  });

  test('does not hang when its namespace is deleted, and the cell comes back with its authority', async () => {
    const authority = await dataOf('cell-authority');
    const revoked = async (namespace = cellNamespace, name = 'revoked-certificates') =>
      JSON.stringify((await client().find('v1', 'ConfigMap', { name, namespace })) ?? 'none');
    await client().patch('v1', 'ConfigMap', place('revoked-certificates'), {
      data: { 'revoked.txt': '1C5E  # stolen\n' },
    });
    await waitFor('there is a copy beside the authority', async () =>
      (await revoked(operatorNamespace, 'revoked-certificates-de')).includes('1C5E'),
    );
    const { uid } = (await client().get('v1', 'Namespace', { name: cellNamespace })).metadata;
    await client().delete('v1', 'Namespace', { name: cellNamespace });
    // What was ready before says nothing now.
    await house.until('WorkloadsReady', 'Unknown', { reason: 'WaitsForThePolicies' });
    await waitFor('there is a new namespace', async () => {
      const found = await client().find('v1', 'Namespace', { name: cellNamespace });
      return found !== undefined && found.metadata.uid !== uid;
    });
    await house.until('Ready', 'True');
    expect(await dataOf('cell-authority')).toEqual(authority);
    // Who was shut out stays out.
    expect(await revoked()).toContain('1C5E');
  }, 120_000);

  test('with the cluster is told where its buckets outlive its authority, and nothing is begun unasked', async () => {
    const master = { name: 'cell-authority-de', namespace: operatorNamespace };
    const backup = await dataOf(master.name, operatorNamespace);
    await client().delete(apiVersion, 'Cell', { name: house.name });
    await processesAreGone();
    for (const ref of [master, place('cell-authority')]) await client().delete('v1', 'Secret', ref);
    await client().apply(house.manifest());
    const message = await house.until('StoreReady', 'False', { reason: 'AuthorityIsAnother' });
    const accepts = /annotate the Cell with ([a-z./-]+)=([0-9a-f]{32}) /.exec(message);
    expect(accepts).not.toBeNull();
    await house.until('WorkloadsReady', 'False', { reason: 'WaitsForTheOutside' });
    expect(await house.child('apps/v1', 'Deployment', 'issuer')).toBeUndefined();
    // Either the authority is brought back …
    await client().apply({ apiVersion: 'v1', kind: 'Secret', metadata: master, data: backup });
    await house.until('Ready', 'True');
    // … or a new one is meant. Of one that is left, the operator would make the other.
    await house.stopOperator();
    for (const ref of [master, place('cell-authority')]) await client().delete('v1', 'Secret', ref);
    await house.startOperator();
    const again = await house.until('StoreReady', 'False', { reason: 'AuthorityIsAnother' });
    const [, key = '', value = ''] = /with ([a-z./-]+)=([0-9a-f]{32}) /.exec(again) ?? [];
    const annotations = { [key]: value };
    await client().patch(apiVersion, 'Cell', { name: house.name }, { metadata: { annotations } });
    await house.until('Ready', 'True');
    expect(house.gcs.buckets.get(house.landing)?.fields['labels']).toMatchObject({
      'domicile-authority': value,
    });
  }, 120_000);

  test('a Deployment beside the operator that had no pin before the policies is rolled out with one', async () => {
    await house.stopOperator();
    const binding = { name: 'domicile-operator-placement' };
    await client().delete(
      'admissionregistration.k8s.io/v1',
      'ValidatingAdmissionPolicyBinding',
      binding,
    );
    const labels = { app: 'before' };
    const before = (affinity: unknown) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'before', namespace: operatorNamespace },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: podSpec({ affinity }) },
      },
    });
    const pods = async () =>
      (await client().list('v1', 'Pod', { namespace: operatorNamespace })).items;
    await waitFor('it may be made', async () =>
      client()
        .apply(before(undefined))
        .then(
          () => true,
          () => false,
        ),
    );
    await waitFor('its pods', async () => (await pods()).length === 2);
    await house.startOperator();
    await waitFor('what has no pin is told', async () => {
      const found = await house.condition('ResidencyVerified');
      return found?.message.includes('pod domicile-system/before-') === true;
    });
    await client().apply(before(podSpec().affinity));
    await waitFor('those without a pin are gone', async () => {
      const found = await pods();
      return (
        found.length === 2 && found.every((pod) => JSON.stringify(pod).includes('"values":["eu'))
      );
    });
    expect(await house.until('ResidencyVerified', 'True')).toContain('all are in the country');
    await client().delete('apps/v1', 'Deployment', {
      name: 'before',
      namespace: operatorNamespace,
    });
  });

  test('does not hang without an operator either', async () => {
    await house.stopOperator();
    await client().delete(apiVersion, 'Cell', { name: house.name });
    const isGone = async () =>
      (await client().find(apiVersion, 'Cell', { name: house.name })) === undefined;
    await expect(waitFor('the Cell is gone', isGone)).resolves.toBeUndefined();
  });
});
