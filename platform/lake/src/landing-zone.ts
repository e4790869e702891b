import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { must } from '@domicile/core/invariants.ts';
import { checkpointedTo } from './checkpoint-files.ts';
import type { LandingContent } from './landing-content.ts';
import { crc32cOf } from './model/crc32c.ts';
import { erasurePointerKey, parseErasurePointer } from './model/erasure-pointer.ts';
import type { LandedFileContent } from './model/landed-file.ts';
import { firstOffsetOf, type LandedStream, ledgerFolder, ledgerKey } from './model/landing-key.ts';
import {
  encodeLedger,
  isSameRange,
  type LandingManifest,
  type LandingPlan,
  type ManifestFile,
  parseManifest,
  parsePlan,
} from './model/landing-plan.ts';
import type { ObjectStore } from './object-store.ts';
import { parquetOfBytes } from './parquet/read-parquet.ts';
import { writeParquet } from './parquet/write-parquet.ts';

export interface LandingZoneOptions {
  readonly store: ObjectStore;
  readonly country: CountryCode;
  readonly stream: LandedStream;
  /** For tests that kill between the steps. */
  readonly pauses?: { readonly beforeParquetMs?: number; readonly beforeManifestMs?: number };
}

/** Where a partition's landing stands. */
export interface LandingPosition {
  /** The first offset that no plan covers. */
  readonly next: bigint;
  /** Plans that lack their manifest, by rising offset. */
  readonly unfinished: readonly LandingPlan[];
}

/** Names asked for at once. */
const pageKeys = 10_000;

/**
 * The landing zone of one stream (docs/adr/0009). In this order, each step created only once: the plan, which takes a range
 * of offsets for ever; the files; the manifest, which announces them. Any number of writers may do the same range: they
 * meet at the same names, and the first one is believed.
 */
export class LandingZone {
  readonly #options: LandingZoneOptions;
  /** Partition → the first offset of its newest plan. */
  readonly #newest = new Map<number, bigint>();

  constructor(options: LandingZoneOptions) {
    this.#options = options;
  }

