import { Bounded } from './bounded.ts';
import { type Ledger, readLedger, readsAtOnceMax } from './landed-ledger.ts';
import {
  type ErasurePointer,
  erasurePointerKey,
  parseErasurePointer,
} from './model/erasure-pointer.ts';
import { type LandedFile, type LandedRange, landedRange } from './model/landed-range.ts';
import { type LandedStream, ledgerKey } from './model/landing-key.ts';
import { type LandingManifest, parseManifest } from './model/landing-plan.ts';
import {
  keptForEver,
  keptSinceMs,
  parseRetention,
  type Retention,
  retentionKey,
} from './model/retention.ts';
import type { ObjectStore } from './object-store.ts';

export interface LandedManifestsOptions {
  readonly store: ObjectStore;
  /** Of the stream. */
  readonly partitions: number;
  readonly stream?: LandedStream;
  /** Milliseconds since 1970: by it files expire. */
  readonly now?: () => number;
}

/** Manifests read by one refresh at most for each partition; the next one goes on. */
const manifestsPerRefreshMax = 100_000;
/** How often files that have expired are forgotten. */
const forgetEveryMs = 60_000;

/**
 * The manifests of the landing zone as far as their files are kept, read once and then followed: each one's name follows from
 * the end of the one before. At first most are read from checkpoints. They are read again only when a building was erased.
 *
 *     const landed = await LandedManifests.open({ store, partitions });
 *     await landed.refresh();                                       // reads what is new
 *     landed.files({ building, fromMs, toMs });                     // files with readings of it measured in [from, to)
 *     landed.offsets;                                               // partition → first offset that is not landed yet
 *     await landed.reread(paths);                                   // these are not there: true if they have successors
 */
export class LandedManifests {
  readonly #options: Required<LandedManifestsOptions>;
  readonly #offsets = new Map<number, bigint>();
  readonly #files = new Map<string, LandedFile[]>();
  readonly #reads = new Bounded(readsAtOnceMax);
  #erasures: ErasurePointer['erasures'] = {};
  #retention: Retention = keptForEver;
  #forgottenMs = -Infinity;
  #refreshing: Promise<void> | undefined;
  #withdrawals = 0;

