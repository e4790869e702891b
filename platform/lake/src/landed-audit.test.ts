import { parseCountryCode } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { LandedAudit } from './landed-audit.ts';
import { LandedCountsReader } from './landed-counts.ts';
import { LandedManifests } from './landed-manifests.ts';
import { LandingContent } from './landing-content.ts';
import { LandingZone } from './landing-zone.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { landedAccountFolder, parseAccountPointer } from './model/landed-account.ts';

const country = parseCountryCode('DE');
const stream = 'readings';
const midnightMs = Date.UTC(2026, 10, 23);
const day = { building: 'de-a', fromMs: midnightMs, toMs: midnightMs + 86_400_000 };

/** Lands readings of the minutes before and after midnight, one file each range. */
async function land(
  store: MemoryObjectStore,
  of: { partition: number; first: bigint; count: number },
) {
  const { partition, first, count } = of;
  const content = new LandingContent({ country, stream, partition, first });
  for (let index = 0; index < count; index += 1) {
    const reading = {
      building: index % 3 === 0 ? 'de-b' : 'de-a',
      floor: '1',
      room: 'r101',
      device: 'r101-air',
      client: 'acme',
      type: 'air-quality',
      boot: null,
      seq: null,
      measuredAtMs: midnightMs + (index - 1) * 30_000,
      receivedAtMs: midnightMs,
      timeSource: 'cell',
      values: { co2: 400, open: true },
      units: {},
    };
    content.add({ offset: first + BigInt(2 * index), value: Buffer.from(JSON.stringify(reading)) });
  }
  const zone = new LandingZone({ store, country, stream });
  return zone.complete(await zone.take(content), content);
}

async function landedOf(store: MemoryObjectStore, of = day) {
  const { landed, byMinute } = await new LandedCountsReader(store).read(of);
  return [landed, ...byMinute.values()];
}

test('counts follow what is there: landed, deleted, altered, restored', async () => {
  const store = new MemoryObjectStore();
  const audit = new LandedAudit({ store, partitions: 2 });
  const nothing = await new LandedCountsReader(store).read(day);
  expect(nothing).toEqual({ landed: 0, expired: 0, byMinute: new Map(), verifiedAtMs: null });
  const manifest = await land(store, { partition: 0, first: 0n, count: 6 });
  await land(store, { partition: 1, first: 0n, count: 3 });
  const first = await audit.round(1);
  expect(first).toMatchObject({ found: { intact: 2, missing: 0, altered: 0 }, hasChanged: true });
  // Of de-a: 1, 2, 4, 5 and 1, 2; minute by minute from midnight.
  expect(await landedOf(store)).toEqual([6, 4, 1, 1]);
  expect(await landedOf(store, { ...day, building: 'de-b' })).toEqual([1, 1]);
  expect(await landedOf(store, { ...day, fromMs: midnightMs - 60_000, building: 'de-b' })).toEqual([
    3, 2, 1,
  ]);
  expect(await audit.round(2)).toMatchObject({ hasChanged: false });
  expect((await new LandedCountsReader(store).read(day)).verifiedAtMs).toBe(2);

  const path = manifest.files[0]?.path ?? '';
  const content = (await store.get(path)) ?? Buffer.alloc(0);
  store.harm(path);
  expect(await audit.round(3)).toMatchObject({
    found: { intact: 1, missing: 1, altered: 0 },
    lost: [path],
  });
  expect(await landedOf(store)).toEqual([2, 2]);
  expect(await audit.round(4)).toMatchObject({ lost: [], hasChanged: false });
  store.harm(path, content.toReversed());
  expect((await audit.round(5)).found).toEqual({ intact: 1, missing: 0, altered: 1 });
  expect(await landedOf(store)).toEqual([2, 2]);
  store.harm(path, content);
  expect((await audit.round(6)).found).toEqual({ intact: 2, missing: 0, altered: 0 });
  expect(await landedOf(store)).toEqual([6, 4, 1, 1]);
});

test('auditors that are started anew, or run side by side, count each file once', async () => {
  const store = new MemoryObjectStore();
  const [a, b] = [
    new LandedAudit({ store, partitions: 1 }),
    new LandedAudit({ store, partitions: 1 }),
  ];
  for (let range = 0; range < 5; range += 1) {
    await land(store, { partition: 0, first: BigInt(range) * 5n, count: 3 });
    await Promise.all([a.round(range), b.round(range)]);
    await new LandedAudit({ store, partitions: 1 }).round(range);
    expect((await landedOf(store))[0]).toBe(2 * (range + 1));
  }
});

test('an auditor that comes second does not lead the pointer back', async () => {
  const store = new MemoryObjectStore();
  const [slow, quick] = [
    new LandedAudit({ store, partitions: 1 }),
    new LandedAudit({ store, partitions: 1 }),
  ];
  await land(store, { partition: 0, first: 0n, count: 3 });
  await slow.round(1);
  await land(store, { partition: 0, first: 5n, count: 3 });
  const createOnly = store.createOnly.bind(store);
  store.createOnly = async (key, content) => {
    store.createOnly = createOnly;
    await quick.round(2);
    return createOnly(key, content);
  };
  await slow.round(3);
  const pointer = await store.get(`${landedAccountFolder}latest.json`);
  expect(parseAccountPointer(pointer ?? Buffer.alloc(0))).toMatchObject({
    number: 2,
    verifiedAtMs: 3,
  });
  expect((await landedOf(store))[0]).toBe(4);
});

test('a round is bounded, and a turn over all manifests finds what one round leaves', async () => {
  const store = new MemoryObjectStore();
  const audit = new LandedAudit({ store, partitions: 3, manifestsPerRound: 2 });
  const paths: string[] = [];
  for (let partition = 0; partition < 3; partition += 1)
    for (let range = 0; range < 2; range += 1)
      paths.push(
        ...(await land(store, { partition, first: BigInt(range) * 5n, count: 3 })).files.map(
          (file) => file.path,
        ),
      );
  const landed = [];
  for (let round = 0; round < 3; round += 1) {
    await audit.round(round);
    landed.push((await landedOf(store))[0]);
  }
  expect(landed).toEqual([4, 8, 12]);
  for (const path of paths) store.harm(path);
  for (let round = 0; round < 5; round += 1) await audit.round(round);
  expect(await landedOf(store)).toEqual([0]);
});

test('manifests are followed by name and found by building and time', async () => {
  const store = new MemoryObjectStore();
  await land(store, { partition: 0, first: 0n, count: 2 });
  const manifests = await LandedManifests.open({ store, partitions: 2 });
  expect(manifests.offsets).toEqual(
    new Map([
      [0, 3n],
      [1, 0n],
    ]),
  );
  await land(store, { partition: 0, first: 3n, count: 2 });
  await land(store, { partition: 1, first: 0n, count: 1 });
  await manifests.refresh();
  const found = manifests.files({ ...day, fromMs: midnightMs - 60_000, building: 'de-b' });
  expect(found.map(({ partition, first, last }) => [partition, first, last])).toEqual([
    [0, 0n, 2n],
    [0, 3n, 5n],
    [1, 0n, 0n],
  ]);
  expect(manifests.files({ ...day, fromMs: midnightMs + 1, toMs: midnightMs + 2 })).toEqual([]);
  expect(found[0]?.buildings.map(({ building }) => building)).toEqual(['de-a', 'de-b']);
});
