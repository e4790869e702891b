import type { SummaryFile, SummaryManifest, SummaryPart } from './summary-manifest.ts';
import type { SummaryInterval } from './summary-windows.ts';

/** As many parts of about one size are merged into one. */
const fanIn = 8;
/** A day is merged into one file so long after it has ended. */
const dayGraceMs = 2 * 3_600_000;
const dayMs = 86_400_000;

export interface CompactionJob {
  readonly building: string;
  readonly dayMs: number;
  readonly parts: readonly { readonly file: SummaryFile; readonly part: SummaryPart }[];
  readonly rows: number;
  /** The day has ended: it gets a file of its own. */
  readonly isDay: boolean;
}

export function rowsOf({ rows }: SummaryPart): number {
  return rows[4] - rows[0];
}

/** What to merge next, the smallest first, at most one job for each building and day, and either one job or `rowsMax` rows. */
export function compactionJobs(
  manifest: SummaryManifest,
  interval: SummaryInterval,
  rowsMax: number,
): CompactionJob[] {
  const found = new Map<string, { file: SummaryFile; part: SummaryPart }[]>();
  for (const file of manifest.files[interval]) {
    for (const part of file.parts) {
      const key = `${part.building} ${part.dayMs}`;
      const parts = found.get(key);
      if (parts) parts.push({ file, part });
      else found.set(key, [{ file, part }]);
    }
  }
  const jobs = [...found.values()].flatMap((parts) => jobOf(manifest, parts) ?? []);
  const taken: CompactionJob[] = [];
  let left = rowsMax;
  for (const job of jobs.toSorted((a, b) => a.rows - b.rows)) {
    if (job.rows > left && taken.length > 0) break;
    taken.push(job);
    left -= job.rows;
  }
  return taken;
}

function jobOf(
  manifest: SummaryManifest,
  parts: readonly { file: SummaryFile; part: SummaryPart }[],
): CompactionJob | undefined {
  const [first] = parts;
  if (!first || parts.length < 2) return undefined;
  const { building, dayMs: startMs } = first.part;
  const job = (chosen: typeof parts, isDay: boolean): CompactionJob => ({
    building,
    dayMs: startMs,
    parts: chosen,
    rows: chosen.reduce((sum, { part }) => sum + rowsOf(part), 0),
    isDay,
  });
  const closedMs = manifest.buildings[building]?.closedMs ?? -Infinity;
  // A day that has been merged waits for more latecomers than one or two.
  const isRipe = parts.length >= (parts.some(({ part }) => part.isDay) ? 2 * fanIn : 2);
  if (closedMs >= startMs + dayMs + dayGraceMs && isRipe) return job(parts, true);
  const bySize = Map.groupBy(parts, ({ part }) =>
    Math.floor(Math.log(rowsOf(part)) / Math.log(fanIn)),
  );
  const alike = [...bySize.values()].find((some) => some.length >= fanIn);
  return alike && job(alike, false);
}

/** The files without the parts that were merged; files without parts are left out. */
export function withoutParts(
  files: readonly SummaryFile[],
  merged: ReadonlySet<SummaryPart>,
): SummaryFile[] {
  return files
    .map((file) => ({ ...file, parts: file.parts.filter((part) => !merged.has(part)) }))
    .filter(({ parts }) => parts.length > 0);
}
