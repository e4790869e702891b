import { PlatformError } from '@domicile/core/errors.ts';
import type { LandedManifests } from '@domicile/lake/landed-manifests.ts';
import type { LocalFile, LocalFiles } from '@domicile/lake/local-files.ts';
import { type RawFilter, type RawValue, valuesOf } from '../model/raw-rows.ts';
import type { Tail } from './tail.ts';

/** Raw readings as one: what has landed, and what the stream holds beyond it. Each reading stands in one of the two. */
export interface RawZone {
  readonly landed: Pick<LandedManifests, 'offsets' | 'files' | 'reread' | 'keptSinceMs'>;
  readonly tail: Tail;
}

export interface RawPart {
  /** Landed files, by key. */
  readonly files: readonly LocalFile[];
  readonly tail: readonly RawValue[];
}

/** Both sides of the seam at one instant; nothing may be awaited within. */
export function partOf(
  { landed, tail }: RawZone,
  buildings: readonly string[],
  filter: RawFilter,
): RawPart {
  const { offsets } = landed;
  const files = new Map<string, LocalFile>();
  for (const building of buildings)
    for (const file of landed.files({ building, fromMs: filter.fromMs, toMs: filter.toMs }))
      // Beyond a gap of the manifests the stream speaks.
      if (file.last < (offsets.get(file.partition) ?? 0n))
        files.set(file.path, { key: file.path, bytes: file.bytes });
  const values: RawValue[] = [];
  for (const { reading, partition, offset } of tail.of(new Set(buildings), offsets))
    values.push(...valuesOf(reading, { partition, offset }, filter));
  return { files: [...files.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1)), tail: values };
}

/**
 * Runs `work` over a part with its landed files as paths. A file that an erasure has replaced since is looked for once more, by its
 * manifest. Throws `UPSTREAM_UNAVAILABLE` if a file is not there all the same.
 */
export async function withPart<Result>(
  of: { readonly zone: RawZone; readonly files: LocalFiles; readonly signal: AbortSignal },
  part: () => RawPart,
  work: (part: {
    readonly paths: readonly string[];
    readonly tail: RawPart['tail'];
  }) => Promise<Result>,
): Promise<Result> {
  for (let isRetry = false; ; isRetry = true) {
    const { files, tail } = part();
    try {
      return await of.files.borrow(files, of.signal, (paths) => work({ paths, tail }));
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== 'NOT_FOUND') throw error;
      if (!isRetry && (await of.zone.landed.reread(files.map(({ key }) => key)))) continue;
      throw new PlatformError(
        'UPSTREAM_UNAVAILABLE',
        'Cannot answer: a landed file is not there though its retention has not ended; the account of the building tells what is landed',
        { cause: error },
      );
    }
  }
}
