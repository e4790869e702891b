import { open } from 'node:fs/promises';
import type { StoredRecord } from '../model/record.ts';

/** A segment as the store knows it. */
export interface Segment {
  /** Index of its first record. */
  readonly first: number;
  readonly path: string;
  /** Bytes that are synced; what is beyond is nobody's business yet. */
  bytes: number;
  readonly form: 'plain' | 'sealed';
}

export interface SegmentPart {
  readonly records: readonly StoredRecord[];
  /** Index at which the next read goes on; undefined at the segment's end. */
  readonly next: number | undefined;
  /** Something on the way could not be read. */
  readonly damaged: boolean;
  /**
   * At the segment's end: one after its last record, as it says itself; `torn` if a record there was not written whole, `lost` if
   * what stands there cannot be read.
   */
  readonly end?: number | 'torn' | 'lost';
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
