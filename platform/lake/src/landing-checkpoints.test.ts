import { parseCountryCode } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { checkpointedTo, listCheckpoints } from './checkpoint-files.ts';
import { keysBelow } from './erasure/erasure-run.ts';
import { LandedManifests } from './landed-manifests.ts';
import { LandingCheckpoints } from './landing-checkpoints.ts';
import { LandingContent } from './landing-content.ts';
import { LandingZone } from './landing-zone.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { chainOf } from './model/checkpoint-key.ts';

const country = parseCountryCode('DE');
const stream = 'readings';
const startMs = Date.UTC(2026, 0, 1);
const hourMs = 3_600_000;
const folder = { stream, partition: 0, erasures: 0 } as const;
const small = { stream, partitions: 1, manifestsEach: 4, gathered: 3 } as const;
const always = { fromMs: 0, toMs: Infinity };

/** A range of two readings, an hour after the one before; every third ends in an hour of its own. */
async function land(store: MemoryObjectStore, from: number, count: number): Promise<void> {
  const zone = new LandingZone({ store, country, stream });
  for (let range = from; range < from + count; range += 1) {
    const first = BigInt(range * 2);
    const content = new LandingContent({ country, stream, partition: 0, first });
    for (let index = 0; index < 2; index += 1) {
      const atMs = startMs + range * hourMs + (range % 3 === 0 ? index * hourMs : index);
      const reading = {
        building: `de-${(range + index) % 5}`,
        floor: '1',
        room: 'r101',
        device: 'r101-air',
        client: 'acme',
        type: 'air-quality',
        boot: null,
        seq: null,
        measuredAtMs: atMs,
        receivedAtMs: atMs,
        timeSource: 'cell',
        values: { co2: 400 },
        units: {},
      };
      content.add({ offset: first + BigInt(index), value: Buffer.from(JSON.stringify(reading)) });
    }
    await zone.complete(await zone.take(content), content);
  }
}

async function rounds(store: MemoryObjectStore, perRoundMax = 2): Promise<void> {
  const checkpoints = new LandingCheckpoints({ store, ...small, perRoundMax });
  for (let isBehind = true; isBehind;) ({ isBehind } = await checkpoints.round());
}

async function keysOf(store: MemoryObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of keysBelow(store, 'landing/readings/v1/_checkpoints/')) keys.push(key);
  return keys;
}

/** All that a reader knows. */
async function known(store: MemoryObjectStore) {
  const landed = await LandedManifests.open({ store, partitions: 1 });
  const buildings = ['de-0', 'de-1', 'de-2', 'de-3', 'de-4'];
  return [landed.offsets, buildings.map((building) => landed.files({ building, ...always }))];
}

/** Those of the chain that readers follow. */
async function checkpointedKeys(store: MemoryObjectStore): Promise<string[]> {
  return chainOf(await listCheckpoints(store, folder), 0n).map(({ key }) => key);
}

/** As a reader and a lander that know of no checkpoints. */
async function withoutCheckpoints(store: MemoryObjectStore): Promise<MemoryObjectStore> {
  const copy = new MemoryObjectStore();
  for await (const key of keysBelow(store, 'landing/'))
    if (!key.includes('/_checkpoints/'))
      await copy.createOnly(key, (await store.get(key)) ?? Buffer.alloc(0));
  return copy;
}

/** Objects read by `work`, and names that lists gave it. */
async function requestsOf(store: MemoryObjectStore, work: () => Promise<unknown>) {
  const count = { reads: 0, names: 0 };
  const [get, list] = [store.get.bind(store), store.list.bind(store)];
  store.get = (key) => ((count.reads += 1), get(key));
  store.list = async (prefix, page) => {
    const keys = await list(prefix, page);
    count.names += keys.length;
    return keys;
  };
  await work();
  Object.assign(store, { get, list });
  return count;
}

test('whoever starts reads checkpoints and what came after them, and knows the same', async () => {
  const store = new MemoryObjectStore();
  await land(store, 0, 43);
  const plain = await known(store);
  expect((await requestsOf(store, () => known(store))).reads).toBeGreaterThan(43);
  await rounds(store);
  // Three gathered ones of 12, one of 4, three manifests behind.
  const chain = (await listCheckpoints(store, folder)).map(({ manifests }) => manifests);
  expect(chain.toSorted((a, b) => a - b)).toEqual([...Array(10).fill(4), 12, 12, 12]);
  expect(await known(store)).toEqual(plain);
  const { reads } = await requestsOf(store, () => known(store));
  expect(reads).toBeLessThanOrEqual(3 + 1 + 3 + 2);
  await rounds(store);
  expect(await keysOf(store)).toHaveLength(13);

  // A torn one is made up for by smaller ones, and without these by its own manifests alone.
  const [, torn = ''] = await checkpointedKeys(store);
  store.harm(torn, Buffer.from('torn'));
  expect((await requestsOf(store, () => known(store))).reads).toBeLessThanOrEqual(reads + 3);
  for (const { key, first, manifests } of await listCheckpoints(store, folder))
    if (manifests === 4 && first >= 24n && first < 48n) store.harm(key);
  expect((await requestsOf(store, () => known(store))).reads).toBeLessThanOrEqual(reads + 12);
  expect(await known(store)).toEqual(plain);
});

