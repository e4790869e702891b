import { LandedDays } from './landed-days.ts';
import { readManifest } from './landed-manifests.ts';
import { crc32cOf } from './model/crc32c.ts';
import {
  accountSnapshotKey,
  emptyAccount,
  landedAccountFolder,
  type LandedAccountSnapshot,
  parseAccountPointer,
  parseAccountSnapshot,
} from './model/landed-account.ts';
import { LandedChanges } from './model/landed-changes.ts';
import { landedStreams, landingPlace } from './model/landing-key.ts';
import type { LandingManifest, ManifestFile } from './model/landing-plan.ts';
import { keptSinceMs, parseRetention, retentionKey } from './model/retention.ts';
import type { ObjectStore } from './object-store.ts';

export type Finding = 'intact' | 'missing' | 'altered';

export interface AuditReport {
  readonly found: Readonly<Record<Finding, number>>;
  /** Announced objects that are found gone or altered for the first time. */
  readonly lost: readonly string[];
  /** Announced objects whose readings went over from landed to expired. */
  readonly expired: number;
  /** Whether the counts have changed. */
  readonly hasChanged: boolean;
}

export interface LandedAuditOptions {
  readonly store: ObjectStore;
  readonly partitions: number;
  /** Manifests compared in one round, new ones and old ones each. */
  readonly manifestsPerRound?: number;
  /** How long the landing bucket keeps data; undefined: for ever, so that whatever is gone is lost. */
  readonly retentionDays?: number | undefined;
}

/** A place in the chain of manifests. */
interface Cursor {
  partition: number;
  first: bigint;
}

interface Announced extends Pick<ManifestFile, 'path' | 'bytes' | 'crc32c' | 'receivedToMs'> {
  /** As last found with the announced content: a restored copy is read once. */
  generation: string;
}

/** What is compared again. */
interface OldManifest extends Cursor {
  readonly last: bigint;
  readonly files: readonly Announced[];
}

interface OldFile {
  readonly old: OldManifest;
  readonly file: Announced;
  /** Paths. */
  readonly missing: Set<string>;
}

/** Files that may have expired before their turn; more of them count as landed until it comes. */
const expiredEarlyMax = 10_000;
/** Manifests that are kept, so that comparing them again reads none. */
const oldKept = 50_000;
/**
 * Counts what has landed, for those who may not look into the landing zone: the readings of each building and minute, of
 * announced files that are there as announced. New manifests are taken as they come, old ones are compared again in turn.
 * Any number may audit at once: each round begins at the newest snapshot, and the first to write the next one is believed.
 *
 * What the retention takes is neither landed nor lost: a manifest whose newest reading was received longer ago than that has
 * expired, whether or not its files are gone by now. They do so in the order of offsets, and one place says how far it is. A
 * file that was missed before its time stays missed.
 */
export class LandedAudit {
  readonly #store: ObjectStore;
  readonly #partitions: number;
  readonly #perRound: number;
  readonly #cursor: Cursor = { partition: 0, first: 0n };
  #snapshot: LandedAccountSnapshot = emptyAccount;
  readonly #days: LandedDays;
  readonly #old = new Map<string, OldManifest>();
  readonly #retentionDays: number | undefined;
  /** Partition → its first manifest that has not expired, and when its newest reading was received. */
  readonly #nextToExpire = new Map<number, { first: bigint; overMs: number }>();
  #dueMs = -Infinity;
  #told: string | undefined;

  constructor(options: LandedAuditOptions) {
    const { store, partitions, manifestsPerRound = 300, retentionDays } = options;
    this.#store = store;
    this.#partitions = partitions;
    this.#perRound = manifestsPerRound;
    this.#retentionDays = retentionDays;
    this.#days = new LandedDays(store);
  }

