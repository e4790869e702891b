import { createHash } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { erasurePointerKey, parseErasurePointer } from '../model/erasure-pointer.ts';
import { type LandedStream, ledgerFolder } from '../model/landing-key.ts';
import {
  encodeLedger,
  type LandingManifest,
  type ManifestFile,
  parseManifest,
} from '../model/landing-plan.ts';
import { exportRows } from './building-export.ts';
import { retireCheckpoints } from './checkpoint-erasure.ts';
import {
  addErasure,
  type ErasureCount,
  type ErasureRun,
  keysBelow,
  noErasure,
  removeObject,
} from './erasure-run.ts';
import type { ErasureTally } from './erasure-tally.ts';
import { rowsOfOthers, writeSuccessor } from './successor-file.ts';

/** Another eraser may be at the same manifest or pointer, for another building. */
const attemptsMax = 10;

/**
 * Takes a building out of the landing zone of one stream. For each manifest that names it, in this order: a successor of each
 * file without its rows; the manifest, replaced by one that names the successors; then the files before are removed. Killed
 * anywhere, the next pass goes on: a manifest always names files that are there, and remembers those that must not be.
 */
export async function eraseLanding(
  run: ErasureRun,
  stream: LandedStream,
  tally?: ErasureTally,
): Promise<ErasureCount> {
  const all = noErasure();
  const touched = new Set<string>();
  const named = new Set<string>();
  const folder = ledgerFolder({ stream, ledger: '_manifest', partition: run.partition });
  for await (const key of keysBelow(run.landing, folder)) {
    run.signal.throwIfAborted();
    const { count, manifest } = await eraseManifest(run, { stream, key, tally });
    addErasure(all, count);
    if (!manifest?.superseded?.length) continue;
    for (const path of manifest.superseded) touched.add(folderOf(path));
    for (const { path } of manifest.files) named.add(path);
  }
  for (const hour of touched) await sweep(run, hour, named);
  // Also of a pass that was killed before it told.
  if (touched.size > 0) await tellReaders(run, stream);
  await retireCheckpoints(run, stream);
  return all;
}

interface ErasedManifest {
  readonly count: ErasureCount;
  /** As it stands now; undefined if it is gone. */
  readonly manifest: LandingManifest | undefined;
}

async function eraseManifest(
  run: ErasureRun,
  of: {
    readonly stream: LandedStream;
    readonly key: string;
    readonly tally: ErasureTally | undefined;
  },
): Promise<ErasedManifest> {
  const { landing, building } = run;
  const { stream, key, tally } = of;
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const head = await landing.head(key);
    const content = await landing.get(key);
    if (!head || !content) return { count: noErasure(), manifest: undefined };
    const manifest = parseManifest(content);
    if (!manifest.files.some((file) => countOf(file, building))) {
      // Of who was killed before it removed them; or of who landed them again, late.
      await removeAll(run, manifest.superseded ?? []);
      return { count: noErasure(), manifest };
    }
    const { next, count, gone, made } = await successorOf(run, stream, manifest);
    await tally?.note(`landing/${stream}`, key, count);
    if (await landing.replace(key, encodeLedger(next), head.generation)) {
      await removeAll(run, gone);
      return { count, manifest: next };
    }
    await removeAll(run, made);
  }
  throw new PlatformError(
    'CONFLICT',
    'Cannot erase: a manifest changes all the time; end the other eraser',
  );
}

function countOf({ buildings }: ManifestFile, building: string) {
  return buildings.find((one) => one.building === building);
}

async function removeAll({ landing }: ErasureRun, paths: readonly string[]): Promise<void> {
  for (const path of paths) await removeObject(landing, path);
}

interface Successor {
  readonly next: LandingManifest;
  readonly count: ErasureCount;
  /** What the next one no longer names, and what was made for it. */
  readonly gone: readonly string[];
  readonly made: readonly string[];
}

async function successorOf(
  run: ErasureRun,
  stream: LandedStream,
  manifest: LandingManifest,
): Promise<Successor> {
  const { landing, building } = run;
  const count = noErasure();
  const files: ManifestFile[] = [];
  const gone: string[] = [];
  const made: string[] = [];
  for (const file of manifest.files) {
    const counted = countOf(file, building);
    if (!counted) {
      files.push(file);
      continue;
    }
    count.objects += 1;
    count.rows += counted.rows;
    count.readings += counted.readings;
    const rest = file.buildings.filter((one) => one !== counted);
    const content = await landing.get(file.path);
    if (!content) count.missing += 1;
    else if (run.isExported) await exportRows(run, { stream, path: file.path, content });
    // It stays announced for the others, whose readings are missed as before.
    if (!content && rest.length > 0) files.push({ ...file, buildings: rest });
    else gone.push(file.path);
    const kept = content && (await rowsOfOthers(content, stream, building));
    if (!kept) continue;
    const path = successorPath(run, file.path);
    made.push(path);
    files.push(await writeSuccessor(landing, { path, rest, kept }));
  }
  const superseded = [...new Set([...(manifest.superseded ?? []), ...gone])];
  return { next: { ...manifest, files, superseded }, count, gone, made };
}

/** Named by its range, as before, and by who has written it. */
function successorPath(run: ErasureRun, path: string): string {
  const base = path.replace(/(-e[0-9a-f]{24})?\.parquet$/, '');
  return `${base}-e${markOf(run)}${hashed(`${run.nonce} ${path}`, 16)}.parquet`;
}

/** Of all processes of this erasure. */
function markOf({ id, building }: ErasureRun): string {
  return hashed(`${id} ${building}`, 8);
}

function hashed(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/**
 * Removes successors of this erasure that no manifest names: of processes that were killed. One that still runs can name none of
 * them: each manifest that named the building has another generation by now.
 */
async function sweep(run: ErasureRun, folder: string, named: ReadonlySet<string>): Promise<void> {
  const mark = `-e${markOf(run)}`;
  const ofPartition = `-${`${run.partition}`.padStart(5, '0')}-`;
  for await (const key of keysBelow(run.landing, folder)) {
    run.signal.throwIfAborted();
    if (key.includes(mark) && key.includes(ofPartition) && !named.has(key))
      await removeObject(run.landing, key);
  }
}

/** Readers keep manifests; by this they learn that some have changed. Erasers of other partitions tell theirs at the same time. */
async function tellReaders(
  { landing, partition }: ErasureRun,
  stream: LandedStream,
): Promise<void> {
  const key = erasurePointerKey(stream);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const head = await landing.head(key);
    const { erasures } = parseErasurePointer(head && (await landing.get(key)));
    const own = (erasures[`${partition}`] ?? 0) + 1;
    const next = Buffer.from(JSON.stringify({ erasures: { ...erasures, [`${partition}`]: own } }));
    const isTold = head
      ? await landing.replace(key, next, head.generation)
      : await landing.createOnly(key, next);
    if (isTold) return;
  }
  throw new PlatformError(
    'CONFLICT',
    'Cannot tell readers of the erasure: others tell theirs all the time; try again',
  );
}
