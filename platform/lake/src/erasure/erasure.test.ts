import { expect, test } from 'vitest';
import { LandedAudit } from '../landed-audit.ts';
import { LandedCountsReader } from '../landed-counts.ts';
import { LandedManifests, readManifest } from '../landed-manifests.ts';
import { LandingCheckpoints } from '../landing-checkpoints.ts';
import { MemoryObjectStore } from '../memory-object-store.ts';
import { erasurePointerKey, parseErasurePointer } from '../model/erasure-pointer.ts';
import { parquetOfBytes } from '../parquet/read-parquet.ts';
import { SummarySnapshots } from '../serving-summaries.ts';
import { SummaryWriter } from '../summary-writer.ts';
import { landDays } from '../test-days.ts';
import { keysBelow, speaksOf } from './erasure-run.ts';
import { readErasureReport, runErasurePass, sumOf } from './erasure.ts';
import { eraseLanding } from './landing-erasure.ts';
import { erasureOf, land, midnightMs, partition, quarantine, summarise } from './test-zone.ts';

const [gone, kept, other] = ['de-gone', 'de-kept', 'de-other'];
const dayMs = 86_400_000;
let nowMs = midnightMs + 30 * dayMs;
const options = { graceMs: 0, now: () => (nowMs += 1000) };
const day = { fromMs: midnightMs - dayMs, toMs: midnightMs + dayMs };

/** A lake of three buildings: files of all of them, of two, of the one that goes alone, and of none of it. */
async function lake(minutes = 60) {
  const store = new MemoryObjectStore();
  let first = await land(store, { first: 0n, buildings: [gone, kept, other], count: 12 });
  first = await land(store, { first, buildings: [gone], count: 4 });
  first = await land(store, { first, buildings: [kept, other], count: 5 });
  await land(store, { first, buildings: [gone, kept], count: 6 });
  await quarantine(store, { first: 0n, buildings: [gone, kept, gone] });
  const writer = await SummaryWriter.open(store);
  for (let minute = 0; minute < minutes; minute += 20)
    await summarise(writer, {
      buildings: minute === 40 ? [gone] : [gone, kept],
      fromMinute: minute,
      toMinute: minute + 20,
    });
  const audit = new LandedAudit({ store, partitions: 4 });
  await audit.round(1);
  await copyManifests(store);
  return { store, audit, writer };
}

/** As the lander does; the copies name the buildings too. */
async function copyManifests(store: MemoryObjectStore): Promise<void> {
  const few = { store, partitions: 4, manifestsEach: 1, gathered: 2 };
  for (const stream of ['readings', 'quarantine'] as const)
    await new LandingCheckpoints({ ...few, stream }).round();
}

/** A copy to be harmed. */
async function copyOf(store: MemoryObjectStore): Promise<MemoryObjectStore> {
  const copy = new MemoryObjectStore();
  for (const folder of ['landing/', 'serving/'])
    for await (const key of keysBelow(store, folder))
      await copy.createOnly(key, (await store.get(key)) ?? Buffer.alloc(0));
  return copy;
}

/** Rows of the landing zone as an outsider reads it, by a glob: `building offset metric`. */
async function globbed(store: MemoryObjectStore, stream = 'readings'): Promise<string[]> {
  const rows: string[] = [];
  for await (const key of keysBelow(store, `landing/${stream}/v1/`)) {
    if (!key.endsWith('.parquet')) continue;
    const file = await parquetOfBytes((await store.get(key)) ?? Buffer.alloc(0));
    const names = ['building', 'kafka_offset', stream === 'readings' ? 'metric' : 'reason'];
    const values = await file.read(names);
    for (let at = 0; at < file.rows; at += 1)
      rows.push(names.map((name) => String(values.get(name)?.[at])).join(' '));
  }
  return rows.toSorted();
}

/** What is announced is there as announced; gives its rows. */
async function announced(store: MemoryObjectStore): Promise<number> {
  let rows = 0;
  for (let first = 0n; ;) {
    const manifest = await readManifest(store, { stream: 'readings', partition, first });
    if (!manifest) return rows;
    for (const file of manifest.files) {
      const content = await store.get(file.path);
      expect(content?.length).toBe(file.bytes);
      const open = await parquetOfBytes(content ?? Buffer.alloc(0));
      expect(open.rows).toBe(file.rows);
      expect(file.buildings.reduce((sum, one) => sum + one.rows, 0)).toBe(file.rows);
      rows += file.rows;
    }
    first = manifest.last + 1n;
  }
}

async function mentions(store: MemoryObjectStore, building: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ['landing/', 'serving/'])
    for await (const key of keysBelow(store, folder))
      if (await speaksOf(store, key, building)) found.push(key);
  return found;
}

