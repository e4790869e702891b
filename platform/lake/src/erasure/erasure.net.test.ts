import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FsObjectStore } from '../fs/fs-object-store.ts';
import { LandedAudit } from '../landed-audit.ts';
import { SummaryWriter } from '../summary-writer.ts';
import { runErasurePass } from './erasure.ts';
import { erasureOf, land, quarantine, summarise } from './test-zone.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'erasure-'));
});
afterAll(async () => rm(folder, { recursive: true }));

const [gone, kept, other] = ['de-gone', 'de-kept', 'de-other'];

/** By a reader that is not ours. */
async function query(sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** All that stands below a part of the lake, by building: how many rows, how many different ones, and the sum of offsets. */
async function byBuilding(glob: string, identity: string): Promise<unknown[]> {
  return query(
    `select building, count(*) as rows, count(distinct ${identity}) as different, sum(hash(${identity})) as content
     from read_parquet('${join(folder, glob)}', hive_partitioning = false) group by building order by building`,
  );
}

const landing = [
  'landing/readings/v1/dt=*/hour=*/*.parquet',
  `concat(kafka_offset, metric, value, text, seq, unit, epoch_us(measured_at), epoch_us(received_at))`,
] as const;
const quarantined = ['landing/quarantine/v1/dt=*/hour=*/*.parquet', `kafka_offset`] as const;
const summaries = [
  'serving/summaries/pt1m/v1/data/*.parquet',
  `concat(id, metric, version)`,
] as const;

test('DuckDB finds nothing of an erased building and everything of the others, each once', async () => {
  const store = new FsObjectStore(folder);
  let first = 0n;
  for (const buildings of [[gone, kept, other], [gone], [other, gone, kept], [kept]])
    first = await land(store, { first, buildings, count: 900 });
  await quarantine(store, { first: 0n, buildings: [gone, kept, gone, other] });
  const writer = await SummaryWriter.open(store);
  for (let minute = 0; minute < 60; minute += 20)
    await summarise(writer, {
      buildings: [gone, kept],
      fromMinute: minute,
      toMinute: minute + 20,
    });
  await new LandedAudit({ store, partitions: 4 }).round(1);
  const of = (rows: unknown[], building: string) =>
    rows.filter((row) => JSON.stringify(row).includes(building));
  const before = await byBuilding(...landing);
  const quarantinedBefore = await byBuilding(...quarantined);
  expect(of(before, gone)).toMatchObject([{ rows: '3000', different: '3000' }]);

  const options = { graceMs: 0, now: Date.now };
  await runErasurePass(erasureOf(store, gone), 'export', options);
  await runErasurePass(erasureOf(store, gone), 'erase', options);

  const after = await byBuilding(...landing);
  expect(after).toEqual([...of(before, kept), ...of(before, other)]);
  expect(await byBuilding(...quarantined)).toEqual([
    ...of(quarantinedBefore, kept),
    ...of(quarantinedBefore, other),
  ]);
  expect((await byBuilding(...summaries)).map((row) => JSON.stringify(row))).toEqual([
    expect.stringContaining(kept),
  ]);
  const exported = `exports/${gone}/uid-1/readings/v1/dt=*/hour=*/*.parquet`;
  expect(await byBuilding(exported, landing[1])).toEqual(of(before, gone));
});
