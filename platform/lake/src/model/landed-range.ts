import type { LandingManifest } from './landing-plan.ts';

/** A landed file, as readers keep it from its manifest. Bounds are Unix milliseconds, both included. */
export interface LandedFile {
  readonly path: string;
  readonly partition: number;
  /** Offsets of the range in the stream that the file was planned for; both included. */
  readonly first: bigint;
  readonly last: bigint;
  readonly bytes: number;
  /** When its newest reading was received. */
  readonly receivedToMs: number;
  /** By building. */
  readonly buildings: readonly LandedBuilding[];
}

export interface LandedBuilding {
  readonly building: string;
  readonly measuredFromMs: number;
  readonly measuredToMs: number;
}

/** What a reader keeps of one manifest. */
export interface LandedRange {
  readonly first: bigint;
  readonly last: bigint;
  readonly files: readonly LandedFile[];
}

export function landedRange({ partition, first, last, files }: LandingManifest): LandedRange {
  return {
    first,
    last,
    files: files.map(({ path, bytes, receivedToMs, buildings }) => ({
      path,
      partition,
      first,
      last,
      bytes,
      receivedToMs,
      buildings: buildings.map(({ building, measuredFromMs, measuredToMs }) => {
        return { building, measuredFromMs, measuredToMs };
      }),
    })),
  };
}
