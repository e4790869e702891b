import { cp, mkdtemp, readFile, readdir, rm, statfs, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StoredRecord } from '../model/record.ts';
import { TestRandom } from '../model/test-random.ts';
import { listSegments } from './files.ts';
import type { Entry, Store } from './store.ts';
import { events, readAll, testStore } from './test-store.ts';

let root = '';
let directory = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gateway-sealed-'));
  directory = join(root, 'store');
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

/** A room's reading, as its device says it; every fifth has a number of the device's own. */
function reading(n: number, random: TestRandom): Entry {
  const device = `r${100 + (n % 20)}-air`;
  const temperature = (20 + 3 * Math.sin(n / 9000) + random.next()).toFixed(2);
  const values = `"values":{"temperature":${temperature},"humidity":${40 + random.below(9)}}`;
  const at = `"at":"${new Date(1_790_000_000_000 + n * 100).toISOString()}"`;
  if (n % 5 !== 4)
    return { device, lane: 'live', reading: { kind: 'own', text: `{${at},${values}}` } };
  const text = `{"boot":"device-run","seq":${n},${at},${values}}`;
  return { device, lane: 'live', reading: { kind: 'passed', text, boot: 'device-run', seq: n } };
}

async function fill(store: Store, count: number): Promise<void> {
  const random = new TestRandom(count);
  for (let n = 0; n < count; n += 50)
    await store.append(Array.from({ length: 50 }, (_, place) => reading(n + place, random)));
}

async function sealedCount(): Promise<number> {
  return (await listSegments(directory)).filter(({ form }) => form === 'sealed').length;
}

