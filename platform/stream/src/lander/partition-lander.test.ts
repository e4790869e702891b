import { PlatformError } from '@domicile/core/errors.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { LandingContent } from '@domicile/lake/landing-content.ts';
import { LandingZone } from '@domicile/lake/landing-zone.ts';
import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createLanderEvents } from './events.ts';
import { PartitionLander, type TimedRecord } from './partition-lander.ts';

const country = parseCountryCode('DE');
const place = { stream: 'readings', partition: 2 } as const;
const receivedAtMs = Date.UTC(2026, 10, 23, 7);

function recordOf(offset: number): TimedRecord {
  const reading = {
    building: 'de-a',
    floor: '1',
    room: 'r101',
    device: 'r101-air',
    client: 'acme',
    type: 'air-quality',
    boot: 'b1',
    seq: offset,
    measuredAtMs: receivedAtMs,
    receivedAtMs,
    timeSource: 'device',
    values: { co2: offset },
    units: { co2: '[ppm]' },
  };
  const value = Buffer.from(JSON.stringify(reading));
  return { offset: BigInt(offset), value, timestampMs: receivedAtMs };
}

/** A store that fails now and then, as stores do. */
class FlakyStore extends MemoryObjectStore {
  failures = 0;
  override async createOnly(key: string, content: Uint8Array): Promise<boolean> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot reach the store');
    }
    return super.createOnly(key, content);
  }
}

/** A lander of a stream that holds the records of these offsets. */
async function landerOf(store: MemoryObjectStore, offsets: readonly number[]) {
  const told: string[] = [];
  const log = createLog('test', { write: (line: string) => void told.push(line) });
  const zone = new LandingZone({ store, country, stream: 'readings' });
  const lander = new PartitionLander({
    ...place,
    country,
    zone,
    position: await zone.open(place.partition),
    events: createLanderEvents(new Registry(), log),
    async *readRange(from, to) {
      yield offsets.map(recordOf).filter(({ offset }) => offset >= from && offset < to);
    },
    signal: AbortSignal.timeout(10_000),
  });
  for (const offset of offsets) lander.add(recordOf(offset), 1000);
  return { lander, zone, told };
}

async function rangesOf(store: MemoryObjectStore): Promise<string[]> {
  const keys = await store.list('landing/readings/v1/', { limit: 1000 });
  return keys.filter((key) => key.endsWith('.parquet')).map((key) => key.slice(-49, -8));
}

const rangeOf = (first: number, last: number) =>
  [first, last].map((offset) => `${offset}`.padStart(20, '0')).join('-');

test('it is due when its oldest record has waited, lands all that waits, and goes on behind it', async () => {
  const store = new MemoryObjectStore();
  const { lander } = await landerOf(store, [1, 2, 5]);
  expect(lander.isDue(1499, 500)).toBe(false);
  expect(lander.isDue(1500, 500)).toBe(true);
  await lander.flush();
  expect(lander.isDue(9999, 500)).toBe(false);
  expect(lander.bytes).toBe(0);
  lander.add(recordOf(2), 2000);
  expect(lander.bytes).toBe(0);
  lander.add(recordOf(9), 2000);
  await lander.flush();
  expect(await rangesOf(store)).toEqual([rangeOf(0, 5), rangeOf(6, 9)]);
});

test('a store that fails is tried again, step by step', async () => {
  const store = new FlakyStore();
  const { lander, told } = await landerOf(store, [1]);
  store.failures = 2;
  await lander.flush();
  expect(await rangesOf(store)).toEqual([rangeOf(0, 1)]);
  expect(told.filter((line) => line.includes('tried again'))).toHaveLength(2);
});

test('the longer plan of another writer is done first, from the stream', async () => {
  const store = new MemoryObjectStore();
  const { lander, zone } = await landerOf(store, [1, 2, 3, 8]);
  const other = new LandingContent({ ...place, country, first: 0n });
  for (const offset of [1, 2, 3]) other.add(recordOf(offset));
  await zone.take(other);
  await lander.flush();
  expect(await rangesOf(store)).toEqual([rangeOf(0, 3), rangeOf(4, 8)]);
});

test('a plan that was found unfinished is finished before anything else', async () => {
  const store = new MemoryObjectStore();
  const first = await landerOf(store, [1, 2]);
  const content = new LandingContent({ ...place, country, first: 0n });
  for (const offset of [1, 2]) content.add(recordOf(offset));
  await first.zone.take(content);
  const { lander } = await landerOf(store, [1, 2, 3]);
  await lander.finish();
  expect(await rangesOf(store)).toEqual([rangeOf(0, 2)]);
  await lander.flush();
  expect(await rangesOf(store)).toEqual([rangeOf(0, 2), rangeOf(3, 3)]);
});

test('where store and stream differ it halts, says so, and takes no more', async () => {
  const store = new MemoryObjectStore();
  const { lander, zone, told } = await landerOf(store, [1, 2]);
  const foreign = new LandingContent({ ...place, country, first: 0n });
  foreign.add({ ...recordOf(1), value: Buffer.from('another stream') });
  await zone.take(foreign);
  await lander.flush();
  expect(lander.fault?.code).toBe('OBJECT_MISMATCH');
  expect(told.some((line) => line.includes('halted'))).toBe(true);
  lander.add(recordOf(7), 0);
  await lander.flush();
  expect(lander.bytes).toBe(0);
  expect(await rangesOf(store)).toEqual([]);
});
