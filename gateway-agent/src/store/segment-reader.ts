import { open } from 'node:fs/promises';
import { assert } from '@domicile/core/invariants.ts';
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
    // What is synced now is what this read answers for; more may be written while it waits.
    const { bytes: syncedBytes } = segment;
    let loaded = await this.#load(segment, from, syncedBytes);
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
        damaged ||= found.what !== 'end';
        if (loaded.base + loaded.at >= syncedBytes) return { records, next: undefined, damaged };
        const more = await this.#load(segment, loaded.index, syncedBytes);
        // A file that is shorter than what was synced has lost its end.
        if (more.bytes.length === 0) return { records, next: undefined, damaged: true };
        loaded = more;
        continue;
      }
      const { record, end } = found;
      assert(record.index <= loaded.index || damaged, 'Only damage leaves out a record');
      loaded.index = Math.max(loaded.index, record.index);
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

  async #load({ path, first }: Segment, from: number, syncedBytes: number): Promise<Loaded> {
    const loaded = this.#loaded;
    const goesOn = loaded?.path === path && loaded.index <= from;
    const isWhole = goesOn && loaded.base + loaded.bytes.length >= syncedBytes;
    if (goesOn && (isWhole || loaded.at < loaded.bytes.length)) return loaded;
    const base = goesOn ? loaded.base + loaded.at : 0;
    const index = goesOn ? loaded.index : first;
    const bytes = await readBytes(path, base, syncedBytes);
    const fresh = { path, base, bytes, at: 0, index };
    this.#loaded = fresh;
    return fresh;
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
