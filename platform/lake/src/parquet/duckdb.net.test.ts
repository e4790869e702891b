import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FsObjectStore } from '../fs/fs-object-store.ts';
import {
  addReading,
  landedQuarantineColumns,
  LandingRows,
  landedValueColumns,
} from '../model/landing-columns.ts';
import { writeSummaryFile } from '../summary-files.ts';
import { writeParquet } from './write-parquet.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'duckdb-'));
});
afterAll(async () => rm(folder, { recursive: true }));

async function query(sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await connection.run(`set TimeZone = 'UTC'`);
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const atMs = Date.UTC(2026, 10, 23, 7);

/** 20,000 readings of a number, a boolean and a text; every seventh is unnumbered. */
async function landedFile(): Promise<string> {
  const rows = new LandingRows(landedValueColumns);
  for (let index = 0; index < 20_000; index += 1)
    addReading(
      rows,
      {
        building: `de-${index % 3}`,
        floor: '1',
        room: 'r101',
        device: `d${index % 100}`,
        client: 'acme',
        type: 'air-quality',
        boot: index % 7 === 0 ? null : 'b1',
        seq: index % 7 === 0 ? null : 2 ** 40 + index,
        measuredAtMs: atMs + ((index * 7919) % 20_000),
        receivedAtMs: atMs + index,
        timeSource: 'device',
        values: { co2: index / 4, open: index % 2 === 0, mode: `m${index % 5}` },
        units: { co2: '[ppm]', open: '1', mode: '1' },
      },
      { partition: 3, offset: 2n ** 53n + BigInt(2 * index) },
    );
  const path = join(folder, 'landed.parquet');
  await writeFile(path, writeParquet({ columns: rows.columns, values: rows.values }));
  return path;
}

test('landed values: names, types and order of the contract, and every value, without a quote or an option', async () => {
  const path = await landedFile();
  const described = await query(
    `select column_name, column_type from (describe select * from '${path}')`,
  );
  expect(described.map((row) => Object.values(row ?? {}).join(' '))).toEqual([
    'building VARCHAR',
    'floor VARCHAR',
    'room VARCHAR',
    'device VARCHAR',
    'metric VARCHAR',
    'unit VARCHAR',
    'measured_at TIMESTAMP WITH TIME ZONE',
    'received_at TIMESTAMP WITH TIME ZONE',
    'value DOUBLE',
    'text VARCHAR',
    'boot VARCHAR',
    'seq BIGINT',
    'time_source VARCHAR',
    'kafka_partition INTEGER',
    'kafka_offset BIGINT',
  ]);
  const [row] = await query(`
    select count(*)::int as found, count(distinct kafka_offset)::int as readings,
      count(*) filter (metric = 'co2' and value <> (kafka_offset - 9007199254740992) / 8)::int as wrong_values,
      count(*) filter (metric = 'open' and value <> case (kafka_offset - 9007199254740992) % 4 when 0 then 1 else 0 end)::int as wrong_booleans,
      count(*) filter (metric = 'mode' and (value is not null or text is null))::int as wrong_texts,
      count(*) filter (seq is null and boot is null)::int as unnumbered,
      count(*) filter (seq <> 1099511627776 + (kafka_offset - 9007199254740992) / 2)::int as wrong_numbers,
      count(*) filter (epoch_ms(received_at) <> ${atMs} + (kafka_offset - 9007199254740992) / 2)::int as wrong_times,
      count(*) filter (building is null or floor is null or room is null or device is null or unit is null
        or time_source is null or kafka_partition <> 3)::int as missing
    from '${path}'`);
  expect(row).toEqual({
    found: 60_000,
    readings: 20_000,
    wrong_values: 0,
    wrong_booleans: 0,
    wrong_texts: 0,
    unnumbered: 3 * Math.ceil(20_000 / 7),
    wrong_numbers: 0,
    wrong_times: 0,
    missing: 0,
  });
});

test('landed files hold Zstandard and no encoding that Spark cannot read', async () => {
  const path = await landedFile();
  const used = await query(`select distinct compression, encodings
    from parquet_metadata('${path}') order by encodings`);
  const encodings = new Set(used.flatMap((row) => `${Object.values(row ?? {})[1]}`.split(/,\s*/)));
  expect(used.every((row) => Object.values(row ?? {})[0] === 'ZSTD')).toBe(true);
  expect([...encodings].toSorted()).toEqual(['DELTA_BINARY_PACKED', 'PLAIN', 'RLE_DICTIONARY']);
});

test('no name of a column is a reserved word', async () => {
  const names = [...landedValueColumns, ...landedQuarantineColumns].map(({ name }) => name);
  const reserved = await query(`select keyword_name from duckdb_keywords()
    where keyword_category = 'reserved' and keyword_name in (${names.map((name) => `'${name}'`).join()})`);
  expect(reserved).toEqual([]);
});

test('summaries: figures and times', async () => {
  const aggregate = emptyAggregate();
  for (const value of [1, 2, 6]) addValue(aggregate, value);
  const row = {
    building: 'de-a',
    level: 'room',
    id: 'r101',
    metric: 'co2',
    unit: '[ppm]',
    windowStartMs: atMs,
    windowEndMs: atMs + 60_000,
    base: encodeAggregate(aggregate),
    version: 2,
    late: [],
    revision: 2,
    final: true,
  } as const;
  const { key } = await writeSummaryFile(new FsObjectStore(folder), 'data/x', [row]);
  const rows =
    await query(`select building, level, id, metric, unit, epoch_ms(window_start)::double as window_start,
      epoch_ms(window_end)::double as window_end, count::int as count, sum, avg, min, max, is_final from '${folder}/${key}'`);
  expect(rows).toEqual([
    {
      building: 'de-a',
      level: 'room',
      id: 'r101',
      metric: 'co2',
      unit: '[ppm]',
      window_start: atMs,
      window_end: atMs + 60_000,
      count: 3,
      sum: 9,
      avg: 3,
      min: 1,
      max: 6,
      is_final: 1,
    },
  ]);
});
