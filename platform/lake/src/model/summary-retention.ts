import { withoutParts } from './summary-compaction.ts';
import type { SummaryManifest } from './summary-manifest.ts';
import { coarseIntervals, summaryIntervals } from './summary-windows.ts';

const dayMs = 86_400_000;

/**
 * Windows that begin before it are over: whole UTC days, each so many days after its beginning. A store's rule counts from the creation of a
 * file, so from later: it takes no file that a snapshot still names. Undefined days: nothing is ever over.
 */
export function summariesKeptSinceMs(days: number | undefined, nowMs: number): number {
  return days === undefined ? -Infinity : Math.ceil((nowMs - days * dayMs) / dayMs) * dayMs;
}

/** Names no more what is over, so that nothing is merged from what remains of it. Gives how many parts. In place. */
export function forgetBefore(manifest: SummaryManifest, sinceMs: number): number {
  let count = 0;
  for (const interval of summaryIntervals) {
    const files = manifest.files[interval];
    const over = files.flatMap(({ parts }) => parts.filter((part) => part.dayMs < sinceMs));
    count += over.length;
    if (over.length > 0) manifest.files[interval] = withoutParts(files, new Set(over));
  }
  for (const { pending } of Object.values(manifest.buildings))
    for (const interval of coarseIntervals)
      pending[interval] = pending[interval].filter((startMs) => startMs >= sinceMs);
  return count;
}
