import { PlatformError } from '@domicile/core/errors.ts';
import { type CompactionJob, rowsOf } from '../model/summary-compaction.ts';
import {
  parsePointer,
  parseSummaryManifest,
  type SummaryFile,
  summaryFolder,
  type SummaryManifest,
  summarySnapshotKey,
} from '../model/summary-manifest.ts';
import { type SummaryInterval, summaryIntervals } from '../model/summary-windows.ts';
import type { ErasableStore } from '../object-store.ts';
import { compact } from '../summary-compact.ts';
import { SummaryParts } from '../summary-parts.ts';
import { SummaryWriter } from '../summary-writer.ts';
import {
  addErasure,
  type ErasureCount,
  type ErasureRun,
  noErasure,
  oneObject,
  removeOlder,
} from './erasure-run.ts';
import type { ErasureTally } from './erasure-tally.ts';

/** The writer of the serving layer is faster now and then. */
const attemptsMax = 50;
/** As the report names it. */
export const summariesKind = 'serving/summaries';

/**
 * Takes a building out of the newest snapshot of summaries, as a second writer of it: the one that runs is fenced by the number
 * of the snapshot and goes on from this one. What is older is removed by `retireSummaries`, once nobody reads it any more.
 */
export async function eraseSummaries(run: ErasureRun, tally?: ErasureTally): Promise<ErasureCount> {
  const { serving, building, signal } = run;
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    signal.throwIfAborted();
    const newest = await newestManifest(serving);
    if (!newest) return noErasure();
    if (!mentions(newest, building)) {
      await publishNewest(serving);
      return noErasure();
    }
    const { draft, count } = await without(serving, newest, building);
    const key = summarySnapshotKey('PT1M', draft.number);
    await tally?.note(summariesKind, 'newest', count);
    if (!(await serving.createOnly(key, Buffer.from(JSON.stringify(draft))))) continue;
    // Where the writer has gone on for long and has pruned, the number was free again: then the one before is gone too.
    if (!(await serving.head(summarySnapshotKey('PT1M', newest.number)))) continue;
    await publishNewest(serving);
    return count;
  }
  throw new PlatformError(
    'CONFLICT',
    'Cannot erase summaries: their writer is always faster; stop the serving builder for a minute',
  );
}

/** Whoever opens a writer does: pointers, the coarser snapshots, the CSV. A pass that was killed may have left them behind. */
async function publishNewest(serving: ErasableStore): Promise<void> {
  await SummaryWriter.open(serving);
}

/** Removes older snapshots and files that speak of the building. Readers of the newest snapshot miss none of it. */
export async function retireSummaries(
  run: ErasureRun,
  tally?: ErasureTally,
): Promise<ErasureCount> {
  const count = noErasure();
  const newest = await newestManifest(run.serving);
  if (!newest) return count;
  for (const interval of summaryIntervals) {
    const kept = new Set(newest.files[interval].map(({ key }) => key));
    kept.add(summarySnapshotKey(interval, newest.number));
    const folder = summaryFolder(interval);
    const { number } = newest;
    const noted = (key: string) => tally?.note(summariesKind, key, oneObject);
    addErasure(count, await removeOlder(run, { folder, number, kept, noted }));
  }
  return count;
}

/** The pointer may lag behind a writer that was killed. */
async function newestManifest(serving: ErasableStore): Promise<SummaryManifest | undefined> {
  const pointer = await serving.get(`${summaryFolder('PT1M')}latest.json`);
  let number = pointer ? parsePointer(pointer).number : 0;
  while (await serving.head(summarySnapshotKey('PT1M', number + 1))) number += 1;
  const content = number === 0 ? undefined : await serving.get(summarySnapshotKey('PT1M', number));
  return content && parseSummaryManifest(content);
}

function mentions(manifest: SummaryManifest, building: string): boolean {
  return (
    Object.hasOwn(manifest.buildings, building) ||
    summaryIntervals.some((interval) =>
      manifest.files[interval].some((file) => isIn(file, building)),
    )
  );
}

function isIn({ parts }: SummaryFile, building: string): boolean {
  return parts.some((part) => part.building === building);
}

async function without(
  serving: ErasableStore,
  newest: SummaryManifest,
  building: string,
): Promise<{ draft: SummaryManifest; count: ErasureCount }> {
  const count = noErasure();
  const draft = structuredClone(newest);
  draft.number += 1;
  delete draft.buildings[building];
  const parts = new SummaryParts(serving);
  for (const interval of summaryIntervals) {
    const files: SummaryFile[] = [];
    for (const [index, file] of newest.files[interval].entries()) {
      const own = file.parts.filter((part) => part.building === building);
      if (own.length > 0) count.objects += 1;
      for (const part of own) count.rows += rowsOf(part);
      const padded = `${`${draft.number}`.padStart(20, '0')}-${index}`;
      const name = `${summaryFolder(interval)}data/${padded}`;
      const rest = { file, building, interval, name };
      const kept = own.length === 0 ? file : await partsOfOthers({ serving, parts }, rest);
      if (kept) files.push(kept);
    }
    draft.files[interval] = files;
  }
  return { draft, count };
}

/** A file of the other buildings' parts as they are; undefined if there are none. */
async function partsOfOthers(
  { serving, parts }: { serving: ErasableStore; parts: SummaryParts },
  of: {
    readonly file: SummaryFile;
    readonly building: string;
    readonly interval: SummaryInterval;
    readonly name: string;
  },
): Promise<SummaryFile | undefined> {
  const { file, building, interval, name } = of;
  const others = file.parts.filter((part) => part.building !== building);
  if (others.length === 0) return undefined;
  const jobs = others.map((part): CompactionJob => ({
    building: part.building,
    dayMs: part.dayMs,
    parts: [{ file, part }],
    rows: rowsOf(part),
    isDay: part.isDay === true,
  }));
  const written = await compact({ store: serving, parts, interval, name }, jobs);
  const days = new Set(jobs.filter(({ isDay }) => isDay).map(placeOf));
  return {
    ...written,
    parts: written.parts.map(({ isDay: _isDay, ...part }) =>
      days.has(placeOf(part)) ? { ...part, isDay: true } : part,
    ),
  };
}

function placeOf({ building, dayMs }: { building: string; dayMs: number }): string {
  return `${building} ${dayMs}`;
}
