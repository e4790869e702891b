import { randomBytes } from 'node:crypto';
import { mkdir, stat, truncate, writeFile } from 'node:fs/promises';
import type { AgentEvents } from '../events.ts';
import { countOf } from '../model/ranges.ts';
import { type Recovered, recover } from '../model/recovery.ts';
import { runId } from '../model/run-id.ts';
import { type SegmentScan, scanSegment } from '../model/segment.ts';
import { readableOf } from './damage.ts';
import {
  type SegmentFile,
  isNoSpace,
  listSegments,
  readCheckpoint,
  removeUnfinished,
  writeCheckpoint,
} from './files.ts';
import { Reserve } from './reserve.ts';
import { type Segment, readBytes } from './segment-file.ts';
import { SegmentStore } from './segment-store.ts';
import type { Store, StoreListener } from './store.ts';

export interface StoreOptions {
  readonly directory: string;
  /** What the segments may take on disk. */
  readonly bytesMax: number;
  /** A segment is closed above this. */
  readonly segmentBytesMax: number;
  /** What must stay free on the disk, as for what else runs there. */
  readonly freeBytesMin: number;
  /** Unsent readings are dropped when they are older, and stand in the account; undefined: never. */
  readonly ageMaxMs?: number | undefined;
  readonly whenFull: 'refuse' | 'drop-oldest';
  readonly checkpointEveryMs: number;
  readonly events: AgentEvents;
  readonly listener: StoreListener;
  /** An end that nobody asked for: the disk fails. What was acked is on it. */
  readonly fail: (error: unknown) => void;
  readonly now: () => number;
}

/** Recovers what is in the directory, or begins a store there. One process at a time may have it. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { directory, events, now } = options;
  await mkdir(directory, { recursive: true });
  await removeUnfinished(directory);
  const checkpoint = await readCheckpoint(directory);
  const files = await listSegments(directory);
  const scans = await scanNewest(files);
  const [oldest] = files;
  const recovered = recover({
    checkpoint,
    scans: scans.map(({ scan }) => scan),
    ...(oldest && { first: oldest.first }),
    freshBoot: runId(now(), randomBytes(16)),
  });
  const reserve = new Reserve(directory);
  await reserve.spendFor(() => writeCheckpoint(directory, withoutReason(recovered)));
  const newest = scans.at(-1);
  if (newest?.file.form === 'plain' && newest.scan.ending !== 'whole')
    await cut(newest.file, newest.scan.bytes);
  // One after the other: a store of many months has thousands, and to ask for all at once takes memory.
  const segments: FoundSegment[] = [];
  for (const file of files) segments.push(await segmentOf(file));
  if (recovered.cut > 0) events.recordsUnreadable(recovered.cut);
  events.storeOpened({
    boot: recovered.boot,
    next: recovered.next,
    unsent: countOf(recovered.unsent),
    renewedFor: recovered.renewedFor,
  });
  return SegmentStore.begin(options, { state: withoutReason(recovered), segments, reserve });
}

function withoutReason({ renewedFor: _reason, cut: _cut, ...checkpoint }: Recovered) {
  return checkpoint;
}

/** From the newest segment back to the first whose head can be read. */
async function scanNewest(files: readonly SegmentFile[]) {
  const scans: { file: SegmentFile; scan: SegmentScan }[] = [];
  for (const file of files.toReversed()) {
    const { bytes } = await readableOf(await segmentOf(file));
    const scan = scanSegment(bytes, file.first);
    scans.unshift({ file, scan });
    if (scan.head) break;
  }
  return scans;
}

/** Cuts a segment's end off; what is cut is set aside, for whoever wants to know. */
async function cut({ path }: SegmentFile, at: number): Promise<void> {
  const { size } = await stat(path);
  const end = await readBytes(path, at, size);
  await writeFile(`${path}.cut`, end).catch((error: unknown) => {
    if (!isNoSpace(error)) throw error;
  });
  await truncate(path, at);
}

/** A segment as a start finds it. */
export interface FoundSegment extends Segment {
  /** Of its newest record. */
  readonly mtimeMs: number;
}

export async function segmentOf({ first, path, form }: SegmentFile): Promise<FoundSegment> {
  const { size, mtimeMs } = await stat(path);
  return { first, path, form, bytes: size, mtimeMs };
}
