import { expect, test } from 'vitest';
import { MemoryObjectStore } from '../memory-object-store.ts';
import { addReading, LandingRows, landedValueColumns } from '../model/landing-columns.ts';
import { parquetOfBytes, parquetOfObject } from './read-parquet.ts';
import { writeParquet } from './write-parquet.ts';

const reading = {
  building: 'de-a',
  floor: '1',
  room: 'r101',
  device: 'r101-air',
  client: 'acme',
  type: 'air-quality',
  boot: 'b1',
  seq: Number.MAX_SAFE_INTEGER,
  measuredAtMs: Date.UTC(2026, 10, 23, 7, 0, 0, 123),
  receivedAtMs: Date.UTC(2026, 10, 23, 7, 0, 1, 0),
  timeSource: 'device',
  values: { temperature: 21.4, open: true, mode: 'öko', drift: -0.25 },
  units: { temperature: 'Cel', open: '1', mode: '1', drift: 'Cel' },
} as const;

function landed() {
  const rows = new LandingRows(landedValueColumns);
  addReading(rows, reading, { partition: 3, offset: 9_007_199_254_740_993n });
  addReading(
    rows,
    { ...reading, boot: null, seq: null },
    { partition: 3, offset: 9_007_199_254_740_999n },
  );
  return { columns: landedValueColumns, values: rows.values, metadata: { plan: 'x' } };
}

test('what was written is read back: every type, nulls, text, whole and in slices', async () => {
  const file = await parquetOfBytes(writeParquet(landed()));
  expect(file.rows).toBe(8);
  expect(file.metadata.get('plan')).toBe('x');
  const names = landedValueColumns.map(({ name }) => name);
  const all = await file.read(names);
  const row = (at: number) => names.map((name) => all.get(name)?.[at]);
  const place = [3, 9_007_199_254_740_993n];
  const times = [1_795_417_200_123_000n, 1_795_417_201_000_000n];
  const thing = ['de-a', '1', 'r101', 'r101-air'];
  const number = ['b1', BigInt(Number.MAX_SAFE_INTEGER), 'device'];
  expect(row(0)).toEqual([
    ...thing,
    'temperature',
    'Cel',
    ...times,
    21.4,
    null,
    ...number,
    ...place,
  ]);
  expect(row(1)).toEqual([...thing, 'open', '1', ...times, 1, null, ...number, ...place]);
  expect(row(2)).toEqual([...thing, 'mode', '1', ...times, null, 'öko', ...number, ...place]);
  expect(row(4).slice(10)).toEqual([null, null, 'device', 3, 9_007_199_254_740_999n]);
  expect(await file.read(['metric'], { start: 2, end: 5 })).toEqual(
    new Map([['metric', ['mode', 'drift', 'temperature']]]),
  );
});

test('equal rows give equal bytes', () => {
  expect(writeParquet(landed())).toEqual(writeParquet(landed()));
});

test('an object is read by ranges, over row groups', async () => {
  const store = new MemoryObjectStore();
  const bytes = writeParquet({ ...landed(), rowGroupSizes: [3, 1, 4] });
  await store.createOnly('a/b', bytes);
  const file = await parquetOfObject(store, { key: 'a/b', bytes: bytes.length });
  expect((await file.read(['value', 'metric'], { start: 2, end: 5 })).get('metric')).toEqual([
    'mode',
    'drift',
    'temperature',
  ]);
});

test('columns that hold nulls alone', async () => {
  const rows = new LandingRows(landedValueColumns);
  const text = { mode: 'off' };
  addReading(
    rows,
    { ...reading, boot: null, seq: null, values: text },
    { partition: 0, offset: 0n },
  );
  const file = await parquetOfBytes(writeParquet({ columns: rows.columns, values: rows.values }));
  expect(await file.read(['value', 'seq', 'boot', 'text'])).toEqual(
    new Map<string, unknown>([
      ['value', [null]],
      ['seq', [null]],
      ['boot', [null]],
      ['text', ['off']],
    ]),
  );
});
