import { parseCountryCode } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { hoursPerPlanMax, LandingContent } from './landing-content.ts';
import { LandingZone } from './landing-zone.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { parquetOfBytes } from './parquet/read-parquet.ts';
import { writeParquet } from './parquet/write-parquet.ts';

const country = parseCountryCode('DE');
const stream = 'readings';
const hourMs = Date.UTC(2026, 10, 23, 7);

function recordOf(offset: bigint, fields: Record<string, unknown> = {}) {
  const value = {
    building: 'de-a',
    floor: '1',
    room: 'r101',
    device: 'r101-air',
    client: 'acme',
    type: 'air-quality',
    boot: 'b1',
    seq: Number(offset),
    measuredAtMs: hourMs + Number(offset) * 30_000,
    receivedAtMs: hourMs + 1000,
    timeSource: 'device',
    values: { co2: 400 + Number(offset), open: true },
    units: { co2: '[ppm]', open: '1' },
    ...fields,
  };
  return { offset, value: Buffer.from(JSON.stringify(value)) };
}

function contentOf(records: readonly { offset: bigint; value: Buffer | null }[], first = 0n) {
  const content = new LandingContent({ country, stream, partition: 3, first });
  for (const record of records) content.add(record);
  return content;
}

const records = [2n, 3n, 7n].map((offset) => recordOf(offset));
const key =
  'landing/readings/v1/dt=2026-11-23/hour=07/readings-00003-00000000000000000000-00000000000000000007.parquet';

async function rowsAt(store: MemoryObjectStore, path: string): Promise<unknown[]> {
  const file = await parquetOfBytes((await store.get(path)) ?? Buffer.alloc(0));
  return (await file.read(['kafka_offset'])).get('kafka_offset') ?? [];
}

test('a range is planned, written and announced, each once', async () => {
  const store = new MemoryObjectStore();
  const zone = new LandingZone({ store, country, stream });
  expect(await zone.open(3)).toEqual({ next: 0n, unfinished: [] });
  const content = contentOf(records);
  const plan = await zone.take(content);
  expect(plan).toMatchObject({ first: 0n, last: 7n, records: 3, files: [{ hourMs, path: key }] });
  expect(await zone.open(3)).toEqual({ next: 8n, unfinished: [plan] });
  const manifest = await zone.complete(plan, content);
  expect(manifest).toMatchObject({
    country: 'DE',
    refused: [],
    files: [
      {
        path: key,
        rows: 6,
        readings: 3,
        buildings: [
          {
            building: 'de-a',
            rows: 6,
            readings: 3,
            measuredFromMs: hourMs + 60_000,
            measuredToMs: hourMs + 210_000,
            minutes: [
              [hourMs + 60_000, 2],
              [hourMs + 180_000, 1],
            ],
          },
        ],
      },
    ],
  });
  expect(await zone.open(3)).toEqual({ next: 8n, unfinished: [] });
  expect(await rowsAt(store, key)).toEqual([2n, 2n, 3n, 3n, 7n, 7n]);
});

test('a second writer at the same position gets the plan of the first, whatever it has read', async () => {
  const store = new MemoryObjectStore();
  const zone = new LandingZone({ store, country, stream });
  const first = await zone.take(contentOf(records));
  const zombie = await zone.take(contentOf(records.slice(0, 2)));
  expect(zombie).toEqual(first);
  await expect(zone.complete(zombie, contentOf(records.slice(0, 2)))).rejects.toMatchObject({
    code: 'OBJECT_MISMATCH',
  });
  const both = await Promise.all(
    [contentOf(records), contentOf(records)].map(async (content) => zone.complete(first, content)),
  );
  expect(both[0]).toEqual(both[1]);
});

test('a file that was left behind is adopted by its rows, and another is an alarm', async () => {
  const store = new MemoryObjectStore();
  const zone = new LandingZone({ store, country, stream });
  const content = contentOf(records);
  const [file] = content.files;
  const columns = file?.rows.columns ?? [];
  const values = file?.rows.values ?? new Map();
  const otherBytes = writeParquet({ columns, values, rowGroupSizes: [1] });
  await store.createOnly(key, otherBytes);
  const plan = await zone.take(content);
  const manifest = await zone.complete(plan, content);
  expect(manifest.files[0]?.bytes).toBe(otherBytes.length);
  expect(await store.get(key)).toEqual(otherBytes);

  for (const foreign of [
    Buffer.from('no parquet'),
    writeParquet({ columns, values: new Map(values).set('value', [1, 2, 3, 4, 5, 6]) }),
  ]) {
    const harmed = new MemoryObjectStore();
    await harmed.createOnly(key, foreign);
    const another = new LandingZone({ store: harmed, country, stream });
    await expect(
      another.complete(await another.take(content), contentOf(records)),
    ).rejects.toMatchObject({ code: 'OBJECT_MISMATCH' });
    expect(await harmed.list('landing/readings/v1/_manifest/', { limit: 9 })).toEqual([]);
  }
});

