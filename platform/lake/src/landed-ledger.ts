import type { Bounded } from './bounded.ts';
import { listCheckpoints, readCheckpoint } from './checkpoint-files.ts';
import { chainOf, type Checkpoint, type CheckpointFolder } from './model/checkpoint-key.ts';
import { type LandedRange, landedRange } from './model/landed-range.ts';
import { firstOffsetOf, type LandedStream, ledgerFolder, ledgerKey } from './model/landing-key.ts';
import { parseManifest } from './model/landing-plan.ts';
import type { ObjectStore } from './object-store.ts';

/** Requests of one reader at once, over all partitions. */
export const readsAtOnceMax = 16;
/** Names asked for at once. */
const pageKeys = 1_000;

export interface LedgerOptions extends CheckpointFolder {
  readonly store: ObjectStore;
  readonly reads: Bounded;
  /** Checkpoints of files whose newest reading was received before it are passed over. */
  readonly keptSinceMs: number;
}

export interface Ledger {
  readonly ranges: readonly LandedRange[];
  /** Behind the last manifest. */
  readonly next: bigint;
}

/**
 * All manifests of a partition, of which most are read from checkpoints, many at a time. A checkpoint that is not there or cannot be
 * read costs requests: its manifests are read instead.
 */
export async function readLedger(options: LedgerOptions): Promise<Ledger> {
  const { store, reads, partition, keptSinceMs } = options;
  const usable = new Set(await reads.run(() => listCheckpoints(store, options)));
  const begun = new Map<Checkpoint, Promise<LandedRange[] | undefined>>();
  const contentOf = (one: Checkpoint): Promise<LandedRange[] | undefined> => {
    if (one.receivedToMs <= keptSinceMs) return Promise.resolve([]);
    const read = begun.get(one) ?? reads.run(() => readCheckpoint(store, { ...one, partition }));
    read.catch(() => undefined);
    begun.set(one, read);
    return read;
  };
  const ranges: LandedRange[] = [];
  let next = 0n;
  for (let isWhole = false; !isWhole;) {
    isWhole = true;
    const chain = chainOf(usable, next);
    for (const one of chain) void contentOf(one);
    for (const one of chain) {
      if (one.first > next) {
        const filled = await readManifests(options, next, one.first);
        ranges.push(...filled);
        next = filled.at(-1)?.last ?? next - 1n;
        next += 1n;
      }
      const content = one.first === next ? await contentOf(one) : undefined;
      if (!content) {
        usable.delete(one);
        isWhole = false;
        break;
      }
      ranges.push(...content);
      next = one.last + 1n;
    }
  }
  const rest = await readManifests(options, next);
  return { ranges: [...ranges, ...rest], next: (rest.at(-1)?.last ?? next - 1n) + 1n };
}

interface ManifestPlace {
  readonly store: Pick<ObjectStore, 'get' | 'list'>;
  readonly reads: Bounded;
  readonly stream: LandedStream;
  readonly partition: number;
}

/** Manifests from an offset on, as far as they follow upon each other, up to `until` if it is given. */
export async function readManifests(
  place: ManifestPlace,
  from: bigint,
  until?: bigint,
): Promise<LandedRange[]> {
  const ranges: LandedRange[] = [];
  for (let next = from; ;) {
    const keys = await manifestKeys(place, next, pageKeys);
    const wanted = keys.filter((key) => until === undefined || (firstOffsetOf(key) ?? 0n) < until);
    const read = await readRow(place, next, wanted);
    for (const range of read) ranges.push(range);
    if (read.length < pageKeys) return ranges;
    next = (read.at(-1)?.last ?? next) + 1n;
  }
}

/** The next so many manifests; undefined while there are fewer, for the price of one list. */
export async function nextManifests(
  place: ManifestPlace,
  from: bigint,
  count: number,
): Promise<LandedRange[] | undefined> {
  const keys = await manifestKeys(place, from, count);
  if (keys.length < count) return undefined;
  const ranges = await readRow(place, from, keys);
  return ranges.length < count ? undefined : ranges;
}

async function manifestKeys(
  { store, reads, stream, partition }: ManifestPlace,
  from: bigint,
  limit: number,
): Promise<string[]> {
  const folder = { stream, partition, ledger: '_manifest' } as const;
  const page = { limit, ...(from > 0n && { after: ledgerKey(folder, from - 1n) }) };
  const keys = await reads.run(() => store.list(ledgerFolder(folder), page));
  return keys.filter((key) => firstOffsetOf(key) !== undefined);
}

/** As far as they follow upon each other. */
async function readRow(
  { store, reads }: ManifestPlace,
  from: bigint,
  keys: readonly string[],
): Promise<LandedRange[]> {
  const ranges: LandedRange[] = [];
  let next = from;
  for (const content of await reads.map(keys, (key) => store.get(key))) {
    const range = content && landedRange(parseManifest(content));
    if (range?.first !== next) break;
    ranges.push(range);
    next = range.last + 1n;
  }
  return ranges;
}