async function until(probe: () => Promise<boolean>): Promise<void> {
  while (!(await probe())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Until all that is closed is packed, by the store's own timer. */
async function settled(): Promise<void> {
  await until(async () =>
    (await listSegments(directory)).slice(0, -1).every(({ form }) => form === 'sealed'),
  );
}

const sealing = { segmentBytesMax: 200_000, checkpointEveryMs: 20 };

test('what is closed is packed small, and is read as it was, also after a restart', async () => {
  const before: StoredRecord[] = [];
  {
    await using store = await testStore({ directory, ...sealing });
    await fill(store, 3000);
    before.push(...(await readAll(store)));
    await settled();
    expect(await sealedCount()).toBeGreaterThan(1);
    expect(await readAll(store)).toEqual(before);
    expect(store.bytes / 3000).toBeLessThan(115);
  }
  expect(before).toHaveLength(3000);
  await using store = await testStore({ directory, ...sealing });
  expect(await readAll(store)).toEqual(before);
  store.sentUpTo(0, 3000);
  await store.checkpoint();
  // One may be packed at this moment; what comes of it is removed then.
  await until(async () => (await listSegments(directory)).length === 1);
});

test('a store of version 1 is gone on with: what it had not sent, its run and its numbers', async () => {
  await cp(join(import.meta.dirname, 'fixtures/version-1'), directory, { recursive: true });
  await using store = await testStore({ directory, ...sealing });
  expect(store.boot).toBe('01MCC5RM00EBQ7JM4VP98XBDFJ');
  expect(store.unsent).toEqual([
    { from: 0, to: 3 },
    { from: 5, to: 30 },
  ]);
  const values = (await readAll(store)).map(({ body }): unknown => JSON.parse(body.toString()));
  expect(values.map((one) => Object(one).values.n)).toEqual(
    Array.from({ length: 30 }, (_, n) => n),
  );
  await settled();
  expect(await readAll(store)).toHaveLength(30);
  await store.append([{ device: 'd0', lane: 'live', reading: { kind: 'own', text: '{}' } }]);
  expect((await readAll(store)).at(-1)).toMatchObject({ device: 'd0', seq: 8, index: 30 });
});

interface Ledger {
  readonly names: readonly string[];
  readonly bodies: ReadonlyMap<string, string>;
}

function ledgerOf(records: readonly StoredRecord[]): Ledger {
  const bodies = new Map(records.map((one) => [nameOf(one), one.body.toString()]));
  return { names: [...bodies.keys()], bodies };
}

function nameOf({ device, boot, seq }: { device: string; boot: string; seq: number }): string {
  return `${device} ${boot} ${seq}`;
}

/** What the account says is gone, number by number. */
function goneOf(store: Store): Set<string> {
  return new Set(
    store
      .account(0)
      .dropped.flatMap(({ device, boot, from, to }) =>
        Array.from({ length: to - from + 1 }, (_, place) =>
          nameOf({ device, boot, seq: from + place }),
        ),
      ),
  );
}

/** What is missing is in the account by its number; only a device's own may be beyond reading, and is counted then. */
async function expectAccounted(path: string, ledger: Ledger, hint: string): Promise<number> {
  let unreadable = 0;
  const counting = { ...events, recordsUnreadable: (count: number) => void (unreadable += count) };
  await using store = await testStore({ directory: path, events: counting });
  const read = await readAll(store);
  const gone = goneOf(store);
  const seen = new Set(read.map(nameOf));
  const missing = ledger.names.filter((name) => !seen.has(name));
  const nameless = missing.filter((name) => !gone.has(name));
  const changed = read.filter((one) => ledger.bodies.get(nameOf(one)) !== one.body.toString());
  const invented = read.filter((one) => gone.has(nameOf(one)));
  const ownNameless = nameless.filter((name) => !name.includes('device-run'));
  const faults = [...changed.map(nameOf), ...invented.map(nameOf), ...ownNameless];
  expect(faults, `after ${hint}`).toEqual([]);
  expect(unreadable + gone.size, `after ${hint}`).toBeGreaterThanOrEqual(missing.length);
  return missing.length;
}

test('a bit flipped anywhere in the store is found, costs little, and what it costs is in the account', async () => {
  const seed = Number(process.hrtime.bigint() % 100_000n);
  const random = new TestRandom(seed);
  let ledger: Ledger | undefined;
  {
    await using store = await testStore({ directory, ...sealing });
    await fill(store, 2500);
    await settled();
    ledger = ledgerOf(await readAll(store));
  }
  const files = (await readdir(directory)).filter((name) => name !== 'reserve').toSorted();
  expect(files.filter((name) => name.endsWith('.sealed')).length).toBeGreaterThan(1);
  let flips = 0;
  let costly = 0;
  for (const name of files) {
    const original = await readFile(join(directory, name));
    const every = Math.ceil((original.length * 8) / 10);
    for (let bit = random.below(every); bit < original.length * 8; bit += every) {
      const copy = join(root, `copy-${flips}`);
      await cp(directory, copy, { recursive: true });
      const bytes = Buffer.from(original);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await writeFile(join(copy, name), bytes);
      const lost = await expectAccounted(copy, ledger, `seed ${seed}, ${name}, bit ${bit}`);
      // A block at most, of the smallest readings.
      expect(lost, `seed ${seed}, ${name}, bit ${bit}`).toBeLessThan(600);
      costly += lost > 0 ? 1 : 0;
      flips += 1;
      await rm(copy, { recursive: true });
    }
  }
  expect(flips).toBeGreaterThan(30);
  expect(costly).toBeGreaterThan(6);
}, 60_000);

test('only when told so, what is too old is dropped, oldest first, and stands in the account', async () => {
  const nowMs = Date.now();
  await using store = await testStore({ directory, segmentBytesMax: 3000, now: () => nowMs });
  await fill(store, 100);
  const oldest = (await listSegments(directory)).slice(0, 2);
  const longAgo = new Date(nowMs - 40 * 86_400_000);
  for (const { path } of oldest) await utimes(path, longAgo, longAgo);
  const copy = join(root, 'copy');
  await cp(directory, copy, { recursive: true, preserveTimestamps: true });
  const dropped = async (ageMaxMs: number | undefined) => {
    await using aged = await testStore({ directory: copy, ageMaxMs, checkpointEveryMs: 10 });
    if (ageMaxMs !== undefined) await until(async () => aged.account(0).dropped.length > 0);
    else await new Promise((resolve) => setTimeout(resolve, 100));
    const left = new Set((await readAll(aged)).map(nameOf));
    return { left: left.size, told: aged.account(0).dropped };
  };
  expect((await dropped(undefined)).left).toBe(100);
  const after = await dropped(30 * 86_400_000);
  expect(after.left).toBeLessThan(100);
  expect(new Set(after.told.map(({ reason }) => reason))).toEqual(new Set(['too-old']));
  const gone = after.told.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  expect(gone + after.left).toBeGreaterThanOrEqual(100);
});

test('a disk that others fill refuses devices before it is full', async () => {
  const { bavail, bsize } = await statfs(root);
  await using store = await testStore({ directory, freeBytesMin: bavail * bsize * 2 });
  const append = store.append([reading(0, new TestRandom(1))]);
  await expect(append).rejects.toMatchObject({ code: 'STORE_FULL' });
  expect(store.next).toBe(0);
});
