import { keysBelow, snapshotNumberIn } from './erasure/erasure-run.ts';
import { summaryFolder, type SummaryManifest } from './model/summary-manifest.ts';
import { type SummaryInterval, summaryIntervals } from './model/summary-windows.ts';
import type { ErasableStore } from './object-store.ts';

/** Of one round: between rounds others have their turn at the store. */
export const removalsPerRoundMax = 500;

export interface PruningOptions {
  /** By an identity that may remove what is below `snapshots/` and `data/`. */
  readonly store: Pick<ErasableStore, 'list' | 'head' | 'remove'>;
  /** How long at least something stays after a newer snapshot has gone without it. */
  readonly graceMs: number;
  /** Of this process alone: steady, of any beginning. */
  readonly now?: () => number;
}

export interface PruneReport {
  readonly snapshots: number;
  readonly files: number;
  readonly bytes: number;
  /** Nothing is left to remove before more of the grace is over. */
  readonly isDone: boolean;
}

interface Mark {
  readonly number: number;
  /** Files that its snapshot names. */
  readonly named: ReadonlySet<string>;
  readonly atMs: number;
}

interface Removed {
  readonly kind: 'snapshots' | 'files';
  readonly bytes: number;
}

/**
 * Removes superseded snapshots of summaries and the files that no later one names, those of flushes that were given up among them.
 *
 * A published snapshot is marked. When the grace is over, what is older than the mark and not named by it goes: no snapshot from
 * the mark on names it, and whoever holds an older one has had the grace to read again. The mark is kept in memory alone: who starts
 * anew marks anew, so what is removed has been superseded for the whole grace, whatever was killed in between. Snapshots go before
 * files and by rising numbers, so that one that is there names files that are there, and a writer that was passed by finds the
 * snapshot before its own gone (`SummaryWriter.flush`).
 */
export class SummaryPruning {
  readonly #options: Required<PruningOptions>;
  #mark: Mark | undefined;
  #sweep: AsyncGenerator<Removed> | undefined;

  constructor(options: PruningOptions) {
    this.#options = { now: () => performance.now(), ...options };
  }

  /**
   * Removes at most `removalsPerRoundMax` objects. `published`: the newest snapshot that its pointers name. Throws as the store
   * does, and may be called again.
   */
  async round(published: SummaryManifest): Promise<PruneReport> {
    const report = { snapshots: 0, files: 0, bytes: 0, isDone: true };
    const { graceMs, now } = this.#options;
    this.#mark ??= markOf(published, now());
    if (now() - this.#mark.atMs < graceMs) return report;
    this.#sweep ??= this.#removeBefore(this.#mark);
    try {
      for (let left = removalsPerRoundMax; left > 0; left -= 1) {
        const { value, done } = await this.#sweep.next();
        if (done === true) {
          this.#sweep = undefined;
          this.#mark = markOf(published, now());
          return report;
        }
        report[value.kind] += 1;
        report.bytes += value.bytes;
      }
    } catch (error) {
      this.#sweep = undefined;
      throw error;
    }
    return { ...report, isDone: false };
  }

  async *#removeBefore(mark: Mark): AsyncGenerator<Removed> {
    for (const interval of summaryIntervals) yield* this.#removeBelow(mark, interval, 'snapshots');
    for (const interval of summaryIntervals) yield* this.#removeBelow(mark, interval, 'files');
  }

  async *#removeBelow(
    { number: marked, named }: Mark,
    interval: SummaryInterval,
    kind: Removed['kind'],
  ): AsyncGenerator<Removed> {
    const isFiles = kind === 'files';
    const folder = `${summaryFolder(interval)}${isFiles ? 'data' : 'snapshots'}/`;
    for await (const key of keysBelow(this.#options.store, folder)) {
      const number = snapshotNumberIn(key);
      if (number === undefined || named.has(key)) continue;
      // A file of a later number may be named by a snapshot that is being made.
      if (isFiles ? number > marked : number >= marked) return;
      const bytes = await this.#remove(key);
      if (bytes !== undefined) yield { kind, bytes };
    }
  }

  /** Undefined if it is gone already. */
  async #remove(key: string): Promise<number | undefined> {
    const head = await this.#options.store.head(key);
    if (!head) return undefined;
    await this.#options.store.remove(key, head.generation);
    return head.bytes;
  }
}

function markOf({ number, files }: SummaryManifest, atMs: number): Mark {
  const named = summaryIntervals.flatMap((interval) => files[interval].map(({ key }) => key));
  return { number, named: new Set(named), atMs };
}
