import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import {
  chainOf,
  type Checkpoint,
  checkpointFolder,
  type CheckpointFolder,
  checkpointKey,
  parseCheckpointKey,
  withoutGap,
} from './model/checkpoint-key.ts';
import type { LandedRange } from './model/landed-range.ts';
import type { ObjectStore } from './object-store.ts';

const [packed, unpacked] = [promisify(gzip), promisify(gunzip)];
const digits = z.string().regex(/^\d{1,20}$/);

const checkpointSchema = z.object({
  version: z.literal(1),
  ranges: z.array(
    z.object({
      first: digits,
      last: digits,
      files: z.array(
        z.object({
          path: z.string(),
          bytes: z.number(),
          receivedToMs: z.number(),
          /** `[building, measuredFromMs, measuredToMs]`. */
          buildings: z.array(z.tuple([z.string(), z.number(), z.number()])),
        }),
      ),
    }),
  ),
});

const pageKeys = 1_000;

/** By their names; nothing is read. */
export async function listCheckpoints(
  store: Pick<ObjectStore, 'list'>,
  of: CheckpointFolder,
): Promise<Checkpoint[]> {
  const folder = checkpointFolder(of);
  const found: Checkpoint[] = [];
  for (let after = ''; ;) {
    const keys = await store.list(folder, { after, limit: pageKeys });
    found.push(...keys.flatMap((key) => parseCheckpointKey(key) ?? []));
    if (keys.length < pageKeys) return found;
    after = keys.at(-1) ?? after;
  }
}

/** Manifests that follow upon each other. Whoever writes the same ones writes the same object. */
export async function writeCheckpoint(
  store: Pick<ObjectStore, 'createOnly'>,
  of: CheckpointFolder,
  ranges: readonly LandedRange[],
): Promise<Checkpoint> {
  const [first, last] = [ranges[0], ranges.at(-1)];
  if (!first || !last) throw new PlatformError('VALUE_INVALID', 'Cannot copy no manifests');
  const times = ranges.flatMap(({ files }) => files.map(({ receivedToMs }) => receivedToMs));
  const named = {
    first: first.first,
    last: last.last,
    manifests: ranges.length,
    receivedToMs: times.reduce((a, b) => Math.max(a, b), 0),
  };
  const key = checkpointKey(checkpointFolder(of), named);
  await store.createOnly(
    key,
    await packed(JSON.stringify({ version: 1, ranges: encoded(ranges) })),
  );
  return { key, ...named };
}

function encoded(ranges: readonly LandedRange[]) {
  return ranges.map(({ first, last, files }) => ({
    first: `${first}`,
    last: `${last}`,
    files: files.map(({ path, bytes, receivedToMs, buildings }) => ({
      path,
      bytes,
      receivedToMs,
      buildings: buildings.map((one) => [one.building, one.measuredFromMs, one.measuredToMs]),
    })),
  }));
}

/** Undefined if it is gone, torn or not what its name says: then the manifests themselves are read. */
export async function readCheckpoint(
  store: Pick<ObjectStore, 'get'>,
  of: Checkpoint & { readonly partition: number },
): Promise<LandedRange[] | undefined> {
  const content = await store.get(of.key);
  const ranges = content && (await decoded(content, of.partition));
  const isNamed =
    ranges?.length === of.manifests &&
    ranges[0]?.first === of.first &&
    ranges.at(-1)?.last === of.last &&
    ranges.every(({ first }, index) => index === 0 || ranges[index - 1]?.last === first - 1n);
  return isNamed ? ranges : undefined;
}

async function decoded(content: Buffer, partition: number): Promise<LandedRange[] | undefined> {
  try {
    const text = (await unpacked(content)).toString();
    return checkpointSchema.parse(JSON.parse(text)).ranges.map((range) => {
      const [first, last] = [BigInt(range.first), BigInt(range.last)];
      const files = range.files.map((file) => ({
        ...file,
        partition,
        first,
        last,
        buildings: file.buildings.map(([building, measuredFromMs, measuredToMs]) => {
          return { building, measuredFromMs, measuredToMs };
        }),
      }));
      return { first, last, files };
    });
  } catch {
    return undefined;
  }
}

/** The last manifest that checkpoints speak of without a gap: what comes before it was announced. Undefined if none does. */
export async function checkpointedTo(
  store: Pick<ObjectStore, 'get' | 'list'>,
  of: CheckpointFolder,
): Promise<LandedRange | undefined> {
  const usable = new Set(await listCheckpoints(store, of));
  for (;;) {
    const newest = withoutGap(chainOf(usable, 0n)).at(-1);
    if (!newest) return undefined;
    const ranges = await readCheckpoint(store, { ...newest, partition: of.partition });
    if (ranges) return ranges.at(-1);
    usable.delete(newest);
  }
}
