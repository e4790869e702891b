import { expect, test } from 'vitest';
import { runErasurePass } from './erasure/erasure.ts';
import { erasureOf } from './erasure/test-zone.ts';
import { LandedAudit } from './landed-audit.ts';
import { LandedManifests } from './landed-manifests.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { parseAccountSnapshot } from './model/landed-account.ts';
import { parseRetention, retentionKey } from './model/retention.ts';
import { afterDays, counts, dayMs, landDays, period, readingsEach, startMs } from './test-days.ts';

test('what the retention takes is expired, neither landed nor lost, whether it is gone already or not', async () => {
  const store = new MemoryObjectStore();
  const paths = await landDays(store, 10);
  const audit = new LandedAudit({ store, partitions: 1, retentionDays: 20 });
  await audit.round(afterDays(10));
  expect(await counts(store)).toEqual([100, 0]);
  // Files of days 0 to 3 are over; the store has taken two of them so far.
  for (const path of paths.slice(0, 2)) store.harm(path);
  const report = await audit.round(afterDays(24));
  expect(report).toMatchObject({ expired: 4, lost: [], found: { missing: 0, altered: 0 } });
  expect(await counts(store)).toEqual([60, 40]);
  for (const path of paths.slice(2, 4)) store.harm(path);
  expect(await audit.round(afterDays(24))).toMatchObject({ hasChanged: false, lost: [] });
  expect(await counts(store)).toEqual([60, 40]);
  expect(await counts(store)).toEqual([60, 40]);
});

test('a file that goes before its time is lost, and stays lost when its time has come', async () => {
  const store = new MemoryObjectStore();
  const paths = await landDays(store, 10);
  const audit = new LandedAudit({ store, partitions: 1, retentionDays: 20 });
  await audit.round(afterDays(10));
  const early = paths[3] ?? '';
  store.harm(early);
  expect((await audit.round(afterDays(11))).lost).toEqual([early]);
  expect(await counts(store)).toEqual([90, 0]);
  for (const path of paths) store.harm(path);
  expect((await audit.round(afterDays(31))).lost).toEqual([]);
  // Ten of the hundred are in neither figure.
  expect(await counts(store)).toEqual([0, 90]);
});

test('a file that is over before the others of its range expires before them, once', async () => {
  const store = new MemoryObjectStore();
  const paths = await landDays(store, 1, { everyMs: 3_600_000 });
  await landDays(store, 1, { partition: 1 });
  expect(paths).toHaveLength(readingsEach);
  const audit = new LandedAudit({ store, partitions: 2, retentionDays: 20 });
  await audit.round(afterDays(1));
  for (const path of paths.slice(0, 3)) store.harm(path);
  const afterHours = startMs + 20 * dayMs + 3 * 3_600_000;
  await audit.round(afterHours);
  for (let round = 0; round < 3; round += 1)
    expect(await audit.round(afterHours)).toMatchObject({ lost: [], hasChanged: false });
  expect(await counts(store)).toEqual([6, 4 + readingsEach]);
  expect(await audit.round(afterDays(22))).toMatchObject({ lost: [], expired: 6 });
  expect(await counts(store)).toEqual([0, 2 * readingsEach]);
  const newest = (await store.list('serving/account/landed/v1/snapshots/', { limit: 99 })).at(-1);
  const snapshot = parseAccountSnapshot((await store.get(newest ?? '')) ?? Buffer.alloc(0));
  expect(snapshot).toMatchObject({ expired: { 0: '10', 1: '10' }, expiredEarly: [], missing: [] });
});

test('a building that is erased from what has expired leaves the figures of the others', async () => {
  const store = new MemoryObjectStore();
  await landDays(store, 2, { everyMs: 1_800_000, buildings: ['de-a', 'de-b'] });
  const audit = new LandedAudit({ store, partitions: 1, retentionDays: 20 });
  await audit.round(afterDays(2));
  const afterHours = startMs + 20 * dayMs + 2 * 3_600_000 - 1;
  await audit.round(afterHours);
  expect(await counts(store)).toEqual([8, 2]);
  // What is over is still there, and is rewritten without the other building.
  const run = { ...erasureOf(store, 'de-b'), partition: 0 };
  await runErasurePass(run, 'erase', { graceMs: 0, now: () => afterDays(20) });
  for (let round = 0; round < 3; round += 1) {
    await audit.round(afterHours);
    await new LandedAudit({ store, partitions: 1, retentionDays: 20 }).round(afterHours);
    expect(await counts(store)).toEqual([8, 2]);
  }
  await audit.round(afterDays(23));
  expect(await counts(store)).toEqual([0, 10]);
});

