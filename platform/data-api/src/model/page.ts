import { z } from 'zod';
import { invalidRequest } from './parameters.ts';

/** Where a row stands in its list. */
export type RowKey = readonly (string | number)[];

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Null on the last page. */
  readonly next: string | null;
}

const cursorVersion = 1;

/** Opaque to clients: the key of the last row that was given. */
export function cursorText(key: RowKey): string {
  return Buffer.from(JSON.stringify([cursorVersion, ...key])).toString('base64url');
}

/** Throws `VALUE_INVALID` for what `cursorText` did not make for keys of this form. */
export function parseCursor<Key extends readonly (string | number)[]>(
  text: string | undefined,
  key: z.ZodType<Key, unknown[]>,
): Key | undefined {
  if (text === undefined) return undefined;
  const read = z
    .tuple([z.literal(cursorVersion)], z.unknown())
    .transform(([, ...parts]) => parts)
    .pipe(key)
    .safeParse(decoded(text));
  if (read.success) return read.data;
  throw invalidRequest([
    { pointer: '#/query/cursor', detail: 'expected the `next` of an earlier answer' },
  ]);
}

function decoded(text: string): unknown {
  if (!/^[\w-]+$/.test(text)) return undefined;
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
}

export function compareKeys(one: RowKey, other: RowKey): number {
  for (const [index, part] of one.entries()) {
    const against = other[index];
    if (against === undefined) return 1;
    if (part < against) return -1;
    if (part > against) return 1;
  }
  return one.length - other.length;
}

interface Listing<Row> {
  readonly keyOf: (row: Row) => readonly string[];
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** A page of rows that are all at hand, in the order of their keys. */
export function pageOf<Row>(rows: Iterable<Row>, listing: Listing<Row>): Page<Row> {
  const { keyOf, limit, cursor } = listing;
  const after = parseCursor(cursor, z.array(z.string()).min(1).max(8));
  const keyed = [...rows].map((row) => ({ row, key: keyOf(row) }));
  const rest = after ? keyed.filter(({ key }) => compareKeys(key, after) > 0) : keyed;
  const sorted = rest.toSorted((a, b) => compareKeys(a.key, b.key));
  const page = sorted.slice(0, limit);
  const last = page.at(-1);
  return {
    rows: page.map(({ row }) => row),
    next: last && sorted.length > limit ? cursorText(last.key) : null,
  };
}
