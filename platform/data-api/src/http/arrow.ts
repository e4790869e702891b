import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { must } from '@domicile/core/invariants.ts';
import {
  type Data,
  type DataType,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import type { Response } from 'express';
import { mediaTypes } from './answer.ts';

/** `timestamp`: microseconds since 1970, UTC. */
export type ArrowType = 'utf8' | 'double' | 'int32' | 'int64' | 'timestamp';

export interface ArrowColumn {
  readonly name: string;
  readonly type: ArrowType;
}

/** The columns of some rows, each with as many values: text, numbers, bigints or null. */
export type ArrowChunk = readonly (readonly unknown[])[];

const types: Readonly<Record<ArrowType, () => DataType>> = {
  utf8: () => new Utf8(),
  double: () => new Float64(),
  int32: () => new Int32(),
  int64: () => new Int64(),
  timestamp: () => new TimestampMicrosecond('UTC'),
};

/** Sends an Arrow IPC stream, a batch a chunk, as fast as it is taken. */
export async function sendArrow(
  response: Response,
  columns: readonly ArrowColumn[],
  chunks: AsyncIterable<ArrowChunk> | Iterable<ArrowChunk>,
  signal: AbortSignal,
): Promise<void> {
  const schema = new Schema(columns.map(({ name, type }) => new Field(name, types[type](), true)));
  response.setHeader('Content-Type', mediaTypes.arrow);
  await pipeline(
    Readable.from(batchesOf(schema, columns, chunks)),
    RecordBatchStreamWriter.throughNode({ autoDestroy: true }),
    response,
    { signal },
  );
}

/** The first batch is there even without rows: a stream without one would say nothing of its columns. */
async function* batchesOf(
  schema: Schema,
  columns: readonly ArrowColumn[],
  chunks: AsyncIterable<ArrowChunk> | Iterable<ArrowChunk>,
): AsyncGenerator<RecordBatch> {
  yield batchOf(
    schema,
    columns,
    columns.map(() => []),
  );
  for await (const chunk of chunks) yield batchOf(schema, columns, chunk);
}

function batchOf(schema: Schema, columns: readonly ArrowColumn[], chunk: ArrowChunk): RecordBatch {
  const length = chunk[0]?.length ?? 0;
  const children = columns.map(({ type }, index) => dataOf(type, chunk[index] ?? []));
  const data = makeData({ type: new Struct(schema.fields), length, nullCount: 0, children });
  return new RecordBatch(schema, data);
}

function dataOf(type: ArrowType, values: readonly unknown[]): Data {
  const length = values.length;
  if (type === 'utf8') {
    const texts = values.map((value) => (typeof value === 'string' ? value : null));
    return must(vectorFromArray(texts, new Utf8()).data[0], 'a vector has data');
  }
  const { nullCount, nullBitmap } = nullsOf(values);
  const base = { length, nullCount, nullBitmap };
  if (type === 'double')
    return makeData({ ...base, type: new Float64(), data: Float64Array.from(values, Number) });
  if (type === 'int32')
    return makeData({ ...base, type: new Int32(), data: Int32Array.from(values, Number) });
  const data = BigInt64Array.from(values, bigintOf);
  return type === 'int64'
    ? makeData({ ...base, type: new Int64(), data })
    : makeData({ ...base, type: new TimestampMicrosecond('UTC'), data });
}

function bigintOf(value: unknown): bigint {
  return typeof value === 'bigint' ? value : BigInt(Number(value));
}

/** A bit for each value, the least significant first: 1 where there is one. */
function nullsOf(values: readonly unknown[]): { nullCount: number; nullBitmap: Uint8Array } {
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8));
  let nullCount = 0;
  for (const [index, value] of values.entries()) {
    if (value === null) nullCount += 1;
    else nullBitmap[index >> 3] = (nullBitmap[index >> 3] ?? 0) | (1 << (index & 7));
  }
  return { nullCount, nullBitmap };
}
