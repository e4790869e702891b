import { zstdDecompressSync } from 'node:zlib';
import { PlatformError } from '@domicile/core/errors.ts';
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  type ParquetQueryFilter,
  parquetScan,
} from 'hyparquet';
import type { ObjectStore } from '../object-store.ts';

/** Values of one column: text, numbers, and bigints for int64 and timestamps (microseconds). */
export type ReadValue = string | number | bigint | null;

/** A file of ours that is read in slices. */
export interface ParquetFile {
  readonly rows: number;
  /** The rows of each row group. */
  readonly groups: readonly { readonly start: number; readonly end: number }[];
  readonly metadata: ReadonlyMap<string, string>;
  /** Columns of the rows of a range, all of one length. */
  read(names: readonly string[], range?: RowRange): Promise<Map<string, ReadValue[]>>;
}

/** The rows [start, end), without row groups whose bounds say that no row of theirs fits `where`. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
  readonly where?: ParquetQueryFilter;
}

export function parquetOfBytes(content: Uint8Array): Promise<ParquetFile> {
  return openParquet({
    byteLength: content.byteLength,
    slice: (start, end) => copyOf(content.subarray(start, end)),
  });
}

/** Reads the footer; what is asked for later is fetched by ranges. Throws `NOT_FOUND`. */
export function parquetOfObject(
  store: ObjectStore,
  object: { readonly key: string; readonly bytes: number },
): Promise<ParquetFile> {
  const { key, bytes } = object;
  return openParquet({
    byteLength: bytes,
    slice: async (start, end = bytes) =>
      copyOf(await store.getRange(key, { start: start < 0 ? bytes + start : start, end })),
  });
}

/** Bounds in the footer and values alike. */
const parsers = { timestampFromMicroseconds: (micros: bigint) => micros };

async function openParquet(file: AsyncBuffer): Promise<ParquetFile> {
  const metadata = await parquetMetadataAsync(file, { parsers });
  const rows = Number(metadata.num_rows);
  return {
    rows,
    groups: groupsOf(metadata),
    metadata: new Map(
      (metadata.key_value_metadata ?? []).map(({ key, value = '' }) => [key, value]),
    ),
    read: (names, range = { start: 0, end: rows }) => readSlice({ file, metadata, names, range }),
  };
}

function groupsOf({ row_groups: groups }: FileMetaData) {
  let start = 0;
  return groups.map(({ num_rows: count }) => {
    const group = { start, end: start + Number(count) };
    start = group.end;
    return group;
  });
}

interface Slice {
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly names: readonly string[];
  readonly range: RowRange;
}

async function readSlice(slice: Slice): Promise<Map<string, ReadValue[]>> {
  const { file, metadata, names, range } = slice;
  const scan = await parquetScan({
    file,
    metadata,
    columns: [...names],
    rowStart: range.start,
    rowEnd: range.end,
    ...(range.where && { pruningFilter: range.where }),
    compressors: { ZSTD: (input) => zstdDecompressSync(input) },
    parsers,
  });
  const found = new Map<string, ReadValue[]>(names.map((name) => [name, []]));
  for (const rows of scan.ranges)
    for (const [column, values] of found)
      for (const value of await scan.readColumn({ column, ...rows })) values.push(known(value));
  return found;
}

function known(value: unknown): ReadValue {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
    return value;
  throw new PlatformError('OBJECT_MISMATCH', 'Cannot read: a column is of another type');
}

/** hyparquet wants the buffer of exactly these bytes. */
function copyOf(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.byteLength);
  new Uint8Array(copy).set(bytes);
  return copy;
}
