import { erasurePointerKey, parseErasurePointer } from './model/erasure-pointer.ts';
import { type LandedStream, ledgerKey } from './model/landing-key.ts';
import { type LandingManifest, parseManifest } from './model/landing-plan.ts';
import type { ObjectStore } from './object-store.ts';

/** A landed file, as its manifest announces it. Bounds are Unix milliseconds, both included. */
export interface LandedFile {
  readonly path: string;
  readonly partition: number;
  /** Offsets of the range in the stream that the file was planned for; both included. */
  readonly first: bigint;
  readonly last: bigint;
  readonly bytes: number;
  readonly generation: string;
  /** Hexadecimal. */
  readonly crc32c: string;
  readonly sha256: string;
  readonly rows: number;
  readonly readings: number;
  readonly receivedFromMs: number;
  readonly receivedToMs: number;
  /** By building. */
  readonly buildings: readonly LandedBuilding[];
}

export interface LandedBuilding {
  readonly building: string;
  readonly rows: number;
  readonly readings: number;
  readonly measuredFromMs: number;
  readonly measuredToMs: number;
}

export interface LandedManifestsOptions {
  readonly store: ObjectStore;
  /** Of the stream. */
  readonly partitions: number;
  readonly stream?: LandedStream;
}

/** Manifests read by one refresh at most for each partition; the next one goes on. */
const manifestsPerRefreshMax = 100_000;

/**
 * The manifests of the landing zone, read once each and then followed. Nothing is listed: each manifest's name follows from
 * the end of the one before. They are read again only when a building was erased.
 *
 *     const landed = await LandedManifests.open({ store, partitions });
 *     await landed.refresh();                                       // reads what is new
 *     landed.files({ building, fromMs, toMs });                     // files with readings of it measured in [from, to)
 *     landed.offsets;                                               // partition → first offset that is not landed yet
 *     await landed.reread(paths);                                   // these are not there: true if they have successors
 */
export class LandedManifests {
  readonly #options: LandedManifestsOptions;
  readonly #offsets = new Map<number, bigint>();
  readonly #files = new Map<string, LandedFile[]>();
  #erasures: Readonly<Record<string, number>> | undefined;
  #refreshing: Promise<void> | undefined;
  #withdrawals = 0;

  static async open(options: LandedManifestsOptions): Promise<LandedManifests> {
    const manifests = new LandedManifests(options);
    await manifests.refresh();
    return manifests;
  }

  private constructor(options: LandedManifestsOptions) {
    this.#options = options;
    for (let partition = 0; partition < options.partitions; partition += 1)
      this.#offsets.set(partition, 0n);
  }

  /** Partition → the offset behind its last manifest: from there on the stream has to be read. */
  get offsets(): ReadonlyMap<number, bigint> {
    return new Map(this.#offsets);
  }

  /** By partition and offset. */
  files(of: { building: string; fromMs: number; toMs: number }): LandedFile[] {
    const { building, fromMs, toMs } = of;
    return (this.#files.get(building) ?? []).filter(({ buildings }) =>
      buildings.some(
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
    const { store, stream = 'readings' } = this.#options;
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
      this.#take(manifest);
      isChanged = true;
    }
    return isChanged;
  }

  async #refreshAll(): Promise<void> {
    await this.#noteErasures();
    const all = [...this.#offsets.keys()].map(async (partition) => this.#follow(partition));
    await Promise.all(all);
  }

  /** What was read before an erasure is read again, and stays in force until then. */
  async #noteErasures(): Promise<void> {
    const { store, stream = 'readings' } = this.#options;
    const { erasures } = parseErasurePointer(await store.get(erasurePointerKey(stream)));
    const before = this.#erasures ?? erasures;
    for (const partition of this.#offsets.keys()) {
      if (erasures[`${partition}`] === before[`${partition}`]) continue;
      const manifests: LandingManifest[] = [];
      const end = this.#offsets.get(partition) ?? 0n;
      for (let first = 0n; first < end;) {
        const manifest = await readManifest(store, { stream, partition, first });
        if (!manifest) break;
        manifests.push(manifest);
        first = manifest.last + 1n;
      }
      this.#drop((file) => file.partition === partition);
      for (const manifest of manifests) this.#take(manifest);
    }
    this.#erasures = erasures;
  }

  #named(isMeant: (file: LandedFile) => boolean): string[] {
    return [...this.#files.values()].flatMap((files) =>
      files.filter(isMeant).map(({ path }) => path),
    );
  }

  #drop(isMeant: (file: LandedFile) => boolean): void {
    this.#withdrawals += 1;
    for (const [building, files] of this.#files) {
      const kept = files.filter((file) => !isMeant(file));
      if (kept.length === 0) this.#files.delete(building);
      else if (kept.length < files.length) this.#files.set(building, kept);
    }
  }

  async #follow(partition: number): Promise<void> {
    const { store, stream = 'readings' } = this.#options;
    for (let count = 0; count < manifestsPerRefreshMax; count += 1) {
      const first = this.#offsets.get(partition) ?? 0n;
      const manifest = await readManifest(store, { stream, partition, first });
      if (!manifest) return;
      this.#take(manifest);
      this.#offsets.set(partition, manifest.last + 1n);
    }
  }

  #take({ partition, first, last, files }: LandingManifest): void {
    for (const { buildings: counted, ...file } of files) {
      const buildings = counted.map(({ minutes: _minutes, ...building }) => building);
      const landed = { partition, first, last, ...file, buildings };
      for (const { building } of buildings) {
        const found = this.#files.get(building);
        if (found) found.push(landed);
        else this.#files.set(building, [landed]);
      }
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
