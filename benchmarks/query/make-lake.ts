import { emptyAggregate, addValue, encodeAggregate } from '@domicile/core/aggregate.ts';
import { must } from '@domicile/core/invariants.ts';
import type { Reading } from '@domicile/core/reading.ts';
import type { Level } from '@domicile/core/summary.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import { FsObjectStore } from '@domicile/lake/fs/fs-object-store.ts';
import { LandingContent } from '@domicile/lake/landing-content.ts';
import { LandingZone } from '@domicile/lake/landing-zone.ts';
import { SummaryWriter } from '@domicile/lake/summary-writer.ts';

/** The load profile: 100 buildings of 5 floors, 25 rooms and 100 devices, 3 metrics each, every 10 s. */
export const buildings = Array.from({ length: 100 }, (_, index) => `de-load-${index}`);
export const partitions = 8;
const devicesPerRoom = 4;
const roomsPerFloor = 5;
const rooms = Array.from({ length: 25 }, (_, index) => `r${101 + index}`);
const metrics = { temperature: 'Cel', humidity: '%', co2: '[ppm]' } as const;
const everyMs = 10_000;
const minuteMs = 60_000;

/** The day of the summaries, and the hour of the readings. */
export const day = { fromMs: Date.UTC(2026, 10, 23), toMs: Date.UTC(2026, 10, 24) };
export const hour = { fromMs: day.fromMs + 7 * 3_600_000, toMs: day.fromMs + 8 * 3_600_000 };
/** A building-day has half a million rows; other buildings are other parts of the files. */
export const summarisedBuildings = buildings.slice(0, 2);

const devices = rooms.flatMap((room, index) =>
  Array.from({ length: devicesPerRoom }, (_, at) => ({
    id: `${room}-air-${at}`,
    room,
    floor: `${1 + Math.floor(index / roomsPerFloor)}`,
  })),
);

/** The same for every run: a day's wave, a device's own level, and noise. */
function valueOf(metric: number, device: number, atMs: number): number {
  const wave = Math.sin((atMs / 86_400_000) * 2 * Math.PI);
  const noise = ((Math.imul(device * 31 + metric, 2_654_435_761) ^ (atMs / everyMs)) >>> 0) % 100;
  return Math.round((20 + metric * 200 + 3 * wave + device / 50 + noise / 100) * 100) / 100;
}

/** Lands one hour of readings of all buildings as the lander does: a file for each partition and minute. */
export async function landReadings(root: string): Promise<number> {
  const zone = new LandingZone({
    store: new FsObjectStore(root),
    country: 'DE',
    stream: 'readings',
  });
  const next = new Map<number, bigint>();
  let values = 0;
  for (let atMs = hour.fromMs; atMs < hour.toMs; atMs += minuteMs) {
    for (let partition = 0; partition < partitions; partition += 1) {
      const first = next.get(partition) ?? 0n;
      const content = new LandingContent({ country: 'DE', stream: 'readings', partition, first });
      let offset = first;
      for (const reading of readingsOf(partition, atMs)) {
        content.add({ offset, value: Buffer.from(JSON.stringify(reading)) });
        offset += 1n;
      }
      if (offset === first) continue;
      next.set(partition, offset);
      await zone.complete(await zone.take(content), content);
      values += content.rows;
    }
  }
  return values;
}

function* readingsOf(partition: number, minuteFromMs: number): Generator<Reading> {
  const here = buildings.filter((one) => partitionOf(Buffer.from(one), partitions) === partition);
  for (let atMs = minuteFromMs; atMs < minuteFromMs + minuteMs; atMs += everyMs)
    for (const building of here)
      for (const index of devices.keys()) yield readingOf(building, index, atMs);
}

function readingOf(building: string, index: number, atMs: number): Reading {
  const { id: device, room, floor } = must(devices[index], 'a device');
  return {
    building,
    floor,
    room,
    device,
    client: 'acme',
    type: 'air-quality',
    boot: '01JD9T0000000000000000000',
    seq: (atMs - day.fromMs) / everyMs,
    measuredAtMs: atMs + index * 7,
    receivedAtMs: atMs + index * 7 + 3,
    timeSource: 'device',
    values: Object.fromEntries(
      Object.keys(metrics).map((metric, at) => [metric, valueOf(at, index, atMs)]),
    ),
    units: metrics,
  };
}

/** Writes one day of summaries of some buildings as the serving builder does, an hour a flush. */
export async function writeSummaries(root: string): Promise<number> {
  const writer = await SummaryWriter.open(new FsObjectStore(root));
  const zones = new Map(summarisedBuildings.map((building) => [building, 'Europe/Berlin']));
  let count = 0;
  for (let fromMs = day.fromMs; fromMs < day.toMs; fromMs += 3_600_000) {
    const rows = summarisedBuildings.flatMap((building) => rowsOfHour(building, fromMs));
    count += rows.length;
    const closed = new Map(summarisedBuildings.map((one) => [one, fromMs + 3_600_000]));
    await writer.flush({ rows, offsets: new Map([[0, BigInt(count)]]), closed, zones });
  }
  // Coarser windows and compaction that the flushes left for later; the day after has only begun and stays open.
  for (let left = 1; left > 0;) {
    const nothing = { rows: [], offsets: new Map<number, bigint>() };
    const report = await writer.flush({ ...nothing, closed: new Map<string, number>(), zones });
    left = report.merged + report.compactedRows;
  }
  return count;
}

function rowsOfHour(building: string, fromMs: number) {
  const rows = [];
  for (let startMs = fromMs; startMs < fromMs + 3_600_000; startMs += minuteMs)
    for (const [at, [metric, unit]] of Object.entries(metrics).entries())
      for (const { level, id, aggregate } of windowsOf(building, at, startMs))
        rows.push({
          building,
          level,
          id,
          metric,
          unit,
          windowStartMs: startMs,
          windowEndMs: startMs + minuteMs,
          base: encodeAggregate(aggregate),
          version: 1,
          late: [],
          revision: 1,
          final: true,
        });
  return rows;
}

function windowsOf(building: string, metric: number, startMs: number) {
  const things = new Map<
    string,
    { level: Level; id: string; aggregate: ReturnType<typeof emptyAggregate> }
  >();
  const add = (level: Level, id: string, value: number): void => {
    const thing = things.get(`${level} ${id}`) ?? { level, id, aggregate: emptyAggregate() };
    things.set(`${level} ${id}`, thing);
    addValue(thing.aggregate, value);
  };
  for (const [index, { id, room, floor }] of devices.entries())
    for (let atMs = startMs; atMs < startMs + minuteMs; atMs += everyMs) {
      const value = valueOf(metric, index, atMs);
      add('device', id, value);
      add('room', room, value);
      add('floor', floor, value);
      add('building', building, value);
    }
  return things.values();
}