test('a range over hours of receipt makes a file of each', async () => {
  const store = new MemoryObjectStore();
  const zone = new LandingZone({ store, country, stream });
  const later = { receivedAtMs: hourMs + 3_600_000 };
  const mixed = [recordOf(0n), recordOf(1n, later), recordOf(2n), recordOf(3n, later)];
  const content = contentOf(mixed);
  const manifest = await zone.complete(await zone.take(content), content);
  expect(manifest.files.map(({ path }) => path.slice(20, 42))).toEqual([
    'dt=2026-11-23/hour=07/',
    'dt=2026-11-23/hour=08/',
  ]);
  const offsets = manifest.files.map(async ({ path }) => rowsAt(store, path));
  expect(await Promise.all(offsets)).toEqual([
    [0n, 0n, 2n, 2n],
    [1n, 1n, 3n, 3n],
  ]);
});

test('what is no reading of this country is not landed, and the manifest says so', async () => {
  const store = new MemoryObjectStore();
  const zone = new LandingZone({ store, country, stream });
  const content = contentOf([
    { offset: 0n, value: Buffer.from('{') },
    { offset: 1n, value: null },
    recordOf(2n, { building: 'us-a' }),
    recordOf(3n, { seq: 0.5 }),
  ]);
  const manifest = await zone.complete(await zone.take(content), content);
  expect(manifest.files).toEqual([]);
  expect(manifest.refused).toEqual([
    { offset: '0', reason: 'unreadable' },
    { offset: '1', reason: 'unreadable' },
    { offset: '2', reason: 'foreign' },
    { offset: '3', reason: 'unreadable' },
  ]);
  expect((await zone.open(3)).next).toBe(4n);
});

test('a plan is full by rows and by hours', () => {
  const content = new LandingContent({ country, stream, partition: 3, first: 0n }, 6);
  const full = [0n, 1n, 2n].map((offset) => {
    content.add(recordOf(offset));
    return content.isFull;
  });
  expect(full).toEqual([false, false, true]);
  const hours = Array.from({ length: hoursPerPlanMax }, (_, index) =>
    recordOf(BigInt(index), { receivedAtMs: hourMs + index * 3_600_000 }),
  );
  expect(contentOf(hours.slice(1)).isFull).toBe(false);
  expect(contentOf(hours).isFull).toBe(true);
});

test('quarantined units land in their own zone', async () => {
  const store = new MemoryObjectStore();
  const zone = new LandingZone({ store, country, stream: 'quarantine' });
  const content = new LandingContent({ country, stream: 'quarantine', partition: 0, first: 0n });
  const entry = {
    building: 'de-a',
    device: 'r101-air',
    stream: 'telemetry',
    partition: 0,
    offset: 12,
    pointer: '/0/values/co2',
    reason: 'out-of-range',
    detail: 'co2',
    boot: null,
    seq: null,
    receivedAtMs: hourMs,
    bytes: 'MTIz',
  };
  content.add({ offset: 0n, value: Buffer.from(JSON.stringify(entry)) });
  const manifest = await zone.complete(await zone.take(content), content);
  const path = manifest.files[0]?.path ?? '';
  expect(path).toMatch(/^landing\/quarantine\/v1\/dt=2026-11-23\/hour=07\/quarantine-00000-/);
  const file = await parquetOfBytes((await store.get(path)) ?? Buffer.alloc(0));
  const columns = await file.read(['reason', 'source_offset', 'payload_base64']);
  expect([...columns.values()].flat()).toEqual(['out-of-range', 12n, 'MTIz']);
});

test('a landing zone that is lost under its lander ends it, and the next one begins anew', async () => {
  const store = new MemoryObjectStore();
  const zone = new LandingZone({ store, country, stream });
  await zone.open(3);
  const content = contentOf(records);
  await zone.complete(await zone.take(content), content);
  for (const name of await store.list('landing/', { limit: 100 })) store.harm(name);
  const later = contentOf([recordOf(9n)], 8n);
  await expect(zone.take(later)).rejects.toMatchObject({ code: 'STATE_LOST' });
  expect(await store.list('landing/', { limit: 100 })).toEqual([]);
  expect((await new LandingZone({ store, country, stream }).open(3)).next).toBe(0n);
});
