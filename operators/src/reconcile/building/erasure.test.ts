import { verify, X509Certificate } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseBuildingId, parseCountryCode } from '@domicile/core/identities.ts';
import { runErasurePass } from '@domicile/lake/erasure/erasure.ts';
import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { erasureCertificateSchema } from '../../model/building/erasure-certificate.ts';
import { buildingKind, cellKind, configMapKind, jobKind, secretKind } from '../../model/kinds.ts';
import type { ErasureSettings } from './erasure.ts';
import { createBuildingReconciler } from './reconciler.ts';
import {
  buildingSpec,
  cellNamespace,
  cellSpec,
  operatorNamespace,
  testHouse,
} from './test-house.ts';
import { conditionsOf } from './test-kube.ts';

const de7 = { name: 'de-7f3k', namespace: 'north' };
const dayMs = 86_400_000;
const authority = await createAuthority('test-authority');

const quick = { settleMs: 600_000, kafkaRetentionMs: 30 * dayMs };

/** A house whose building is deleted, with a landing bucket in memory. */
async function taking(spec: object, more: Partial<ErasureSettings> = quick) {
  const store = new MemoryObjectStore();
  const away: { error?: PlatformError } = {};
  const erasure = {
    ...more,
    openArchive: async () => {
      if (away.error) throw away.error;
      return store;
    },
  };
  const house = testHouse({ erasure });
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
      { graceMs: 0, now: ports.now, softDeleteDays: 7 },
    );
  const jobs = () => kube.all(jobKind).map(({ metadata }) => metadata.name);
  return { ...house, store, away, erasure, told, done, jobs, id };
}

test('Delete: refused, settled, erased, waited for, verified, certified, gone', async () => {
  const { kube, registry, look, pass, told, done, jobs, store, id } = await taking({
    deletionPolicy: 'Delete',
  });
  expect(await look('de-7f3k')).toEqual({ kind: 'again', afterMs: 600_000 });
  expect(registry.entry('de-7f3k')).toMatchObject({ state: 'offboarded' });
  expect(told()).toBe('False Settling');
  expect(JSON.stringify(kube.seen(buildingKind, de7))).toContain(
    'what is declared meanwhile goes with it: declare it again (helm upgrade) when it is gone. Its gateway is refused',
  );
  expect(kube.seen(buildingKind, de7)?.['status']).toMatchObject({
    erasure: { phase: 'Refused', startedAt: '2026-11-23T09:00:00.000Z' },
  });
  expect(jobs()).toEqual([]);

  expect(JSON.parse(registry.entry('de-7f3k')?.value ?? '')).not.toHaveProperty('erased');

  pass(600_000);
  expect(await look('de-7f3k')).toMatchObject({ kind: 'again' });
  expect(told()).toBe('False Erasing');
  // Tasks drop what they keep of it; it is refused since before.
  expect(JSON.parse(registry.entry('de-7f3k')?.value ?? '')).toMatchObject({
    state: 'offboarded',
    erased: true,
  });
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

test('by the defaults it is over after ten minutes, thirty-seven days and a second look', async () => {
  const { kube, look, pass, done, told, store, id } = await taking(
    { deletionPolicy: 'Delete' },
    {},
  );
  const erasure = () =>
    z.object({ erasure: z.unknown() }).parse(kube.seen(buildingKind, de7)?.['status']).erasure;
  await look('de-7f3k');
  expect(erasure()).toMatchObject({ phase: 'Refused', until: '2026-12-30T09:10:00.000Z' });
  pass(600_000);
  await look('de-7f3k');
  expect(erasure()).toMatchObject({ phase: 'Erasing' });
  await done('erase');
  await look('de-7f3k');
  expect(erasure()).toMatchObject({ phase: 'Waiting', until: '2026-12-30T09:10:00.000Z' });
  pass(37 * dayMs - 1000);
  await look('de-7f3k');
  expect(erasure()).toMatchObject({ phase: 'Waiting' });
  pass(1000);
  await look('de-7f3k');
  expect(told()).toBe('False Verifying');
  await done('verify');
  await look('de-7f3k');
  expect(kube.seen(buildingKind, de7)).toBeUndefined();
  const [, payload = ''] = String(await store.get(`erasures/de-7f3k/${id}/certificate.jws`)).split(
    '.',
  );
  expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
    kafkaUntil: '2026-12-30T09:10:00.000Z',
    // Of the cell: seven days after the first pass.
    softDeleteUntil: '2026-11-30T09:10:00.000Z',
  });
});

