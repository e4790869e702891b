/** A landed file, as its manifest announces it. Bounds are Unix milliseconds, both included. */
export interface LandedFile {
  readonly path: string;
  readonly partition: number;
  /** Offsets of the range in `readings` that the file was planned for; both included. */
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

/**
 * The manifests of the landing zone, read once each and then followed by name; nothing but `_manifest/` is listed.
 *
 *     const landed = await LandedManifests.open(store);             // 'readings' unless told otherwise
 *     await landed.refresh();                                       // reads what is new
 *     landed.files({ building, fromMs, toMs });                     // files with readings of it measured in [from, to)
 *     landed.offsets;                                               // partition → first offset of `readings` not landed yet
 */
export interface LandedManifestsView {
  /** Partition → the offset behind the last of its gapless manifests: from there on the stream has to be read. */
  readonly offsets: ReadonlyMap<number, bigint>;
  files(of: { building: string; fromMs: number; toMs: number }): LandedFile[];
  refresh(): Promise<void>;
}
