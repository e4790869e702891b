import { type Dropped, addDropped } from '../model/dropped.ts';
import {
  type SealedSegment,
  namedDamage,
  parseDirectory,
  parseSealed,
} from '../model/sealed-segment.ts';
import { droppedBefore, scanSegment } from '../model/segment.ts';
import { unpack } from './sealed-reader.ts';
import { type Segment, readBytes } from './segment-file.ts';

export interface Damage {
  readonly dropped: readonly Dropped[];
  /** Records that are gone, with or without a name. */
  readonly unreadable: number;
}

interface Readable {
  /** Whole records, as in a plain segment; what cannot be unpacked is left out. */
  readonly bytes: Buffer;
  /** What is left out, as far as the segment's own directory names it. */
  readonly named: readonly Dropped[];
}

/** What a damaged segment lost, by itself and by the head of the one after it. */
export async function damageOf(segment: Segment, after: Segment | undefined): Promise<Damage> {
  const { bytes, named } = await readableOf(segment);
  const scan = scanSegment(bytes, segment.first);
  const next = after && scanSegment((await readableOf(after)).bytes, after.first).head;
  const dropped = [...named, ...scan.dropped, ...(next ? droppedBefore(scan, next) : [])].reduce<
    readonly Dropped[]
  >(addDropped, []);
  const known = dropped.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  return { dropped, unreadable: Math.max(known, scan.unknown) };
}

/** What can be read of a segment of either form. */
export async function readableOf({ path, bytes, form }: Segment): Promise<Readable> {
  const file = await readBytes(path, 0, bytes);
  if (form === 'plain') return { bytes: file, named: [] };
  const sealed = parseSealed(file);
  const readable = new Set<number>();
  const parts: Buffer[] = [];
  for (const { packed, rawBytes, first } of sealed.blocks) {
    const raw = packed && unpack(packed, rawBytes);
    if (!raw) continue;
    readable.add(first);
    parts.push(raw);
  }
  const directory = directoryOf(sealed);
  const named = directory ? namedDamage(directory, (first) => readable.has(first)) : [];
  return { bytes: Buffer.concat(parts), named };
}

function directoryOf({ directory }: SealedSegment) {
  const raw = directory?.packed && unpack(directory.packed, directory.rawBytes);
  return raw && parseDirectory(raw);
}
