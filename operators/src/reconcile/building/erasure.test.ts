import { verify, X509Certificate } from 'node:crypto';
import { parseBuildingId, parseCountryCode } from '@domicile/core/identities.ts';
import { runErasurePass } from '@domicile/lake/erasure/erasure.ts';
import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { expect, test } from 'vitest';
import { buildingKind, configMapKind, jobKind, secretKind } from '../../model/kinds.ts';
import { buildingSpec, cellNamespace, operatorNamespace, testHouse } from './test-house.ts';
import { conditionsOf } from './test-kube.ts';

const de7 = { name: 'de-7f3k', namespace: 'north' };
const dayMs = 86_400_000;
const authority = await createAuthority('test-authority');

/** A house whose building is deleted, with a landing bucket in memory. */
async function taking(spec: object) {
  const store = new MemoryObjectStore();
  const house = testHouse({
    erasure: { settleMs: 600_000, kafkaRetentionMs: 30 * dayMs, openArchive: async () => store },
  });
  const { kube, declare, look, ports } = house;
  house.registry.now = ports.now;
  const data = { 'tls.crt': authority.certificate, 'tls.key': authority.key };
  kube.put(secretKind, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'cell-authority', namespace: cellNamespace },
    data: Object.fromEntries(
      Object.entries(data).map(([key, pem]) => [key, Buffer.from(pem).toString('base64')]),
    ),
  });
  declare('de-7f3k', 'north', { ...buildingSpec, ...spec });
  await look('de-7f3k');
  kube.drop(buildingKind, de7);
  const told = () => conditionsOf(kube.seen(buildingKind, de7))['Erased'];
  const id = kube.seen(buildingKind, de7)?.metadata.uid ?? '';
  /** As the eraser's Job would. */
  const done = (pass: 'export' | 'erase' | 'verify') =>
    runErasurePass(
      {
        landing: store,
        serving: store,
        country: parseCountryCode('DE'),
        building: parseBuildingId('de-7f3k'),
        partition: 0,
        id,
        nonce: pass,
        signal: AbortSignal.timeout(10_000),
      },
      pass,
      { graceMs: 0, now: ports.now },
    );
  const jobs = () => kube.all(jobKind).map(({ metadata }) => metadata.name);
  return { ...house, store, told, done, jobs, id };
}

test('Delete: refused, settled, erased, waited for, verified, certified, gone', async () => {
  const { kube, registry, look, pass, told, done, jobs, store, id } = await taking({
    deletionPolicy: 'Delete',
  });
  expect(await look('de-7f3k')).toEqual({ kind: 'again', afterMs: 600_000 });
  expect(registry.entry('de-7f3k')).toMatchObject({ state: 'offboarded' });
  expect(told()).toBe('False Settling');
  expect(kube.seen(buildingKind, de7)?.['status']).toMatchObject({
    erasure: { phase: 'Erasing', startedAt: '2026-11-23T09:00:00.000Z' },
  });
  expect(jobs()).toEqual([]);

  pass(600_000);
  expect(await look('de-7f3k')).toMatchObject({ kind: 'again' });
  expect(told()).toBe('False Erasing');
  expect(jobs()).toEqual([`erase-${id}-erase`]);
  const writes = kube.writes.length;
  await look('de-7f3k');
  expect(kube.writes.length).toBe(writes);
  await done('erase');
  expect(await look('de-7f3k')).toEqual({ kind: 'again', afterMs: 3_600_000 });
  expect(told()).toBe('False Erasing');

  pass(30 * dayMs + 1);
  await look('de-7f3k');
  expect(told()).toBe('False Verifying');
  await done('verify');
  expect(kube.seen(buildingKind, de7)).toBeDefined();
  expect(await look('de-7f3k')).toEqual({ kind: 'done' });
  expect(kube.seen(buildingKind, de7)).toBeUndefined();
  expect(registry.entry('de-7f3k')).toBeUndefined();
  expect(registry.written.at(-1)).toEqual({ building: 'de-7f3k', value: null });
  expect(kube.seen(secretKind, { name: 'de-7f3k-gateway', namespace: 'north' })).toBeUndefined();

  const name = `erasure-de-7f3k-${id.slice(0, 8)}`;
  const kept = kube.seen(configMapKind, { name, namespace: operatorNamespace });
  expect(kept).toMatchObject({ immutable: true });
  const jws = String((await store.get(`erasures/de-7f3k/${id}/certificate.jws`))?.toString());
  expect(kept?.['data']).toMatchObject({ 'certificate.jws': jws });
  const [header = '', payload = '', signature = ''] = jws.split('.');
  const read = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
  const { publicKey, raw } = new X509Certificate(authority.certificate);
  expect(read(header)).toMatchObject({ alg: 'ES256', x5c: [raw.toString('base64')] });
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  const isSigned = (text: string) =>
    verify('sha256', Buffer.from(text), key, Buffer.from(signature, 'base64url'));
  expect([isSigned(`${header}.${payload}`), isSigned(`${header}.${payload}x`)]).toEqual([
    true,
    false,
  ]);
  expect(read(payload)).toMatchObject({
    building: 'de-7f3k',
    country: 'DE',
    id,
    refusedSince: '2026-11-23T09:00:00.000Z',
    kafkaUntil: '2026-12-23T09:10:00.000Z',
    erased: { 'landing/readings': { objects: 0 } },
  });
});

