import { open } from 'node:fs/promises';
import { type StoredRecord, findRecord } from '../model/record.ts';
import type { ReadLimits } from './store.ts';

/** A segment as the store knows it. */
export interface Segment {
  /** Index of its first record. */
  readonly first: number;
  readonly path: string;
  /** Bytes that are synced; what is beyond is nobody's business yet. */
  bytes: number;
}

export interface SegmentPart {
  readonly records: readonly StoredRecord[];
  /** Index at which the next read goes on; undefined at the segment's end. */
  readonly next: number | undefined;
  /** Something on the way could not be read. */
  readonly damaged: boolean;
}

/** A part of a segment in memory, and how far it was read. */
interface Loaded {
  readonly path: string;
  readonly base: number;
  readonly bytes: Buffer;
  at: number;
  /** The index that the next record at `at` has at least. */
  index: number;
}

/** Reads segments from front to back and remembers where the last read ended. Holds one segment at most. */
export class SegmentReader {
  #loaded: Loaded | undefined;

  /** Records of one segment from `from` below `to`. */
  async read(
    segment: Segment,
    { from, to }: { from: number; to: number },
    limits: ReadLimits,
  ): Promise<SegmentPart> {
    const loaded = await this.#load(segment, from);
    const records: StoredRecord[] = [];
    let bytes = 0;
    let damaged = false;
    for (;;) {
      const found = findRecord(loaded.bytes, loaded.at);
      if (found.what === 'damaged') {
        damaged = true;
        loaded.at = found.end;
        continue;
      }
      if (found.what !== 'record') {
        loaded.at = loaded.bytes.length;
        return { records, next: undefined, damaged: damaged || found.what !== 'end' };
      }
      const { record, end } = found;
      if (record.kind !== 'segment' && record.index >= from) {
        bytes += record.body.length;
        const isEnough = records.length >= limits.recordsMax || bytes > limits.bytesMax;
        if (record.index >= to || (isEnough && records.length > 0))
          return { records, next: record.index, damaged };
        records.push(record);
      }
      loaded.index = Math.max(loaded.index, record.index + 1);
      loaded.at = end;
    }
  }

  /** Forgets a segment that is being deleted. */
  forget(path: string): void {
    if (this.#loaded?.path === path) this.#loaded = undefined;
  }

  async #load(segment: Segment, from: number): Promise<Loaded> {
    const loaded = this.#loaded;
    const goesOn = loaded?.path === segment.path && loaded.index <= from;
    const isWhole = goesOn && loaded.base + loaded.bytes.length >= segment.bytes;
    if (goesOn && (isWhole || loaded.at < loaded.bytes.length)) return loaded;
    const base = goesOn ? loaded.base + loaded.at : 0;
    const index = goesOn ? loaded.index : segment.first;
    const bytes = await readBytes(segment.path, base, segment.bytes);
    this.#loaded = { path: segment.path, base, bytes, at: 0, index };
    return this.#loaded;
  }
}

export async function readBytes(path: string, from: number, to: number): Promise<Buffer> {
  await using file = await open(path, 'r');
  const bytes = Buffer.allocUnsafe(Math.max(0, to - from));
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, from + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