test('a soft deletion that is shortened meanwhile certifies nothing sooner', async () => {
  const { kube, look, pass, done, told } = await taking(
    { deletionPolicy: 'Delete' },
    { settleMs: 0, kafkaRetentionMs: 0 },
  );
  await look('de-7f3k');
  await done('erase');
  const cell = kube.seen(cellKind, { name: 'de' });
  const { lake, ...spec } = cellSpec;
  if (cell)
    kube.put(cellKind, { ...cell, spec: { ...spec, lake: { ...lake, softDeleteDays: 0 } } });
  pass(7 * dayMs - 1000);
  await look('de-7f3k');
  expect(kube.seen(buildingKind, de7)?.['status']).toMatchObject({
    erasure: { phase: 'Waiting', until: '2026-11-30T09:00:00.000Z' },
  });
  pass(1000);
  await look('de-7f3k');
  expect(told()).toBe('False Verifying');
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

test('a policy that is changed to Retain lets it go, and ends a pass that runs', async () => {
  const { kube, declare, look, pass, jobs } = await taking({ deletionPolicy: 'Delete' });
  await look('de-7f3k');
  pass(dayMs);
  await look('de-7f3k');
  expect(jobs().length).toBe(1);
  declare('de-7f3k', 'north', { ...buildingSpec, deletionPolicy: 'Retain' });
  expect(await look('de-7f3k')).toEqual({ kind: 'done' });
  expect(jobs()).toEqual([]);
  expect(kube.seen(buildingKind, de7)).toBeUndefined();
});

test('a hold that comes while a pass runs stops it, and it goes on when that is lifted', async () => {
  const spec = { ...buildingSpec, deletionPolicy: 'Delete' };
  const { declare, look, pass, told, jobs, id } = await taking(spec);
  await look('de-7f3k');
  pass(dayMs);
  await look('de-7f3k');
  expect(jobs()).toEqual([`erase-${id}-erase`]);
  declare('de-7f3k', 'north', { ...spec, legalHold: true });
  expect(await look('de-7f3k')).toEqual({ kind: 'refused', reason: 'LegalHold' });
  expect(jobs()).toEqual([]);
  declare('de-7f3k', 'north', spec);
  await look('de-7f3k');
  expect(told()).toBe('False Erasing');
  expect(jobs()).toEqual([`erase-${id}-erase`]);
});

test('a hold that comes while the store is asked is one already: nothing is erased of it', async () => {
  const spec = { ...buildingSpec, deletionPolicy: 'Delete' };
  const { registry, store, declare, look, pass, told, jobs } = await taking(spec);
  await look('de-7f3k');
  pass(dayMs);
  const get = store.get.bind(store);
  store.get = (key) => {
    store.get = get;
    declare('de-7f3k', 'north', { ...spec, legalHold: true });
    return get(key);
  };
  await expect(look('de-7f3k')).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(jobs()).toEqual([]);
  // Whoever keeps something of it keeps it.
  expect(JSON.parse(registry.entry('de-7f3k')?.value ?? '')).not.toHaveProperty('erased');
  expect(await look('de-7f3k')).toEqual({ kind: 'refused', reason: 'LegalHold' });
  expect(told()).toBe('False LegalHold');
});

test('a store that is away is told, how far it had come stays told, and it goes on by itself', async () => {
  const { kube, away, look, pass, told, jobs, id } = await taking({
    deletionPolicy: 'Delete',
    exportBeforeDelete: true,
  });
  await look('de-7f3k');
  pass(dayMs);
  away.error = new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot read: the store does not answer');
  expect(await look('de-7f3k')).toMatchObject({ kind: 'failed' });
  expect(told()).toBe('Unknown CannotTakeOut');
  const seen = kube.seen(buildingKind, de7);
  expect(JSON.stringify(seen?.['status'])).toContain(
    'the store does not answer. Its gateway is refused',
  );
  expect(seen?.['status']).toMatchObject({
    cell: 'DE',
    erasure: { phase: 'Refused', startedAt: '2026-11-23T09:00:00.000Z' },
  });
  expect(conditionsOf(seen)).toMatchObject({
    ResidencyVerified: 'True InCountry',
    Registered: 'False Offboarded',
    Enrolled: 'False Offboarded',
  });
  expect(jobs()).toEqual([]);
  delete away.error;
  await look('de-7f3k');
  expect(told()).toBe('False Exporting');
  expect(jobs()).toEqual([`erase-${id}-export`]);
});

/** The whole way, with an operator that dies at that write and another that goes on; what is left of it at the end. */
async function wayWithDeathAt(write: number) {
  const { kube, registry, erasure, ports, pass, done, id, store } = await taking({
    deletionPolicy: 'Delete',
    exportBeforeDelete: true,
  });
  let left = write;
  const mayDie = () => {
    left -= 1;
    if (left === 0) throw new Error('killed');
  };
  kube.refuse = mayDie;
  const publish = registry.publish.bind(registry);
  registry.publish = async (request) => {
    mayDie();
    return publish(request);
  };
  const operator = () =>
    createBuildingReconciler(ports, { openRegistry: async () => registry, erasure });
  let one = operator();
  const ran: string[] = [];
  for (let looks = 0; kube.seen(buildingKind, de7) && looks < 60; looks += 1) {
    const outcome = await one
      .reconcile(de7, kube.seen(buildingKind, de7), AbortSignal.timeout(10_000))
      .catch((error: unknown) => ({ kind: 'failed', error }) as const);
    if (outcome.kind === 'failed') one = operator();
    for (const { metadata } of kube.all(jobKind)) {
      const name = (['export', 'erase', 'verify'] as const).find((which) =>
        metadata.name.endsWith(`-${which}`),
      );
      if (name === undefined || ran.includes(name)) continue;
      ran.push(name);
      await done(name);
    }
    pass(dayMs);
  }
  const name = `erasure-de-7f3k-${id.slice(0, 8)}`;
  const kept = kube.seen(configMapKind, { name, namespace: operatorNamespace })?.['data'];
  const json = z.object({ 'certificate.json': z.string() }).parse(kept)['certificate.json'];
  const { erased, exported, building, refusedSince } = erasureCertificateSchema.parse(
    JSON.parse(json),
  );
  return {
    isReached: left <= 0,
    ran,
    isGone: kube.seen(buildingKind, de7) === undefined,
    entry: registry.entry('de-7f3k'),
    secrets: kube.all(secretKind).map(({ metadata }) => metadata.name),
    certificate: { erased, exported, building, refusedSince },
    isSigned: (await store.get(`erasures/de-7f3k/${id}/certificate.jws`)) !== undefined,
  };
}

test('an operator that is killed at any write leaves the same as one that is not', async () => {
  const { isReached, ...whole } = await wayWithDeathAt(Infinity);
  expect(whole).toMatchObject({
    ran: ['export', 'erase', 'verify'],
    isGone: true,
    isSigned: true,
    entry: undefined,
    certificate: { refusedSince: '2026-11-23T09:00:00.000Z' },
  });
  expect(isReached).toBe(false);
  let write = 1;
  for (let isKilled = true; isKilled; write += 1) {
    const { isReached: isHere, ...resumed } = await wayWithDeathAt(write);
    // Who is killed before the gateway is refused leaves that to the next one, a day later.
    const { refusedSince } = write === 1 ? resumed.certificate : whole.certificate;
    const certificate = { ...whole.certificate, refusedSince };
    expect({ write, ...resumed }).toEqual({ write, ...whole, certificate });
    isKilled = isHere;
  }
  expect(write).toBeGreaterThan(12);
}, 60_000);

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