  /** Lists the names of the partition's plans and manifests that checkpoints do not speak of. */
  async open(partition: number): Promise<LandingPosition> {
    const { store, stream } = this.#options;
    const { erasures } = parseErasurePointer(await store.get(erasurePointerKey(stream)));
    const folder = { stream, partition, erasures: erasures[`${partition}`] ?? 0 };
    const copied = await checkpointedTo(store, folder);
    const from = copied ? copied.last + 1n : 0n;
    const planned = await this.#firstOffsets('_plans', partition, from);
    const announced = new Set(await this.#firstOffsets('_manifest', partition, from));
    const last = planned.at(-1);
    const newest = last ?? copied?.first;
    if (newest !== undefined) this.#newest.set(partition, newest);
    if (last === undefined) return { next: from, unfinished: [] };
    const open = planned.filter((first) => !announced.has(first));
    const unfinished: LandingPlan[] = [];
    for (const first of open) unfinished.push(await this.#readPlan(partition, first));
    return { next: (await this.#readPlan(partition, last)).last + 1n, unfinished };
  }

  /**
   * Takes the range of `content`, or gives the plan of whoever took that position before. Throws `STATE_LOST` if the plan before
   * it is gone, and the landing zone with it: what opens anew lands again from the beginning of the stream.
   */
  async take(content: LandingContent): Promise<LandingPlan> {
    const { store, stream } = this.#options;
    const { partition } = content.origin;
    const newest = this.#newest.get(partition);
    const folder = { stream, partition, ledger: '_plans' } as const;
    if (newest !== undefined && !(await store.head(ledgerKey(folder, newest))))
      throw new PlatformError('STATE_LOST', 'Cannot land: the plan before this one is gone');
    const plan = content.plan();
    const isOwn = await store.createOnly(ledgerKey(folder, plan.first), encodeLedger(plan));
    const taken = isOwn ? plan : await this.#readPlan(partition, plan.first);
    this.#newest.set(partition, taken.first);
    return taken;
  }

  /**
   * Writes the files of a plan and announces them; what is there already is adopted if it holds the same rows.
   * Throws `OBJECT_MISMATCH` if the store or the records are not what the plan says.
   */
  async complete(plan: LandingPlan, content: LandingContent): Promise<LandingManifest> {
    const { pauses = {}, country, store } = this.#options;
    if (!isSameRange(plan, content.plan()))
      throw new PlatformError('OBJECT_MISMATCH', 'Cannot land: the records differ from their plan');
    await pause(pauses.beforeParquetMs);
    const files: ManifestFile[] = [];
    for (const file of content.files) files.push(await this.#writeFile(plan, file));
    await pause(pauses.beforeManifestMs);
    const { version, stream, partition, first, last, digest } = plan;
    const range = { version, stream, partition, first, last, digest };
    const manifest = { ...range, country, files, refused: content.refused };
    const key = ledgerKey({ ...plan, ledger: '_manifest' }, first);
    if (await store.createOnly(key, encodeLedger(manifest))) return manifest;
    const present = parseManifest(must(await store.get(key), 'a manifest vanished'));
    if (isSameRange(present, plan)) return present;
    throw new PlatformError('OBJECT_MISMATCH', 'Cannot announce: another manifest is there');
  }

  async #firstOffsets(
    ledger: '_plans' | '_manifest',
    partition: number,
    from: bigint,
  ): Promise<bigint[]> {
    const { store, stream } = this.#options;
    const folder = { stream, ledger, partition };
    const offsets: bigint[] = [];
    let after = from === 0n ? '' : ledgerKey(folder, from - 1n);
    for (;;) {
      const keys = await store.list(ledgerFolder(folder), { after, limit: pageKeys });
      for (const key of keys) {
        const first = firstOffsetOf(key);
        if (first !== undefined) offsets.push(first);
      }
      if (keys.length < pageKeys) return offsets;
      after = keys.at(-1) ?? after;
    }
  }

  async #readPlan(partition: number, first: bigint): Promise<LandingPlan> {
    const { store, stream } = this.#options;
    const key = ledgerKey({ stream, ledger: '_plans', partition }, first);
    const plan = parsePlan(must(await store.get(key), 'a plan vanished'));
    if (plan.stream === stream && plan.partition === partition && plan.first === first) return plan;
    throw new PlatformError('OBJECT_MISMATCH', 'Cannot follow a plan: it has another name');
  }

  async #writeFile(plan: LandingPlan, file: LandedFileContent): Promise<ManifestFile> {
    const { store } = this.#options;
    const planned = plan.files.find(({ hourMs }) => hourMs === file.hourMs);
    const path = must(planned, 'a file that its plan does not name').path;
    let bytes = writeParquet({
      columns: file.rows.columns,
      values: file.rows.values,
      metadata: { 'domicile.range': `${plan.first}-${plan.last}`, 'domicile.digest': plan.digest },
    });
    if (!(await store.createOnly(path, bytes))) {
      const present = must(await store.get(path), 'a landed file vanished');
      if (!present.equals(bytes)) await requireSameRows(present, file);
      bytes = present;
    }
    const head = must(await store.head(path), 'a landed file vanished');
    const { readings, receivedFromMs, receivedToMs, buildings } = file;
    return {
      path,
      bytes: bytes.length,
      generation: head.generation,
      crc32c: crc32cOf(bytes),
      sha256: createHash('sha256').update(bytes).digest('hex'),
      rows: file.rows.count,
      readings,
      receivedFromMs,
      receivedToMs,
      buildings,
    };
  }
}

/** Another version of the writer may have made other bytes of the same rows. */
async function requireSameRows(present: Buffer, { rows }: LandedFileContent): Promise<void> {
  const names = rows.columns.map(({ name }) => name);
  const landed = await (async () => {
    try {
      const file = await parquetOfBytes(present);
      return file.rows === rows.count ? await file.read(names) : undefined;
    } catch (error) {
      throw otherRows(error);
    }
  })();
  for (const [name, values] of rows.values) {
    const found = landed?.get(name);
    const isSame = values.every((value, index) => isSameCell(value, found?.[index] ?? null));
    if (!found || !isSame) throw otherRows();
  }
}

function otherRows(cause?: unknown): PlatformError {
  return new PlatformError('OBJECT_MISMATCH', 'Cannot adopt a landed file: it holds other rows', {
    cause,
  });
}

/** Text of another encoding than UTF-16 pairs and integers of another width are the same when written. */
function isSameCell(a: string | number | bigint | null, b: string | number | bigint | null) {
  if (typeof a === 'string' && typeof b === 'string') return a.toWellFormed() === b;
  return typeof a === 'bigint' || typeof b === 'bigint' ? `${a}` === `${b}` : a === b;
}

async function pause(ms = 0): Promise<void> {
  if (ms > 0) await sleep(ms);
}
