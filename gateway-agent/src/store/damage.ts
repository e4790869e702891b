import type { Dropped } from '../model/dropped.ts';
import { droppedBefore, scanSegment } from '../model/segment.ts';
import { type Segment, readBytes } from './segment-reader.ts';

export interface Damage {
  readonly dropped: readonly Dropped[];
  /** Records that are gone, with or without a name. */
  readonly unreadable: number;
}

/** What a damaged segment lost, by itself and by the head of the one after it. */
export async function damageOf(segment: Segment, after: Segment | undefined): Promise<Damage> {
  const scan = scanSegment(await readBytes(segment.path, 0, segment.bytes), segment.first);
  const next = after && scanSegment(await readBytes(after.path, 0, after.bytes), after.first).head;
  const dropped = [...scan.dropped, ...(next ? droppedBefore(scan, next) : [])];
  const named = dropped.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  return { dropped, unreadable: named + Math.max(0, scan.unknown) };
}
