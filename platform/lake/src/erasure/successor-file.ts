import { createHash } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { must } from '@domicile/core/invariants.ts';
import { crc32cOf } from '../model/crc32c.ts';
import { landedQuarantineColumns, landedValueColumns } from '../model/landing-columns.ts';
import type { LandedStream } from '../model/landing-key.ts';
import type { ManifestFile } from '../model/landing-plan.ts';
import type { ErasableStore } from '../object-store.ts';
import { parquetOfBytes, type ReadValue } from '../parquet/read-parquet.ts';
import { writeParquet } from '../parquet/write-parquet.ts';

export interface ChosenRows {
  readonly content: Buffer;
  readonly rows: number;
  readonly receivedFromMs: number;
  readonly receivedToMs: number;
}

/** The rows of the others, in their order, with the metadata of the file; undefined if there are none. */
export function rowsOfOthers(
  content: Buffer,
  stream: LandedStream,
  building: string,
): Promise<ChosenRows | undefined> {
  return chosenRows(content, stream, (one) => one !== building);
}

/** The rows of one building, likewise. */
export function rowsOfBuilding(
  content: Buffer,
  stream: LandedStream,
  building: string,
): Promise<ChosenRows | undefined> {
  return chosenRows(content, stream, (one) => one === building);
}

async function chosenRows(
  content: Buffer,
  stream: LandedStream,
  isChosen: (building: ReadValue) => boolean,
): Promise<ChosenRows | undefined> {
  const columns = stream === 'readings' ? landedValueColumns : landedQuarantineColumns;
  const file = await parquetOfBytes(content);
  const values = await file.read(columns.map(({ name }) => name));
  const buildings = must(values.get('building'), 'a landed file without buildings');
  const kept = [...buildings.keys()].filter((at) => isChosen(buildings[at] ?? null));
  if (kept.length === 0) return undefined;
  const chosen = new Map(
    columns.map(({ name }): [string, ReadValue[]] => {
      const all = values.get(name) ?? [];
      return [name, kept.map((at) => all[at] ?? null)];
    }),
  );
  let [receivedFromMs, receivedToMs] = [Infinity, -Infinity];
  for (const micros of chosen.get('received_at') ?? []) {
    const atMs = Number(micros) / 1000;
    receivedFromMs = Math.min(receivedFromMs, atMs);
    receivedToMs = Math.max(receivedToMs, atMs);
  }
  const metadata = Object.fromEntries(file.metadata);
  const written = writeParquet({ columns, values: chosen, metadata });
  return { content: written, rows: kept.length, receivedFromMs, receivedToMs };
}

/** Writes it and gives what its manifest says of it. */
export async function writeSuccessor(
  landing: ErasableStore,
  of: {
    readonly path: string;
    readonly rest: ManifestFile['buildings'];
    readonly kept: ChosenRows;
  },
): Promise<ManifestFile> {
  const { path, rest, kept } = of;
  const { content, rows, receivedFromMs, receivedToMs } = kept;
  const isNew = await landing.createOnly(path, content);
  // A step that was tried again may meet itself.
  if (!isNew && !(await landing.get(path))?.equals(content))
    throw new PlatformError('OBJECT_MISMATCH', 'Cannot erase: another file has that name');
  const head = must(await landing.head(path), 'a successor vanished');
  return {
    path,
    bytes: content.length,
    generation: head.generation,
    crc32c: crc32cOf(content),
    sha256: createHash('sha256').update(content).digest('hex'),
    rows,
    readings: rest.reduce((sum, { readings }) => sum + readings, 0),
    receivedFromMs,
    receivedToMs,
    buildings: rest,
  };
}