async function landedOf(store: MemoryObjectStore, building: string): Promise<number> {
  return (await new LandedCountsReader(store).read({ building, ...day })).landed;
}

/** Its summaries at every interval, as an API gives them. */
async function summariesOf(store: MemoryObjectStore, building: string): Promise<unknown> {
  const { current } = await SummarySnapshots.open(store);
  const answers = [];
  for (const interval of ['PT1M', 'PT15M', 'PT1H', 'P1D'] as const)
    answers.push((await current.read({ interval, building, ...day })).rows);
  return answers;
}

test('nothing of the building is left anywhere, and everything of the others', async () => {
  const { store, audit } = await lake(200);
  const before = await globbed(store);
  const quarantined = await globbed(store, 'quarantine');
  const summaries = await summariesOf(store, kept);
  const counts = [await landedOf(store, kept), await landedOf(store, other)];
  expect((await mentions(store, gone)).length).toBeGreaterThan(20);
  expect(await landedOf(store, gone)).toBe(4 + 4 + 3);

  const report = await runErasurePass(erasureOf(store, gone), 'erase', options);
  expect(report.counts['landing/readings']).toEqual({
    objects: 2 + 2 + 1,
    rows: 22,
    readings: 11,
    missing: 0,
  });
  expect(report.counts['landing/quarantine']).toMatchObject({ objects: 1, rows: 2 });
  expect(report.counts['serving/summaries']?.rows).toBeGreaterThan(200);

  expect(await mentions(store, gone)).toEqual([]);
  const isOthers = (row: string) => !row.startsWith(`${gone} `);
  expect(await globbed(store)).toEqual(before.filter(isOthers));
  expect(await globbed(store, 'quarantine')).toEqual(quarantined.filter(isOthers));
  expect(await announced(store)).toBe(before.filter(isOthers).length);
  expect(await summariesOf(store, kept)).toEqual(summaries);
  expect(await summariesOf(store, gone)).toEqual([[], [], [], []]);

  // Auditors, the old one and a new one, miss nothing of the others.
  for (const auditor of [audit, new LandedAudit({ store, partitions: 4 })])
    for (let turn = 2; turn < 6; turn += 1)
      expect(await auditor.round(turn)).toMatchObject({
        found: { missing: 0, altered: 0 },
        lost: [],
      });
  expect([await landedOf(store, kept), await landedOf(store, other)]).toEqual(counts);
  expect(await landedOf(store, gone)).toBe(0);
  expect(await mentions(store, gone)).toEqual([]);
});

test('a second pass finds nothing to do, and its report says so', async () => {
  const { store } = await lake();
  const run = erasureOf(store, gone);
  const first = await runErasurePass(run, 'erase', options);
  // Run again, as by a Job that was restarted, it is answered as it was.
  expect(await runErasurePass(run, 'erase', options)).toEqual(first);
  const verified = await runErasurePass(run, 'verify', options);
  expect(sumOf([verified])).toEqual({ objects: 0, rows: 0, readings: 0, missing: 0 });
  expect(await readErasureReport(store, { building: gone, id: 'uid-1', pass: 'verify' })).toEqual(
    verified,
  );
});

test('what lands late is found by the second pass', async () => {
  const { store } = await lake();
  const run = erasureOf(store, gone);
  await runErasurePass(run, 'erase', options);
  await land(store, { first: 27n, buildings: [gone, kept], count: 4 });
  const verified = await runErasurePass(run, 'verify', options);
  expect(verified.counts['landing/readings']).toMatchObject({ objects: 1, readings: 2 });
  expect(await mentions(store, gone)).toEqual([]);
});

test.each([
  ['before', false],
  ['after', true],
])(
  'killed %s any write it goes on, and readers see whole files all the time',
  async (_when, isDone) => {
    const reference = (await lake()).store;
    const others = (await globbed(reference)).filter((row) => !row.startsWith(`${gone} `));
    const counts = [await landedOf(reference, kept), await landedOf(reference, other)];
    const whole = await runErasurePass(erasureOf(await copyOf(reference), gone), 'erase', options);
    let kills = 0;
    for (let writes = 1; ; writes += 1) {
      const store = await copyOf(reference);
      const audit = new LandedAudit({ store, partitions: 4 });
      const dying = new DyingStore(store, writes, isDone);
      const died = await runErasurePass(erasureOf(dying, gone), 'erase', options).then(
        () => false,
        () => true,
      );
      await announced(store);
      const seen = new Set(await globbed(store));
      expect(others.filter((row) => !seen.has(row))).toEqual([]);
      expect((await audit.round(writes)).lost).toEqual([]);
      const resumed = await runErasurePass(erasureOf(store, gone), 'erase', options);
      expect(resumed.counts).toEqual(whole.counts);
      expect(await keysOf(store, 'erasures/')).toEqual([`erasures/${gone}/uid-1/erase.json`]);
      expect(await mentions(store, gone)).toEqual([]);
      expect(await globbed(store)).toEqual(others);
      await audit.round(writes + 1);
      expect([await landedOf(store, kept), await landedOf(store, other)]).toEqual(counts);
      if (!died) break;
      kills += 1;
    }
    expect(kills).toBeGreaterThan(40);
  },
  60_000,
);