test('nothing is erased under a legal hold, and it goes on when that is lifted', async () => {
  const spec = { ...buildingSpec, deletionPolicy: 'Delete', legalHold: true };
  const { kube, registry, declare, look, pass, told, jobs } = await taking(spec);
  pass(60 * dayMs);
  expect(await look('de-7f3k')).toEqual({ kind: 'refused', reason: 'LegalHold' });
  expect(told()).toBe('False LegalHold');
  // Its gateway is refused all the same.
  expect(registry.entry('de-7f3k')).toMatchObject({ state: 'offboarded' });
  expect(jobs()).toEqual([]);
  declare('de-7f3k', 'north', { ...spec, legalHold: false });
  pass(60 * dayMs);
  await look('de-7f3k');
  expect(jobs().length).toBe(1);
  expect(kube.seen(buildingKind, de7)).toBeDefined();
});

test('an export comes first when it is asked for', async () => {
  const { look, pass, told, done, jobs, id } = await taking({
    deletionPolicy: 'Delete',
    exportBeforeDelete: true,
  });
  pass(dayMs);
  await look('de-7f3k');
  pass(dayMs);
  await look('de-7f3k');
  expect(told()).toBe('False Exporting');
  expect(jobs()).toEqual([`erase-${id}-export`]);
  await done('export');
  await look('de-7f3k');
  expect(jobs()).toEqual([`erase-${id}-export`, `erase-${id}-erase`]);
});

test('a policy that is changed to Retain lets it go', async () => {
  const { kube, declare, look } = await taking({ deletionPolicy: 'Delete' });
  await look('de-7f3k');
  declare('de-7f3k', 'north', { ...buildingSpec, deletionPolicy: 'Retain' });
  expect(await look('de-7f3k')).toEqual({ kind: 'done' });
  expect(kube.seen(buildingKind, de7)).toBeUndefined();
});

test('a Job that failed is told and made anew', async () => {
  const { kube, look, pass, told, jobs, id } = await taking({ deletionPolicy: 'Delete' });
  await look('de-7f3k');
  pass(dayMs);
  await look('de-7f3k');
  const ref = { name: `erase-${id}-erase`, namespace: cellNamespace };
  const job = kube.seen(jobKind, ref);
  if (job)
    kube.put(jobKind, { ...job, status: { conditions: [{ type: 'Failed', status: 'True' }] } });
  await look('de-7f3k');
  expect(told()).toBe('False EraserFailed');
  expect(jobs()).toEqual([]);
  await look('de-7f3k');
  expect(told()).toBe('False Erasing');
  expect(jobs().length).toBe(1);
});

test('the Job is pinned to the country and runs as the eraser alone', async () => {
  const { kube, look, pass, id } = await taking({ deletionPolicy: 'Delete' });
  await look('de-7f3k');
  pass(dayMs);
  await look('de-7f3k');
  const job = kube.seen(jobKind, { name: `erase-${id}-erase`, namespace: cellNamespace });
  const text = JSON.stringify(job);
  expect(text).toContain('"values":["europe-west3","europe-west10"]');
  expect(job).toMatchObject({
    spec: {
      template: {
        spec: {
          serviceAccountName: 'eraser',
          restartPolicy: 'Never',
          containers: [{ command: expect.arrayContaining(['operators/src/eraser-main.ts']) }],
        },
      },
    },
  });
  expect(text).toContain('kafka-eraser');
  expect(text).toContain('lake-eraser');
  expect(text).not.toMatch(/kafka-admin|lake-writer|lake-admin/);
});
