import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { askPython } from '@domicile/devkit/python-oracle.ts';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { get, until } from './support/api.ts';
import { TestDemo } from './support/test-demo.ts';

// What a stranger tries first: publish a reading with a building's credentials, and find it everywhere it belongs, once.

const building = 'de-7f3k';
const device = 'r105-air';
const boot = 'stranger-1';
let world: TestDemo;
let client: MqttClient;
beforeAll(async () => {
  world = await TestDemo.start({ countries: ['DE'], landingFlushMs: 20_000 });
  const { mqtt, mqttUsers } = await world.cell('de');
  client = await connectAsync(mqtt, { username: building, password: mqttUsers[building] ?? '' });
});
afterAll(async () => {
  await client.endAsync();
  await world[Symbol.asyncDispose]();
});

const reading = {
  boot,
  seq: 0,
  at: new Date().toISOString(),
  values: { temperature: 23.456, co2: 654 },
};
const publish = () =>
  client.publishAsync(`v1/${building}/${device}/telemetry`, JSON.stringify(reading), { qos: 1 });
const period = `from=${new Date(Date.now() - 3_600_000).toISOString()}&to=${new Date(Date.now() + 3_600_000).toISOString()}`;

interface Rows {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

async function rowsOf(path: string, role: 'client' | 'analyst'): Promise<Rows['rows']> {
  const { api, tokens } = await world.cell('de');
  return (await get<Rows>(api, path, tokens[role])).rows;
}

const latest = () => rowsOf(`/v1/buildings/${building}/latest`, 'client');
const raw = () =>
  rowsOf(`/v1/raw/readings?building=${building}&device=${device}&${period}`, 'analyst');

test('a published reading is at /latest, at the raw endpoint, and in Parquet, each in time', async () => {
  const sentAt = performance.now();
  await publish();
  const since = () => Math.round(performance.now() - sentAt);
  await until('/latest', latest, {
    fits: (rows) => rows.some((row) => row['device'] === device && row['value'] === 23.456),
  });
  const latestMs = since();
  await until('the raw endpoint', raw, { fits: (rows) => rows.length === 2 });
  const rawMs = since();
  const parquet = await until('Parquet', readByPython, {
    fits: ({ pyarrow }) => pyarrow.length > 0,
  });
  process.stdout.write(`/latest ${latestMs} ms, raw ${rawMs} ms, Parquet ${since()} ms\n`);
  // The same rows by two readers that need no options, with the types of the contract.
  const rows = [
    ['co2', 654, '[ppm]'],
    ['temperature', 23.456, 'Cel'],
  ];
  expect(parquet.duckdb).toEqual(rows);
  expect(parquet.pyarrow).toEqual(rows);
  expect(parquet.types).toMatchObject({
    building: 'string',
    measured_at: 'timestamp[us, tz=UTC]',
    received_at: 'timestamp[us, tz=UTC]',
    value: 'double',
    text: 'string',
    boot: 'string',
    seq: 'int64',
    time_source: 'string',
    kafka_partition: 'int32',
    kafka_offset: 'int64',
  });
});

test('published again it is still there once, and the account counts the repeats', async () => {
  await publish();
  await publish();
  const { api, tokens } = await world.cell('de');
  const wanted = { received: 1, duplicates: 2, missing: 0, landed: 1 };
  await until(
    'the account',
    () =>
      get<{ totals: Record<string, number> }>(
        api,
        `/v1/buildings/${building}/account?${period}`,
        tokens.client,
      ),
    {
      fits: ({ totals }) => Object.entries(wanted).every(([name, count]) => totals[name] === count),
    },
  );
  expect(await raw()).toHaveLength(2);
  expect((await readByPython()).pyarrow).toHaveLength(2);
});

interface PythonAnswer {
  readonly duckdb: readonly unknown[];
  readonly pyarrow: readonly unknown[];
  readonly types: Readonly<Record<string, string>>;
}

const program = `
import sys, json, glob, duckdb, pyarrow.parquet as pq, pyarrow as pa
folder, boot = sys.argv[1:3]
files = glob.glob(folder + '/dt=*/**/*.parquet', recursive=True)
if not files:
    print(json.dumps({'duckdb': [], 'pyarrow': [], 'types': {}})); sys.exit()
found = duckdb.sql(f"select metric, value, unit from read_parquet({files!r}) where boot = '{boot}' order by metric").fetchall()
table = pa.concat_tables([pq.read_table(file, partitioning=None) for file in files])
rows = sorted([r['metric'], r['value'], r['unit']] for r in table.to_pylist() if r['boot'] == boot)
print(json.dumps({'duckdb': found, 'pyarrow': rows, 'types': {f.name: str(f.type) for f in table.schema}}))
`;

async function readByPython(): Promise<PythonAnswer> {
  const folder = join(world.cellDir('de'), 'lake/landing/readings/v1');
  if (!existsSync(folder)) return { duckdb: [], pyarrow: [], types: {} };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the program above prints it
  return (await askPython(program, folder, boot)) as PythonAnswer;
}