test('a reader that knew the files before finds their successors', async () => {
  const { store } = await lake();
  const reader = await LandedManifests.open({ store, partitions: 4 });
  const late = await LandedManifests.open({ store, partitions: 4 });
  const before = reader.files({ building: kept, ...day });
  await runErasurePass(erasureOf(store, gone), 'erase', options);
  const paths = before.map(({ path }) => path);
  const isThere = await Promise.all(paths.map((path) => store.head(path)));
  expect(isThere.includes(undefined)).toBe(true);
  expect(await reader.reread(paths)).toBe(true);
  expect(
    await reader.reread(reader.files({ building: kept, ...day }).map(({ path }) => path)),
  ).toBe(false);
  await late.refresh();
  for (const manifests of [reader, late]) {
    const now = manifests.files({ building: kept, ...day });
    expect(now.length).toBe(before.length);
    for (const { path } of now) expect(await store.head(path)).toBeDefined();
  }
  expect(late.files({ building: gone, ...day })).toEqual([]);
});

test('copies of manifests go with an erasure, and one that a slow lander leaves is read by nobody', async () => {
  const { store } = await lake();
  const copies = 'landing/readings/v1/_checkpoints/';
  const keys: string[] = [];
  for await (const key of keysBelow(store, copies)) keys.push(key);
  expect(keys.length).toBeGreaterThan(2);
  const [late = ''] = keys;
  const content = (await store.get(late)) ?? Buffer.alloc(0);
  await runErasurePass(erasureOf(store, gone), 'erase', options);
  expect(await store.list(copies, { limit: 9 })).toEqual([]);
  await store.createOnly(late, content);
  await copyManifests(store);
  const landed = await LandedManifests.open({ store, partitions: 4 });
  expect(landed.files({ building: gone, ...day })).toEqual([]);
  for (const { path } of landed.files({ building: kept, ...day }))
    expect(await store.head(path)).toBeDefined();
  expect(await mentions(store, gone)).toEqual([late]);
  await runErasurePass(erasureOf(store, gone), 'verify', options);
  expect(await mentions(store, gone)).toEqual([]);
});

test('counts go that were written in one round with those of others, and were told anew since', async () => {
  const store = new MemoryObjectStore();
  const audit = new LandedAudit({ store, partitions: 4 });
  const first = await land(store, { first: 0n, buildings: [gone, kept], count: 6 });
  await audit.round(1);
  await land(store, { first, buildings: [gone], count: 4 });
  await audit.round(2);
  const before = await landedOf(store, kept);
  const report = await runErasurePass(erasureOf(store, gone), 'erase', options);
  expect(report.counts['serving/account']?.objects).toBeGreaterThan(1);
  expect(await mentions(store, gone)).toEqual([]);
  expect(await landedOf(store, kept)).toBe(before);
  expect((await audit.round(3)).lost).toEqual([]);
  expect(await landedOf(store, kept)).toBe(before);
});

test('erasers of two buildings at the same files meet without harm', async () => {
  const { store } = await lake();
  const before = await globbed(store);
  await Promise.all([
    eraseLanding(erasureOf(store, gone), 'readings'),
    eraseLanding(erasureOf(store, other), 'readings'),
    eraseLanding(erasureOf(store, gone), 'readings'),
  ]);
  await eraseLanding(erasureOf(store, gone), 'readings');
  await eraseLanding(erasureOf(store, other), 'readings');
  expect(await globbed(store)).toEqual(before.filter((row) => row.startsWith(`${kept} `)));
  await announced(store);
});

test('erasers of two partitions that tell readers at the same time are both heard', async () => {
  const { store } = await lake();
  const erased = { ...erasureOf(store, gone), partition: 1 };
  await landDays(store, 1, { partition: 1, buildings: [gone, kept] });
  const get = store.get.bind(store);
  const key = erasurePointerKey('readings');
  let hasRead = 0;
  const both = Promise.withResolvers<void>();
  store.get = async (asked) => {
    const content = await get(asked);
    if (asked === key && (hasRead += 1) === 2) both.resolve();
    if (asked === key && hasRead <= 2) await both.promise;
    return content;
  };
  await store.replacePointer(key, Buffer.from(JSON.stringify({ erasures: {} })));
  await Promise.all([
    eraseLanding(erasureOf(store, gone), 'readings'),
    eraseLanding(erased, 'readings'),
  ]);
  const { erasures } = parseErasurePointer(await get(key));
  expect(erasures).toEqual({ [`${partition}`]: 1, 1: 1 });
});

