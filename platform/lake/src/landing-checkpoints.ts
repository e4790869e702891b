import { Bounded } from './bounded.ts';
import { listCheckpoints, readCheckpoint, writeCheckpoint } from './checkpoint-files.ts';
import { nextManifests, readManifests, readsAtOnceMax } from './landed-ledger.ts';
import {
  chainOf,
  type Checkpoint,
  type CheckpointFolder,
  withoutGap,
} from './model/checkpoint-key.ts';
import { erasurePointerKey, parseErasurePointer } from './model/erasure-pointer.ts';
import type { LandedRange } from './model/landed-range.ts';
import type { LandedStream } from './model/landing-key.ts';
import type { ObjectStore } from './object-store.ts';

export interface LandingCheckpointsOptions {
  readonly store: ObjectStore;
  readonly stream: LandedStream;
  /** Of the stream. */
  readonly partitions: number;
  /** Manifests of one checkpoint. */
  readonly manifestsEach?: number;
  /** Checkpoints that are gathered into one. */
  readonly gathered?: number;
  /** Written in one round at most. */
  readonly perRoundMax?: number;
}

export interface CheckpointReport {
  readonly written: number;
  /** The round was ended by its bound. */
  readonly isBehind: boolean;
}

/**
 * Copies manifests into fewer objects, so that whoever starts later reads few: as soon as there are enough of them, and again
 * when there are enough of these. The manifests stay, and stay what counts. Killed anywhere, it leaves nothing half: a copy is created
 * whole, and readers do without those that are not there. Any number may do it at once.
 */
export class LandingCheckpoints {
  readonly #options: Required<LandingCheckpointsOptions>;
  readonly #reads = new Bounded(readsAtOnceMax);
  /** Partition → what stands there, as far as this process knows. */
  readonly #known = new Map<number, { erasures: number; checkpoints: Checkpoint[] }>();

  constructor(options: LandingCheckpointsOptions) {
    this.#options = { manifestsEach: 256, gathered: 16, perRoundMax: 8, ...options };
  }

  async round(): Promise<CheckpointReport> {
    const { store, stream, partitions, perRoundMax } = this.#options;
    const { erasures } = parseErasurePointer(await store.get(erasurePointerKey(stream)));
    let written = 0;
    for (let partition = 0; partition < partitions; partition += 1) {
      const folder = { stream, partition, erasures: erasures[`${partition}`] ?? 0 };
      while (written < perRoundMax && (await this.#writeNext(folder))) written += 1;
    }
    return { written, isBehind: written >= perRoundMax };
  }

  async #writeNext(folder: CheckpointFolder): Promise<boolean> {
    const { store, manifestsEach, gathered } = this.#options;
    const checkpoints = await this.#checkpointsIn(folder);
    const chain = withoutGap(chainOf(checkpoints, 0n));
    const small = chain.filter(({ manifests }) => manifests <= manifestsEach);
    const ranges =
      small.length >= gathered
        ? await this.#gather(folder, small.slice(0, gathered))
        : await this.#nextManifests(folder, (chain.at(-1)?.last ?? -1n) + 1n);
    if (!ranges) return false;
    checkpoints.push(await writeCheckpoint(store, folder, ranges));
    return true;
  }

  async #checkpointsIn(folder: CheckpointFolder): Promise<Checkpoint[]> {
    const { partition, erasures } = folder;
    const known = this.#known.get(partition);
    if (known?.erasures === erasures) return known.checkpoints;
    const checkpoints = await listCheckpoints(this.#options.store, folder);
    this.#known.set(partition, { erasures, checkpoints });
    return checkpoints;
  }

  async #gather(
    { partition, ...folder }: CheckpointFolder,
    checkpoints: readonly Checkpoint[],
  ): Promise<LandedRange[]> {
    const { store } = this.#options;
    const all: LandedRange[] = [];
    for (const one of checkpoints) {
      const copied = await readCheckpoint(store, { ...one, partition });
      const place = { store, reads: this.#reads, partition, stream: folder.stream };
      for (const range of copied ?? (await readManifests(place, one.first, one.last + 1n)))
        all.push(range);
    }
    return all;
  }

  /** Undefined until there are enough. */
  async #nextManifests(
    { stream, partition }: CheckpointFolder,
    from: bigint,
  ): Promise<LandedRange[] | undefined> {
    const { store, manifestsEach } = this.#options;
    const place = { store, reads: this.#reads, stream, partition };
    return nextManifests(place, from, manifestsEach);
  }
}
