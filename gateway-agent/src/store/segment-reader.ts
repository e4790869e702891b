import { assert } from '@domicile/core/invariants.ts';
import { type StoredRecord, findRecord } from '../model/record.ts';
import { SealedReader } from './sealed-reader.ts';
import { type Segment, type SegmentPart, readBytes } from './segment-file.ts';
import type { ReadLimits } from './store.ts';

/** A part of a segment in memory, and how far it was read. */
interface Loaded {
  readonly path: string;
  readonly base: number;
  readonly bytes: Buffer;
  at: number;
  /** The index that the next record at `at` has at least. */
  index: number;
}

/** What is held in memory, unless there is damage: then the rest of a segment. Longer than any record. */
const windowBytes = 1024 * 1024;

/** Reads segments of either form from front to back and remembers where the last read ended. */
export class SegmentReader {
  readonly #plain = new PlainReader();
  readonly #sealed = new SealedReader();

  /** Records of one segment from `from` below `to`. */
  read(
    segment: Segment,
    range: { from: number; to: number },
    limits: ReadLimits,
  ): Promise<SegmentPart> {
    const reader = segment.form === 'sealed' ? this.#sealed : this.#plain;
    return reader.read(segment, range, limits);
  }

  /** Forgets a segment that is being deleted. */
  forget(path: string): void {
    this.#plain.forget(path);
    this.#sealed.forget(path);
  }
}

class PlainReader {
  #loaded: Loaded | undefined;

  async read(
    segment: Segment,
    { from, to }: { from: number; to: number },
    limits: ReadLimits,
  ): Promise<SegmentPart> {
    // What is synced now is what this read answers for; more may be written while it waits.
    const { bytes: syncedBytes } = segment;
    let loaded = await this.#loadFor(segment, from, syncedBytes);
    const records: StoredRecord[] = [];
    let bytes = 0;
    let damaged = false;
    for (;;) {
      const found = findRecord(loaded.bytes, loaded.at);
      if (found.what === 'damaged') {
        damaged = true;
        loaded.at = found.end;
        const index = found.head?.index ?? found.index;
        if (index !== undefined) loaded.index = Math.max(loaded.index, index + 1);
        continue;
      }
      if (found.what !== 'record') {
        const more = await this.#loadAfter(loaded, syncedBytes);
        if (!more) {
          const end = found.what === 'end' ? loaded.index : found.what;
          return { records, next: undefined, damaged: damaged || found.what !== 'end', end };
        }
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
      loaded.index = Math.max(loaded.index, record.kind === 'segment' ? 0 : record.index + 1);
      loaded.at = end;
    }
  }

  forget(path: string): void {
    if (this.#loaded?.path === path) this.#loaded = undefined;
  }

  /** What is loaded, if the reading goes on in it; else the segment from its start. */
  async #loadFor({ path, first }: Segment, from: number, syncedBytes: number): Promise<Loaded> {
    const loaded = this.#loaded;
    if (loaded?.path === path && loaded.index <= from) return loaded;
    return this.#load({ path, base: 0, index: first }, Math.min(syncedBytes, windowBytes));
  }

  /**
   * The bytes from where the reading stands. A record that a window cuts off is whole in the next; what cannot be read
   * at a window's start is damage, and the rest of the segment is searched at once. Undefined at the end.
   */
  async #loadAfter(loaded: Loaded, syncedBytes: number): Promise<Loaded | undefined> {
    const { path, index } = loaded;
    const end = loaded.base + loaded.bytes.length;
    if (end >= syncedBytes) return undefined;
    const isStuck = loaded.at === 0 && loaded.bytes.length > 0;
    const base = loaded.base + loaded.at;
    const to = isStuck ? syncedBytes : Math.min(syncedBytes, base + windowBytes);
    const more = await this.#load({ path, base, index }, to);
    // A file that is shorter than what was synced has lost its end.
    return more.base + more.bytes.length < to ? undefined : more;
  }

  async #load(from: Omit<Loaded, 'bytes' | 'at'>, to: number): Promise<Loaded> {
    const bytes = await readBytes(from.path, from.base, to);
    const loaded = { ...from, bytes, at: 0 };
    this.#loaded = loaded;
    return loaded;
  }
}