test('the writer of summaries that runs is fenced, and the next one goes on without the building', async () => {
  const { store, writer } = await lake();
  await runErasurePass(erasureOf(store, gone), 'erase', options);
  const more = { buildings: [kept], fromMinute: 60, toMinute: 80 };
  await expect(summarise(writer, more)).rejects.toMatchObject({ code: 'FENCED' });
  await summarise(await SummaryWriter.open(store), more);
  expect(await mentions(store, gone)).toEqual([]);
});

test('a file that was lost before is told, and stays missed for the others', async () => {
  const { store } = await lake();
  const manifest = await readManifest(store, { stream: 'readings', partition, first: 0n });
  store.harm(manifest?.files[0]?.path ?? '');
  const report = await runErasurePass(erasureOf(store, gone), 'erase', options);
  expect(report.counts['landing/readings']).toMatchObject({ missing: 1, objects: 5 });
  expect(await mentions(store, gone)).toEqual([]);
  expect((await new LandedAudit({ store, partitions: 4 }).round(1)).lost.length).toBe(1);
});

test('an export is whole, and made before anything is erased', async () => {
  const { store } = await lake();
  const run = erasureOf(store, gone);
  const own = (await globbed(store)).filter((row) => row.startsWith(`${gone} `));
  const report = await runErasurePass(run, 'export', options);
  expect(report.export).toMatchObject({
    folder: `exports/${gone}/uid-1/`,
    rows: 22 + 2,
    missing: 0,
  });
  expect((await globbed(store)).filter((row) => row.startsWith(`${gone} `))).toEqual(own);
  await runErasurePass(run, 'erase', options);
  let rows = 0;
  for await (const key of keysBelow(store, `exports/${gone}/uid-1/`)) {
    if (!key.endsWith('.parquet')) continue;
    const file = await parquetOfBytes((await store.get(key)) ?? Buffer.alloc(0));
    const buildings = (await file.read(['building'])).get('building') ?? [];
    expect(new Set(buildings)).toEqual(new Set([gone]));
    rows += file.rows;
  }
  expect(rows).toBe(24);
});

test('what lands after the export was made is exported before it is erased', async () => {
  const { store } = await lake();
  const run = { ...erasureOf(store, gone), isExported: true };
  await runErasurePass(run, 'export', options);
  await land(store, { first: 27n, buildings: [gone, kept], count: 4 });
  const erased = await runErasurePass(run, 'erase', options);
  expect(erased.export).toMatchObject({ rows: 22 + 2 + 4 });
  await land(store, { first: 31n, buildings: [gone], count: 1 });
  const verified = await runErasurePass(run, 'verify', options);
  expect(verified.export).toMatchObject({ rows: 22 + 2 + 4 + 2, missing: 0 });
  expect(await mentions(store, gone)).toEqual([]);
});

async function keysOf(store: MemoryObjectStore, folder: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of keysBelow(store, folder)) keys.push(key);
  return keys;
}

/** Dies at a write, before or after it was done. */
class DyingStore extends MemoryObjectStore {
  readonly #store: MemoryObjectStore;
  readonly #isDone: boolean;
  #left: number;

  constructor(store: MemoryObjectStore, writes: number, isDone: boolean) {
    super();
    this.#store = store;
    this.#left = writes;
    this.#isDone = isDone;
  }

  override get(key: string) {
    return this.#store.get(key);
  }
  override head(key: string) {
    return this.#store.head(key);
  }
  override getRange(...of: Parameters<MemoryObjectStore['getRange']>) {
    return this.#store.getRange(...of);
  }
  override list(...of: Parameters<MemoryObjectStore['list']>) {
    return this.#store.list(...of);
  }
  override createOnly(...of: Parameters<MemoryObjectStore['createOnly']>) {
    return this.#dying(() => this.#store.createOnly(...of));
  }
  override replacePointer(...of: Parameters<MemoryObjectStore['replacePointer']>) {
    return this.#dying(() => this.#store.replacePointer(...of));
  }
  override replace(...of: Parameters<MemoryObjectStore['replace']>) {
    return this.#dying(() => this.#store.replace(...of));
  }
  override remove(...of: Parameters<MemoryObjectStore['remove']>) {
    return this.#dying(() => this.#store.remove(...of));
  }

  async #dying<Value>(write: () => Promise<Value>): Promise<Value> {
    this.#left -= 1;
    if (this.#left < 0) throw new Error('dead');
    if (this.#left > 0) return write();
    if (this.#isDone) await write();
    throw new Error('killed');
  }
}