test('a lander finds its place behind them, and plans that were left open there', async () => {
  const store = new MemoryObjectStore();
  const zone = () => new LandingZone({ store, country, stream });
  await land(store, 0, 24);
  await rounds(store);
  expect(await zone().open(0)).toEqual({ next: 48n, unfinished: [] });
  await land(store, 24, 1);
  const content = new LandingContent({ country, stream, partition: 0, first: 50n });
  content.add({ offset: 50n, value: null });
  const plan = await zone().take(content);
  expect(await zone().open(0)).toEqual({ next: 51n, unfinished: [plan] });
  // The pointer of erasures, the last checkpoint, two plans; eight checkpoints, two plans, one manifest.
  const opened = () => requestsOf(store, () => zone().open(0));
  expect(await opened()).toEqual({ reads: 4, names: 8 + 2 + 1 });
  const newest = (await checkpointedKeys(store)).at(-1) ?? '';
  store.harm(newest, Buffer.from('torn'));
  // What comes before the torn one still counts.
  expect((await opened()).names).toBeLessThan(8 + 2 + 1 + 2 * 13);
  const { offsets } = await LandedManifests.open({ store, partitions: 1 });
  expect(offsets).toEqual(new Map([[0, 50n]]));
});

test.each([1, 2, 3, 4, 5, 6])(
  'seed %i: torn, missing and foreign checkpoints cost requests and nothing else',
  async (seed) => {
    let state = seed;
    const random = (below: number): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const store = new MemoryObjectStore();
    let ranges = 0;
    for (let step = 0; step < 12; step += 1) {
      const count = random(15);
      await land(store, ranges, count);
      ranges += count;
      if (random(3) > 0) await rounds(store, 1 + random(3));
      for (const key of await keysOf(store)) {
        const content = (await store.get(key)) ?? Buffer.alloc(0);
        const harm = random(12);
        if (harm === 0) store.harm(key);
        if (harm === 1) store.harm(key, content.subarray(0, random(content.length)));
        if (harm === 2) store.harm(key, Buffer.from('{}'));
        if (harm === 3) store.harm(key.replace(/-(\d+)-/, '-$1-1'), content);
      }
      const plain = await withoutCheckpoints(store);
      expect(await known(store)).toEqual(await known(plain));
      const [here, there] = [store, plain].map(
        (one) => new LandingZone({ store: one, country, stream }),
      );
      expect(await here?.open(0)).toEqual(await there?.open(0));
    }
  },
);

test('killed before or after any write, it goes on', async () => {
  for (const isDone of [false, true]) {
    const store = new MemoryObjectStore();
    await land(store, 0, 60);
    const plain = await known(store);
    const createOnly = store.createOnly.bind(store);
    let isEnded = false;
    for (let survived = 0; !isEnded; survived += 1) {
      let left = survived % 3;
      store.createOnly = async (key, content) => {
        if (left > 0) {
          left -= 1;
          return createOnly(key, content);
        }
        if (isDone) await createOnly(key, content);
        throw new Error('killed');
      };
      isEnded = await rounds(store).then(
        () => true,
        () => false,
      );
      expect(await known(store)).toEqual(plain);
    }
    expect((await checkpointedTo(store, folder))?.last).toBe(119n);
  }
});

test('two at once write the same', async () => {
  const store = new MemoryObjectStore();
  await land(store, 0, 50);
  await Promise.all([rounds(store), rounds(store)]);
  expect(await keysOf(store)).toHaveLength(12 + 4);
});

test('checkpoints of files whose retention has ended are passed over', async () => {
  const store = new MemoryObjectStore();
  await land(store, 0, 48);
  await rounds(store);
  const pointer = Buffer.from(JSON.stringify({ days: 1, expired: {} }));
  await store.replacePointer('landing/readings/v1/_retention/latest.json', pointer);
  const now = () => startMs + 24 * hourMs + 30 * hourMs;
  const open = () => LandedManifests.open({ store, partitions: 1, now });
  expect((await requestsOf(store, open)).reads).toBe(2 + 2);
  const landed = await open();
  expect(landed.offsets).toEqual(new Map([[0, 96n]]));
  expect(landed.files({ building: 'de-1', ...always })[0]?.receivedToMs).toBeGreaterThan(
    startMs + 30 * hourMs,
  );
});
