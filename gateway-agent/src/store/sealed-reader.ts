import { zstdDecompressSync } from 'node:zlib';
import { type StoredRecord, findRecord } from '../model/record.ts';
import { type PackedBlock, type SealedSegment, parseSealed } from '../model/sealed-segment.ts';
import { type Segment, type SegmentPart, readBytes } from './segment-file.ts';
import type { ReadLimits } from './store.ts';

/** What a block unpacks to; undefined if it cannot be. In a fraction of a millisecond, so no thread is asked: each costs memory. */
export function unpack(packed: Buffer, rawBytes: number): Buffer | undefined {
  try {
    const maxOutputLength = Math.max(1, rawBytes);
    // One chunk, so that it is not gathered from many.
    const raw = zstdDecompressSync(packed, { maxOutputLength, chunkSize: rawBytes + 64 });
    return raw.length === rawBytes ? raw : undefined;
  } catch {
    return undefined;
  }
}

interface Loaded {
  readonly path: string;
  readonly sealed: SealedSegment;
}

/** Reads packed segments, a block at a time; one packed segment and one unpacked block are in memory. */
export class SealedReader {
  #loaded: Loaded | undefined;
  #block: { readonly of: PackedBlock; readonly records: readonly StoredRecord[] } | undefined;

  async read(
    segment: Segment,
    { from, to }: { from: number; to: number },
    limits: ReadLimits,
  ): Promise<SegmentPart> {
    const { sealed } = await this.#load(segment);
    const records: StoredRecord[] = [];
    let bytes = 0;
    let damaged = sealed.checksum === 'wrong';
    for (const block of sealed.blocks) {
      if (block.next <= from) continue;
      const unpacked = this.#recordsOf(block);
      damaged ||= unpacked === undefined;
      for (const record of unpacked ?? []) {
        if (record.index < from) continue;
        bytes += record.body.length;
        const isEnough = records.length >= limits.recordsMax || bytes > limits.bytesMax;
        if (record.index >= to || (isEnough && records.length > 0))
          return { records, next: record.index, damaged };
        records.push(record);
      }
    }
    const end = sealed.next ?? sealed.directory?.next ?? 'lost';
    return { records, next: undefined, damaged, end };
  }

  forget(path: string): void {
    if (this.#loaded?.path !== path) return;
    this.#loaded = undefined;
    this.#block = undefined;
  }

  async #load({ path, bytes }: Segment): Promise<Loaded> {
    if (this.#loaded?.path === path) return this.#loaded;
    this.#block = undefined;
    this.#loaded = { path, sealed: parseSealed(await readBytes(path, 0, bytes)) };
    return this.#loaded;
  }

  #recordsOf(block: PackedBlock): readonly StoredRecord[] | undefined {
    if (this.#block?.of === block) return this.#block.records;
    const raw = block.packed && unpack(block.packed, block.rawBytes);
    const records = raw && recordsIn(raw);
    if (records) this.#block = { of: block, records };
    return records;
  }
}

/** Undefined if one cannot be read: no block is sealed with such a one in it. */
function recordsIn(raw: Buffer): StoredRecord[] | undefined {
  const records: StoredRecord[] = [];
  for (let at = 0; at < raw.length;) {
    const found = findRecord(raw, at);
    if (found.what !== 'record') return undefined;
    if (found.record.kind !== 'segment') records.push(found.record);
    at = found.end;
  }
  return records;
}