test('an audit that begins when files are gone already counts them as expired', async () => {
  const store = new MemoryObjectStore();
  const paths = await landDays(store, 10);
  for (const path of paths.slice(0, 6)) store.harm(path);
  const audit = new LandedAudit({ store, partitions: 1, retentionDays: 20, manifestsPerRound: 4 });
  const lost: string[] = [];
  for (let round = 0; round < 6; round += 1) lost.push(...(await audit.round(afterDays(26))).lost);
  expect(lost).toEqual([]);
  expect(await counts(store)).toEqual([40, 60]);
});

test('without a retention whatever is gone is lost', async () => {
  const store = new MemoryObjectStore();
  const paths = await landDays(store, 3);
  const audit = new LandedAudit({ store, partitions: 1 });
  await audit.round(afterDays(3));
  for (const path of paths) store.harm(path);
  expect((await audit.round(afterDays(4_000))).lost).toHaveLength(3);
  expect(await counts(store)).toEqual([0, 0]);
  expect(await store.get(retentionKey('readings'))).toBe(undefined);
});

test('the figures can be told from manifests alone, auditors are started anew in between', async () => {
  const store = new MemoryObjectStore();
  await landDays(store, 10);
  await landDays(store, 10, { partition: 1 });
  for (let day = 10; day < 32; day += 1) {
    const audit = new LandedAudit({ store, partitions: 2, retentionDays: 20 });
    await audit.round(afterDays(day));
    const over = Math.min(10, Math.max(0, day - 20));
    expect(await counts(store)).toEqual([200 - over * 20, over * 20]);
  }
});

test('readers name no file whose retention has ended, also after it was made longer', async () => {
  const store = new MemoryObjectStore();
  const paths = await landDays(store, 10);
  let nowMs = afterDays(10);
  const open = () => LandedManifests.open({ store, partitions: 1, now: () => nowMs });
  const manifests = await open();
  const named = () => manifests.files(period).map(({ path }) => path);
  expect(named()).toEqual(paths);
  expect(manifests.keptSinceMs).toBe(-Infinity);
  await new LandedAudit({ store, partitions: 1, retentionDays: 20 }).round(nowMs);
  await manifests.refresh();
  expect(named()).toEqual(paths);
  nowMs = afterDays(24);
  expect(named()).toEqual(paths.slice(4));
  expect(manifests.keptSinceMs).toBe(nowMs - 20 * dayMs);
  await manifests.refresh();
  expect([...manifests.paths()]).toEqual(paths.slice(4));
  await new LandedAudit({ store, partitions: 1, retentionDays: 20 }).round(nowMs);
  await new LandedAudit({ store, partitions: 1, retentionDays: 400 }).round(nowMs);
  expect(parseRetention(await store.get(retentionKey('readings')))).toEqual({
    days: 400,
    expired: { 0: '40' },
  });
  expect((await open()).files(period).map(({ path }) => path)).toEqual(paths.slice(4));
});

test('a round that the store ends is done again, and counts nothing twice', async () => {
  const store = new MemoryObjectStore();
  await landDays(store, 2);
  const audit = new LandedAudit({ store, partitions: 1 });
  await audit.round(1);
  await landDays(store, 5);
  const createOnly = store.createOnly.bind(store);
  let left = 3;
  store.createOnly = async (key, content) => {
    if (!key.includes('/snapshots/') || left === 0) return createOnly(key, content);
    left -= 1;
    throw new Error('the store does not answer');
  };
  for (let round = 0; round < 3; round += 1)
    await expect(audit.round(2)).rejects.toThrow('does not answer');
  await audit.round(3);
  expect(await counts(store)).toEqual([50, 0]);
});
