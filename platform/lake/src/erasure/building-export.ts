import { createHash } from 'node:crypto';
import { type LandedStream, landedStreams, ledgerFolder } from '../model/landing-key.ts';
import { parseManifest } from '../model/landing-plan.ts';
import { parquetOfBytes } from '../parquet/read-parquet.ts';
import { type ErasureRun, keysBelow } from './erasure-run.ts';
import { rowsOfBuilding } from './successor-file.ts';

/** A file of an export, as its index names it. */
export interface ExportedFile {
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly rows: number;
}

export interface BuildingExport {
  readonly folder: string;
  readonly files: readonly ExportedFile[];
  readonly rows: number;
  /** Announced files that were not there. */
  readonly missing: number;
}

/** Below the landing bucket; `id` tells exports of one building apart. */
export function exportFolder(building: string, id: string): string {
  return `exports/${building}/${id}/`;
}

/**
 * Copies a building's landed readings, and what of it was quarantined, with the columns of the landing zone: a file of its own
 * for each that holds some, then an index of them. Made again it gives the same files.
 */
export async function exportBuilding(run: ErasureRun): Promise<BuildingExport> {
  const folder = exportFolder(run.building, run.id);
  const files: ExportedFile[] = [];
  let missing = 0;
  for (const stream of landedStreams) {
    const ledger = ledgerFolder({ stream, ledger: '_manifest', partition: run.partition });
    for await (const key of keysBelow(run.landing, ledger)) {
      run.signal.throwIfAborted();
      const copied: (ExportedFile | undefined)[] = [];
      for (const path of await filesOf(run, key)) copied.push(await copyOf(run, { stream, path }));
      const there = copied.filter((file) => file !== undefined);
      files.push(...there);
      missing += copied.length - there.length;
    }
  }
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const made = { folder, files, rows, missing };
  await run.landing.createOnly(`${folder}index.json`, Buffer.from(JSON.stringify(made)));
  return made;
}

async function filesOf({ landing, building }: ErasureRun, key: string): Promise<string[]> {
  const content = await landing.get(key);
  const files = content ? parseManifest(content).files : [];
  return files
    .filter(({ buildings }) => buildings.some((one) => one.building === building))
    .map(({ path }) => path);
}

async function copyOf(
  run: ErasureRun,
  of: { readonly stream: LandedStream; readonly path: string },
): Promise<ExportedFile | undefined> {
  const content = await run.landing.get(of.path);
  return content && exportRows(run, { ...of, content });
}

/** Undefined if there are no rows of the building in it, whatever its manifest said. */
export async function exportRows(
  { landing, building, id }: ErasureRun,
  of: { readonly stream: LandedStream; readonly path: string; readonly content: Buffer },
): Promise<ExportedFile | undefined> {
  const chosen = await rowsOfBuilding(of.content, of.stream, building);
  if (!chosen) return undefined;
  const path = `${exportFolder(building, id)}${of.path.replace(/^landing\//, '')}`;
  await landing.createOnly(path, chosen.content);
  const sha256 = createHash('sha256').update(chosen.content).digest('hex');
  return { path, bytes: chosen.content.length, sha256, rows: chosen.rows };
}

/** What an export holds by now: what later passes found is in it too. */
export async function exportSoFar({ landing, building, id }: ErasureRun) {
  const folder = exportFolder(building, id);
  let [files, rows] = [0, 0];
  for await (const key of keysBelow(landing, folder)) {
    const content = key.endsWith('.parquet') ? await landing.get(key) : undefined;
    if (!content) continue;
    files += 1;
    rows += (await parquetOfBytes(content)).rows;
  }
  return { folder, files, rows };
}