  static async open(options: LandedManifestsOptions): Promise<LandedManifests> {
    const manifests = new LandedManifests(options);
    await manifests.#readPointers();
    const partitions = [...manifests.#offsets.keys()];
    const all = await Promise.all(partitions.map(async (one) => manifests.#read(one)));
    for (const [partition, ledger] of all.entries()) manifests.#replace(partition, ledger);
    return manifests;
  }

  private constructor(options: LandedManifestsOptions) {
    this.#options = { stream: 'readings', now: Date.now, ...options };
    for (let partition = 0; partition < options.partitions; partition += 1)
      this.#offsets.set(partition, 0n);
  }

  /** Partition → the offset behind its last manifest: from there on the stream has to be read. */
  get offsets(): ReadonlyMap<number, bigint> {
    return new Map(this.#offsets);
  }

  /** What was received before it has gone by retention, Unix milliseconds; -Infinity if everything is kept. */
  get keptSinceMs(): number {
    return keptSinceMs(this.#retention.days, this.#options.now());
  }

  /** By partition and offset; none whose retention has ended. */
  files(of: { building: string; fromMs: number; toMs: number }): LandedFile[] {
    const { building, fromMs, toMs } = of;
    const isKept = this.#isKept();
    return (this.#files.get(building) ?? []).filter(
      (file) =>
        isKept(file) &&
        file.buildings.some(
          (one) =>
            one.building === building && one.measuredFromMs < toMs && one.measuredToMs >= fromMs,
        ),
    );
  }

  /** Rises when files are named no more: `paths` tells those that are. */
  get withdrawals(): number {
    return this.#withdrawals;
  }

  /** Of all files that are named now. */
  paths(): ReadonlySet<string> {
    return new Set(this.#named(() => true));
  }

  async refresh(): Promise<void> {
    this.#refreshing ??= this.#refreshAll().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Whether any of the files is named otherwise by now: its manifest is read again. */
  async reread(paths: readonly string[]): Promise<boolean> {
    const { store, stream } = this.#options;
    const asked = new Set(paths);
    const ranges = new Map<string, LandedFile>();
    for (const files of this.#files.values())
      for (const file of files)
        if (asked.has(file.path)) ranges.set(`${file.partition} ${file.first}`, file);
    let isChanged = false;
    for (const { partition, first } of ranges.values()) {
      const manifest = await readManifest(store, { stream, partition, first });
      const named = new Set(manifest?.files.map(({ path }) => path));
      const before = this.#named((file) => file.partition === partition && file.first === first);
      if (!manifest || before.every((path) => named.has(path))) continue;
      this.#drop((file) => file.partition === partition && file.first === first);
      this.#take(landedRange(manifest));
      isChanged = true;
    }
    return isChanged;
  }

  async #refreshAll(): Promise<void> {
    const before = this.#erasures;
    await this.#readPointers();
    this.#forget();
    const all = [...this.#offsets.keys()].map(async (partition) => {
      const isErased = this.#erasures[`${partition}`] !== before[`${partition}`];
      // What was read before an erasure stays in force until it has been read again.
      if (isErased) this.#replace(partition, await this.#read(partition));
      await this.#follow(partition);
    });
    // Until all have ended: one that went on beside the next refresh would take its manifests twice.
    const failed = (await Promise.allSettled(all)).find(({ status }) => status === 'rejected');
    if (failed?.status !== 'rejected') return;
    // Read again by the next one.
    this.#erasures = before;
    throw failed.reason;
  }

  async #readPointers(): Promise<void> {
    const { store, stream } = this.#options;
    const [erasures, retention] = await Promise.all([
      store.get(erasurePointerKey(stream)),
      store.get(retentionKey(stream)),
    ]);
    ({ erasures: this.#erasures } = parseErasurePointer(erasures));
    this.#retention = parseRetention(retention);
  }

  async #read(partition: number): Promise<Ledger> {
    const { store, stream } = this.#options;
    return readLedger({
      store,
      stream,
      partition,
      erasures: this.#erasures[`${partition}`] ?? 0,
      reads: this.#reads,
      keptSinceMs: this.keptSinceMs,
    });
  }

  #replace(partition: number, { ranges, next }: Ledger): void {
    this.#drop((file) => file.partition === partition);
    const isKept = this.#isKept();
    for (const range of ranges) this.#take(range, isKept);
    const before = this.#offsets.get(partition) ?? 0n;
    this.#offsets.set(partition, next > before ? next : before);
  }

  #isKept(): (file: LandedFile) => boolean {
    const sinceMs = this.keptSinceMs;
    const { expired } = this.#retention;
    const ends = new Map([...this.#offsets.keys()].map((one) => [one, BigInt(expired[one] ?? 0)]));
    return ({ receivedToMs, partition, first }) =>
      receivedToMs > sinceMs && first >= (ends.get(partition) ?? 0n);
  }

  #forget(): void {
    const nowMs = this.#options.now();
    if (nowMs - this.#forgottenMs < forgetEveryMs) return;
    this.#forgottenMs = nowMs;
    const isKept = this.#isKept();
    this.#drop((file) => !isKept(file));
  }

  #named(isMeant: (file: LandedFile) => boolean): string[] {
    return [...this.#files.values()].flatMap((files) =>
      files.filter(isMeant).map(({ path }) => path),
    );
  }

  #drop(isMeant: (file: LandedFile) => boolean): void {
    let isDropped = false;
    for (const [building, files] of this.#files) {
      const kept = files.filter((file) => !isMeant(file));
      if (kept.length === files.length) continue;
      isDropped = true;
      if (kept.length === 0) this.#files.delete(building);
      else this.#files.set(building, kept);
    }
    if (isDropped) this.#withdrawals += 1;
  }

  async #follow(partition: number): Promise<void> {
    const { store, stream } = this.#options;
    for (let count = 0; count < manifestsPerRefreshMax; count += 1) {
      const first = this.#offsets.get(partition) ?? 0n;
      const manifest = await readManifest(store, { stream, partition, first });
      if (!manifest) return;
      this.#take(landedRange(manifest));
      this.#offsets.set(partition, manifest.last + 1n);
    }
  }

  #take({ files }: LandedRange, isKept = this.#isKept()): void {
    for (const file of files.filter(isKept))
      for (const { building } of file.buildings) {
        const found = this.#files.get(building);
        if (found) found.push(file);
        else this.#files.set(building, [file]);
      }
  }
}

/** The manifest that begins at `first`; undefined if there is none yet. */
export async function readManifest(
  store: ObjectStore,
  of: { readonly stream: LandedStream; readonly partition: number; readonly first: bigint },
): Promise<LandingManifest | undefined> {
  const content = await store.get(ledgerKey({ ...of, ledger: '_manifest' }, of.first));
  return content && parseManifest(content);
}