  async round(nowMs: number): Promise<AuditReport> {
    await this.#followSnapshots();
    const before = this.#snapshot.missing;
    const draft = structuredClone(this.#snapshot);
    draft.number += 1;
    const changes = new LandedChanges();
    const found = { intact: 0, missing: 0, altered: 0 };
    this.#dueMs = keptSinceMs(this.#retentionDays, nowMs);
    await this.#takeNew(draft, changes, found);
    let expired = await this.#takeExpired(draft, changes);
    expired += await this.#takeOld(draft, changes, found);
    const hasChanged = changes.size > 0 || !isSameProgress(draft, this.#snapshot);
    if (hasChanged) {
      await this.#publish(draft, changes);
      // Where another auditor was first, the pointer must not go back behind its snapshot.
      if (this.#snapshot !== draft) await this.#followSnapshots();
    }
    await this.#point(nowMs);
    await this.#tellRetention();
    const known = new Set(before);
    return { found, lost: draft.missing.filter((path) => !known.has(path)), expired, hasChanged };
  }

  /** Another auditor may have gone on, and a pointer may lag. */
  async #followSnapshots(): Promise<void> {
    let { number } = this.#snapshot;
    if (number === 0) {
      const pointer = await this.#store.get(`${landedAccountFolder}latest.json`);
      if (pointer) ({ number } = parseAccountPointer(pointer));
    }
    while (await this.#store.head(accountSnapshotKey(number + 1))) number += 1;
    if (number === this.#snapshot.number) return;
    const content = await this.#store.get(accountSnapshotKey(number));
    if (!content) return;
    this.#snapshot = parseAccountSnapshot(content);
    this.#days.forget();
  }

  async #takeNew(
    draft: LandedAccountSnapshot,
    changes: LandedChanges,
    found: Found,
  ): Promise<void> {
    let left = this.#perRound;
    for (let partition = 0; partition < this.#partitions; partition += 1) {
      let first = BigInt(draft.positions[`${partition}`] ?? 0);
      while (left > 0) {
        const counted = await this.#countNew({ partition, first }, changes, found);
        if (!counted) break;
        left -= 1;
        draft.missing.push(...counted.lost);
        first = counted.last + 1n;
        draft.positions[`${partition}`] = `${first}`;
      }
    }
  }

  /** Counts the files that are there; gives the others. Undefined if there is no such manifest yet. */
  async #countNew(
    at: Cursor,
    changes: LandedChanges,
    found: Found,
  ): Promise<{ lost: readonly string[]; last: bigint } | undefined> {
    for (let isAgain = false; ; isAgain = true) {
      const manifest = await this.#manifestAt(at);
      if (!manifest) return undefined;
      // What is over already counts as landed until it expires, in its turn.
      const kept = manifest.files.filter((file) => !this.#isOver(file));
      const findings: Finding[] = [];
      for (const file of kept) findings.push(await this.#compare(file));
      const lost = kept.filter((_, index) => findings[index] !== 'intact');
      // A building may be erased meanwhile: then the manifest names successors.
      if (lost.length > 0 && !isAgain && (await this.#isSuperseded(at, manifest))) continue;
      for (const finding of findings) found[finding] += 1;
      for (const file of manifest.files) if (!lost.includes(file)) changes.land(file);
      return { lost: lost.map(({ path }) => path), last: manifest.last };
    }
  }

  async #isSuperseded(at: Cursor, { files }: LandingManifest): Promise<boolean> {
    const now = new Set((await this.#manifestAt(at))?.files.map(({ path }) => path));
    return files.some(({ path }) => !now.has(path));
  }

  /** Counted manifests in the order of their offsets, as far as all of their files are over. Gives how many files. */
  async #takeExpired(draft: LandedAccountSnapshot, changes: LandedChanges): Promise<number> {
    if (this.#dueMs === -Infinity) return 0;
    const [missing, early] = [new Set(draft.missing), new Set(draft.expiredEarly)];
    let left = this.#perRound;
    let expired = 0;
    for (let partition = 0; partition < this.#partitions; partition += 1) {
      for (; left > 0; left -= 1) {
        const manifest = await this.#nextOver(draft, partition);
        if (!manifest) break;
        const gone = manifest.files.filter(
          ({ path }) => !early.delete(landingPlace(path)) && !missing.has(path),
        );
        gone.forEach((file) => changes.expire(file));
        expired += gone.length;
        this.#old.delete(`${partition} ${manifest.first}`);
        draft.expired[`${partition}`] = `${manifest.last + 1n}`;
      }
    }
    draft.expiredEarly = [...early];
    return expired;
  }

  /** The first manifest that has not expired, if all of its files are over by now. It is read once until then. */
  async #nextOver(
    draft: LandedAccountSnapshot,
    partition: number,
  ): Promise<LandingManifest | undefined> {
    const first = BigInt(draft.expired[`${partition}`] ?? 0);
    if (first >= BigInt(draft.positions[`${partition}`] ?? 0)) return undefined;
    const known = this.#nextToExpire.get(partition);
    if (known?.first === first && known.overMs > this.#dueMs) return undefined;
    const manifest = await this.#manifestAt({ partition, first });
    if (!manifest) return undefined;
    const overMs = Math.max(...manifest.files.map(({ receivedToMs }) => receivedToMs));
    this.#nextToExpire.set(partition, { first, overMs });
    return overMs <= this.#dueMs ? manifest : undefined;
  }

  #isOver({ receivedToMs }: Pick<ManifestFile, 'receivedToMs'>): boolean {
    return receivedToMs <= this.#dueMs;
  }

  /** Gives how many files have expired before it was their turn. */
  async #takeOld(
    draft: LandedAccountSnapshot,
    changes: LandedChanges,
    found: Found,
  ): Promise<number> {
    const missing = new Set(draft.missing);
    const before = draft.expiredEarly.length;
    for (let left = this.#perRound; left > 0; left -= 1) {
      const old = await this.#nextOld(draft);
      if (!old) break;
      for (const file of old.files) {
        if (this.#isOver(file)) await this.#expireEarly(draft, changes, { old, file, missing });
        else await this.#takeAgain(changes, found, { old, file, missing });
      }
    }
    draft.missing = [...missing];
    return draft.expiredEarly.length - before;
  }

  /** Received before others that stand before it: its place is kept until these have expired too. */
  async #expireEarly(
    draft: LandedAccountSnapshot,
    changes: LandedChanges,
    { old, file, missing }: OldFile,
  ): Promise<void> {
    const place = landingPlace(file.path);
    const isKnown = missing.has(file.path) || draft.expiredEarly.includes(place);
    if (isKnown || draft.expiredEarly.length >= expiredEarlyMax) return;
    const whole = await this.#manifestAt(old);
    const counted = whole?.files.find(({ path }) => path === file.path);
    if (!counted) {
      this.#old.delete(`${old.partition} ${old.first}`);
      return;
    }
    changes.expire(counted);
    draft.expiredEarly.push(place);
  }

  async #takeAgain(
    changes: LandedChanges,
    found: Found,
    { old, file, missing }: OldFile,
  ): Promise<void> {
    const finding = await this.#compare(file);
    const isIntact = finding === 'intact';
    const isAsKnown = isIntact !== missing.has(file.path);
    const whole = isAsKnown ? undefined : await this.#manifestAt(old);
    const counted = whole?.files.find(({ path }) => path === file.path);
    // Without it, a building was erased from it: its successor is compared in the next turn.
    if (whole && !counted) this.#old.delete(`${old.partition} ${old.first}`);
    else found[finding] += 1;
    if (!counted) return;
    if (isIntact) changes.land(counted);
    else changes.lose(counted);
    if (isIntact) missing.delete(file.path);
    else missing.add(file.path);
  }

  /** In turn over all partitions; undefined at the end of a turn. */
  async #nextOld(draft: LandedAccountSnapshot): Promise<OldManifest | undefined> {
    const cursor = this.#cursor;
    for (; cursor.partition < this.#partitions; cursor.partition += 1, cursor.first = 0n) {
      // Only what was counted before this round.
      const end = BigInt(this.#snapshot.positions[`${cursor.partition}`] ?? 0);
      const expired = BigInt(draft.expired[`${cursor.partition}`] ?? 0);
      if (cursor.first < expired) cursor.first = expired;
      if (cursor.first >= end) continue;
      const old = await this.#oldAt(cursor);
      if (!old) continue;
      cursor.first = old.last + 1n;
      return old;
    }
    cursor.partition = 0;
    return undefined;
  }

  async #oldAt({ partition, first }: Cursor): Promise<OldManifest | undefined> {
    const key = `${partition} ${first}`;
    const kept = this.#old.get(key);
    if (kept) return kept;
    const manifest = await this.#manifestAt({ partition, first });
    if (!manifest) return undefined;
    const files = manifest.files.map(({ path, bytes, generation, crc32c, receivedToMs }) => {
      return { path, bytes, generation, crc32c, receivedToMs };
    });
    const old = { partition, first, last: manifest.last, files };
    if (this.#old.size < oldKept) this.#old.set(key, old);
    return old;
  }

  async #manifestAt({ partition, first }: Cursor): Promise<LandingManifest | undefined> {
    return readManifest(this.#store, { stream: 'readings', partition, first });
  }

  async #compare(file: Announced): Promise<Finding> {
    const head = await this.#store.head(file.path);
    if (!head) return 'missing';
    if (head.bytes !== file.bytes) return 'altered';
    if (head.generation === file.generation) return 'intact';
    const content = await this.#store.get(file.path);
    if (!content) return 'missing';
    if (crc32cOf(content) !== file.crc32c) return 'altered';
    file.generation = head.generation;
    return 'intact';
  }

  async #publish(draft: LandedAccountSnapshot, changes: LandedChanges): Promise<void> {
    // What is kept of days must be of the snapshot that the next round begins at, also if this one fails on its way.
    try {
      await this.#days.write(draft, changes);
      const content = Buffer.from(JSON.stringify(draft));
      if (await this.#store.createOnly(accountSnapshotKey(draft.number), content))
        this.#snapshot = draft;
      // Else another auditor was first, or an eraser; the next round begins with its snapshot.
    } finally {
      if (this.#snapshot !== draft) this.#days.forget();
    }
  }

  async #point(verifiedAtMs: number): Promise<void> {
    const { number } = this.#snapshot;
    const pointer = { number, snapshot: accountSnapshotKey(number), verifiedAtMs };
    const content = Buffer.from(JSON.stringify(pointer));
    await this.#store.replacePointer(`${landedAccountFolder}latest.json`, content);
  }

  /** For readers of the landing zone, and for strangers to our code. */
  async #tellRetention(): Promise<void> {
    const retention = { days: this.#retentionDays ?? null, expired: this.#snapshot.expired };
    const content = JSON.stringify(retention);
    this.#told ??= JSON.stringify(parseRetention(await this.#store.get(retentionKey('readings'))));
    if (this.#told === content) return;
    for (const stream of landedStreams) {
      const told = stream === 'readings' ? retention : { ...retention, expired: {} };
      await this.#store.replacePointer(retentionKey(stream), Buffer.from(JSON.stringify(told)));
    }
    this.#told = content;
  }
}

type Found = Record<Finding, number>;

function isSameProgress(a: LandedAccountSnapshot, b: LandedAccountSnapshot): boolean {
  return (
    JSON.stringify([a.positions, a.missing, a.expired, a.expiredEarly]) ===
    JSON.stringify([b.positions, b.missing, b.expired, b.expiredEarly])
  );
}
