/**
 * Landing of readings as they come from Kafka: decoding, digest, plan, Parquet, manifest, all synced to disk; beside DuckDB
 * on one thread, which makes a Parquet file of the same rows from the same JSON in a file, and promises nothing.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { must } from '@domicile/core/invariants.ts';
import { FsObjectStore } from '@domicile/lake/fs/fs-object-store.ts';
import { LandingContent, type LandingRecord } from '@domicile/lake/landing-content.ts';
import { LandingZone } from '@domicile/lake/landing-zone.ts';
import { DuckDBInstance } from '@duckdb/node-api';

const rounds = 7;
const readings = 60_000;
const country = parseCountryCode('DE');
const stream = 'readings';
const folder = await mkdtemp(join(tmpdir(), 'landing-'));

/** 100 buildings of 100 devices of 3 metrics, as a partition of a cell has them. */
function recordOf(index: number, round: number): LandingRecord {
  const device = index % 100;
  const atMs = Date.UTC(2026, 10, 23, 7) + Math.floor(index / 1000) * 1000;
  const reading = {
    building: `de-b${Math.floor(index / 100) % 100}`,
    floor: `${device % 5}`,
    room: `r${device % 25}`,
    device: `r${device % 25}-d${Math.floor(device / 25)}`,
    client: 'acme',
    type: 'air-quality',
    boot: '01JD9TQ2V7Z3',
    seq: Math.floor(index / 10_000) + round * 1000,
    measuredAtMs: atMs + (index % 997),
    receivedAtMs: atMs + 1000 + (index % 13),
    timeSource: 'device',
    values: {
      temperature: 18 + ((index * 7919) % 800) / 100,
      co2: 400 + ((index * 104_729) % 900),
      humidity: 30 + ((index * 1299) % 400) / 10,
    },
    units: { temperature: 'Cel', co2: '[ppm]', humidity: '%' },
  };
  return { offset: BigInt(index * 2), value: Buffer.from(JSON.stringify(reading)) };
}

interface Spent {
  /** On the clock. */
  readonly seconds: number;
  /** Of a core, what other processes take left out. */
  readonly cpuSeconds: number;
}

async function spent(work: () => Promise<unknown>): Promise<Spent> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 };
}

async function ours(records: readonly LandingRecord[], round: number): Promise<Spent> {
  const store = new FsObjectStore(join(folder, `lake-${round}`));
  const zone = new LandingZone({ store, country, stream });
  return spent(async () => {
    let first = 0n;
    for (let at = 0; at < records.length;) {
      const content = new LandingContent({ country, stream, partition: 0, first });
      for (; at < records.length && !content.isFull; at += 1)
        content.add(must(records[at], 'a record'));
      await zone.complete(await zone.take(content), content);
      first = content.last + 1n;
    }
  });
}

const columns = `building: 'VARCHAR', floor: 'VARCHAR', room: 'VARCHAR', device: 'VARCHAR', boot: 'VARCHAR', seq: 'BIGINT',
  measuredAtMs: 'BIGINT', receivedAtMs: 'BIGINT', timeSource: 'VARCHAR',
  values: 'MAP(VARCHAR, DOUBLE)', units: 'MAP(VARCHAR, VARCHAR)'`;

async function duckdb(records: readonly LandingRecord[], round: number): Promise<Spent> {
  const [from, to] = ['ndjson', 'parquet'].map((end) => join(folder, `duckdb-${round}.${end}`));
  await writeFile(must(from, 'a path'), records.map(({ value }) => `${String(value)}\n`).join(''));
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  const times = await spent(async () =>
    connection.run(`copy (
    select building, floor, room, device, entry.key as metric, units[entry.key] as unit,
      make_timestamptz(measuredAtMs * 1000) as measured_at, make_timestamptz(receivedAtMs * 1000) as received_at,
      entry.value as value, boot, seq, timeSource as time_source
    from (select *, unnest(map_entries("values")) as entry from read_json('${from}', format = 'newline_delimited', columns = {${columns}}))
  ) to '${to}' (format parquet, compression zstd)`),
  );
  connection.closeSync();
  instance.closeSync();
  return times;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return must(sorted[Math.floor(sorted.length / 2)], 'there are rounds');
}

function figuresOf(times: readonly Spent[]) {
  const cpuSeconds = median(times.map((one) => one.cpuSeconds));
  return {
    readingsPerSecond: Math.round(readings / median(times.map(({ seconds }) => seconds))),
    cpuSecondsPerMillion: Number(((cpuSeconds * 1e6) / readings).toFixed(2)),
  };
}

const times = { ours: [] as Spent[], duckdb: [] as Spent[] };
for (let round = 0; round < rounds; round += 1) {
  const records = Array.from({ length: readings }, (_, index) => recordOf(index, round));
  times.ours.push(await ours(records, round));
  times.duckdb.push(await duckdb(records, round));
}
await rm(folder, { recursive: true });
const result = {
  lane: 'landing',
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown',
  rounds,
  readingsPerRound: readings,
  rowsPerReading: 3,
  ours: figuresOf(times.ours),
  duckdbOneThread: figuresOf(times.duckdb),
};
const file = join(import.meta.dirname, '../../docs/benchmarks/landing.json');
await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
process.stdout.write(`${JSON.stringify(result)}\n`);
