import { gunzipSync } from 'node:zlib';
import type { CountryCode } from '@domicile/core/countries.ts';
import type { BuildingId } from '@domicile/core/identities.ts';
import type { ErasableStore } from '../object-store.ts';
import { parquetOfBytes } from '../parquet/read-parquet.ts';

/** One building, and where what is kept of it stands. */
export interface ErasureRun {
  /** By the eraser's identity. */
  readonly landing: ErasableStore;
  readonly serving: ErasableStore;
  readonly country: CountryCode;
  readonly building: BuildingId;
  /** Of the streams: all that a building has stands in one. */
  readonly partition: number;
  /** Of the erasure, over all of its passes and processes: its objects are told apart by it. */
  readonly id: string;
  /** Of this process: what it has written is nobody else's. */
  readonly nonce: string;
  /** What is erased from the landing zone is copied to the export first: also what has landed after the export was made. */
  readonly isExported?: boolean;
  readonly signal: AbortSignal;
}

/** What a pass has done to one kind of thing. */
export interface ErasureCount {
  /** Objects that held something of the building: rewritten without it, or removed. */
  objects: number;
  rows: number;
  readings: number;
  /** Announced objects that were not there to be rewritten. */
  missing: number;
}

export function noErasure(): ErasureCount {
  return { objects: 0, rows: 0, readings: 0, missing: 0 };
}

/** Something that was removed as a whole. */
export const oneObject: Readonly<ErasureCount> = { ...noErasure(), objects: 1 };

/** In place. */
export function addErasure(to: ErasureCount, more: Readonly<ErasureCount>): void {
  to.objects += more.objects;
  to.rows += more.rows;
  to.readings += more.readings;
  to.missing += more.missing;
}

/** Names asked for at once. */
const pageKeys = 1000;

/** All keys below a folder, by name. */
export async function* keysBelow(
  store: Pick<ErasableStore, 'list'>,
  folder: string,
): AsyncGenerator<string> {
  let after = '';
  for (;;) {
    const keys = await store.list(folder, { after, limit: pageKeys });
    yield* keys;
    if (keys.length < pageKeys) return;
    after = keys.at(-1) ?? after;
  }
}

/** Whatever generation it has by now; true if there was one. */
export async function removeObject(store: ErasableStore, key: string): Promise<boolean> {
  for (;;) {
    const head = await store.head(key);
    if (!head) return false;
    if (await store.remove(key, head.generation)) return true;
  }
}

/** The number of the snapshot that an object of the serving layer was written for; undefined for pointers. */
export function snapshotNumberIn(key: string): number | undefined {
  const digits = /\/(?:snapshots|data)\/(\d{20})[^/]*$/.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * Removes what speaks of the building and was written for a snapshot up to `number`, which is there already: no snapshot will
 * name it. What the newest one names is `kept`.
 */
export async function removeOlder(
  { serving, building, signal }: ErasureRun,
  of: {
    readonly folder: string;
    readonly number: number;
    readonly kept: ReadonlySet<string>;
    /** Called before each removal. */
    readonly noted: (key: string) => Promise<void> | undefined;
  },
): Promise<ErasureCount> {
  const count = noErasure();
  for await (const key of keysBelow(serving, of.folder)) {
    signal.throwIfAborted();
    const number = snapshotNumberIn(key);
    if (number === undefined || number > of.number || of.kept.has(key)) continue;
    if (!(await speaksOf(serving, key, building))) continue;
    await of.noted(key);
    if (await removeObject(serving, key)) count.objects += 1;
  }
  return count;
}

/** Whether an object of the serving layer holds something of the building. */
export async function speaksOf(
  store: Pick<ErasableStore, 'get'>,
  key: string,
  building: string,
): Promise<boolean> {
  const content = await store.get(key);
  if (!content) return false;
  if (key.endsWith('.parquet')) {
    const file = await parquetOfBytes(content);
    return (await file.read(['building'])).get('building')?.includes(building) ?? false;
  }
  // As a text in JSON, or as the first cell of CSV.
  const text = (key.endsWith('.gz') ? gunzipSync(content) : content).toString();
  return text.includes(`"${building}"`) || `\n${text}`.includes(`\n${building},`);
}
