import { createHash } from 'node:crypto';
import { readManifest } from './landed-manifests.ts';
import { crc32cOf } from './model/crc32c.ts';
import {
  accountDataKey,
  accountSnapshotKey,
  emptyAccount,
  type LandedAccountData,
  landedAccountFolder,
  type LandedAccountSnapshot,
  minuteOfDay,
  padded,
  parseAccountData,
  parseAccountPointer,
  parseAccountSnapshot,
} from './model/landed-account.ts';
import type { LandingManifest, ManifestFile } from './model/landing-plan.ts';
import type { ObjectStore } from './object-store.ts';

export type Finding = 'intact' | 'missing' | 'altered';

export interface AuditReport {
  readonly found: Readonly<Record<Finding, number>>;
  /** Announced objects that are found gone or altered for the first time. */
  readonly lost: readonly string[];
  /** Whether the counts have changed. */
  readonly hasChanged: boolean;
}

export interface LandedAuditOptions {
  readonly store: ObjectStore;
  readonly partitions: number;
  /** Manifests compared in one round, new ones and old ones each. */
  readonly manifestsPerRound?: number;
}

type Minutes = Map<number, number>;

/** A place in the chain of manifests. */
interface Cursor {
  partition: number;
  first: bigint;
}

interface Announced extends Pick<ManifestFile, 'path' | 'bytes' | 'crc32c'> {
  /** As last found with the announced content: a restored copy is read once. */
  generation: string;
}

/** What is compared again. */
interface OldManifest extends Cursor {
  readonly last: bigint;
  readonly files: readonly Announced[];
}

/** Manifests that are kept, so that comparing them again reads none. */
const oldKept = 50_000;
/** Days that are kept between rounds. */
const daysKept = 2_000;

/**
 * Counts what has landed, for those who may not look into the landing zone: the readings of each building and minute, of
 * announced files that are there as announced. New manifests are taken as they come, old ones are compared again in turn.
 * Any number may audit at once: each round begins at the newest snapshot, and the first to write the next one is believed.
 */
export class LandedAudit {
  readonly #store: ObjectStore;
  readonly #partitions: number;
  readonly #perRound: number;
  readonly #cursor: Cursor = { partition: 0, first: 0n };
  #snapshot: LandedAccountSnapshot = emptyAccount;
  #days = new Map<string, Minutes>();
  readonly #old = new Map<string, OldManifest>();

  constructor({ store, partitions, manifestsPerRound = 300 }: LandedAuditOptions) {
    this.#store = store;
    this.#partitions = partitions;
    this.#perRound = manifestsPerRound;
  }

  async round(nowMs: number): Promise<AuditReport> {
    await this.#followSnapshots();
    const before = this.#snapshot.missing;
    const draft = structuredClone(this.#snapshot);
    draft.number += 1;
    const changes = new Changes();
    const found = { intact: 0, missing: 0, altered: 0 };
    await this.#takeNew(draft, changes, found);
    await this.#takeOld(draft, changes, found);
    const hasChanged = changes.size > 0 || !isSameProgress(draft, this.#snapshot);
    if (hasChanged) await this.#publish(draft, changes);
    await this.#point(nowMs);
    const known = new Set(before);
    return { found, lost: draft.missing.filter((path) => !known.has(path)), hasChanged };
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
    this.#days.clear();
  }

  async #takeNew(draft: LandedAccountSnapshot, changes: Changes, found: Found): Promise<void> {
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
    changes: Changes,
    found: Found,
  ): Promise<{ lost: readonly string[]; last: bigint } | undefined> {
    for (let isAgain = false; ; isAgain = true) {
      const manifest = await this.#manifestAt(at);
      if (!manifest) return undefined;
      const findings: Finding[] = [];
      for (const file of manifest.files) findings.push(await this.#compare(file));
      const lost = manifest.files.filter((_, index) => findings[index] !== 'intact');
      // A building may be erased meanwhile: then the manifest names successors.
      if (lost.length > 0 && !isAgain && (await this.#isSuperseded(at, manifest))) continue;
      for (const finding of findings) found[finding] += 1;
      for (const file of manifest.files) if (!lost.includes(file)) changes.add(file, 1);
      return { lost: lost.map(({ path }) => path), last: manifest.last };
    }
  }

  async #isSuperseded(at: Cursor, { files }: LandingManifest): Promise<boolean> {
    const now = new Set((await this.#manifestAt(at))?.files.map(({ path }) => path));
    return files.some(({ path }) => !now.has(path));
  }

  async #takeOld(draft: LandedAccountSnapshot, changes: Changes, found: Found): Promise<void> {
    const missing = new Set(draft.missing);
    for (let left = this.#perRound; left > 0; left -= 1) {
      const old = await this.#nextOld();
      if (!old) break;
      for (const file of old.files) {
        const finding = await this.#compare(file);
        const isIntact = finding === 'intact';
        const isAsKnown = isIntact !== missing.has(file.path);
        const whole = isAsKnown ? undefined : await this.#manifestAt(old);
        const counted = whole?.files.find(({ path }) => path === file.path);
        // Without it, a building was erased from it: its successor is compared in the next turn.
        if (whole && !counted) this.#old.delete(`${old.partition} ${old.first}`);
        else found[finding] += 1;
        if (!counted) continue;
        changes.add(counted, isIntact ? 1 : -1);
        if (isIntact) missing.delete(file.path);
        else missing.add(file.path);
      }
    }
    draft.missing = [...missing];
  }

  /** In turn over all partitions; undefined at the end of a turn. */
  async #nextOld(): Promise<OldManifest | undefined> {
    const cursor = this.#cursor;
    for (; cursor.partition < this.#partitions; cursor.partition += 1, cursor.first = 0n) {
      // Only what was counted before this round.
      const end = BigInt(this.#snapshot.positions[`${cursor.partition}`] ?? 0);
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
    const files = manifest.files.map(({ path, bytes, generation, crc32c }) => {
      return { path, bytes, generation, crc32c };
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

  async #publish(draft: LandedAccountSnapshot, changes: Changes): Promise<void> {
    const days = [];
    for (const { building, dayMs, minutes } of changes.days()) {
      const present = await this.#minutesOf(building, dayMs);
      for (const [minute, readings] of minutes) {
        const sum = (present.get(minute) ?? 0) + readings;
        if (sum > 0) present.set(minute, sum);
        else present.delete(minute);
      }
      days.push({ building, dayMs, minutes: [...present].toSorted(([a], [b]) => a - b) });
    }
    if (days.length > 0) {
      const name = await this.#writeData(draft.number, { days });
      for (const { building, dayMs } of days) (draft.days[building] ??= {})[`${dayMs}`] = name;
    }
    const content = Buffer.from(JSON.stringify(draft));
    if (!(await this.#store.createOnly(accountSnapshotKey(draft.number), content))) {
      // Another auditor was first; the next round begins with its snapshot.
      this.#days.clear();
      return;
    }
    this.#snapshot = draft;
    while (this.#days.size > daysKept) {
      const [oldest] = this.#days.keys();
      if (oldest === undefined) break;
      this.#days.delete(oldest);
    }
  }

  /** Named by its content too: one that a killed auditor left is not in the way. */
  async #writeData(number: number, data: LandedAccountData): Promise<string> {
    const content = Buffer.from(JSON.stringify(data));
    const digest = createHash('sha256').update(content).digest('hex').slice(0, 16);
    const name = `${padded(number)}-${digest}`;
    await this.#store.createOnly(accountDataKey(name), content);
    return name;
  }

  async #minutesOf(building: string, dayMs: number): Promise<Minutes> {
    const key = `${building} ${dayMs}`;
    const kept = this.#days.get(key);
    if (kept) return kept;
    const name = this.#snapshot.days[building]?.[`${dayMs}`];
    const content = name === undefined ? undefined : await this.#store.get(accountDataKey(name));
    const day = content
      ? parseAccountData(content).days.find(
          (one) => one.building === building && one.dayMs === dayMs,
        )
      : undefined;
    const minutes: Minutes = new Map(day?.minutes);
    this.#days.set(key, minutes);
    return minutes;
  }

  async #point(verifiedAtMs: number): Promise<void> {
    const { number } = this.#snapshot;
    const pointer = { number, snapshot: accountSnapshotKey(number), verifiedAtMs };
    const content = Buffer.from(JSON.stringify(pointer));
    await this.#store.replacePointer(`${landedAccountFolder}latest.json`, content);
  }
}

type Found = Record<Finding, number>;

/** Readings to be added or taken off, by building and day. */
class Changes {
  readonly #days = new Map<string, { building: string; dayMs: number; minutes: Minutes }>();

  get size(): number {
    return this.#days.size;
  }

  add({ buildings }: ManifestFile, sign: 1 | -1): void {
    for (const { building, minutes } of buildings) {
      for (const [timeMs, readings] of minutes) {
        const [dayMs, minute] = minuteOfDay(timeMs);
        const day = this.#dayOf(building, dayMs);
        day.set(minute, (day.get(minute) ?? 0) + sign * readings);
      }
    }
  }

  days(): Iterable<{ building: string; dayMs: number; minutes: Minutes }> {
    return this.#days.values();
  }

  #dayOf(building: string, dayMs: number): Minutes {
    const key = `${building} ${dayMs}`;
    const found = this.#days.get(key);
    if (found) return found.minutes;
    const minutes: Minutes = new Map();
    this.#days.set(key, { building, dayMs, minutes });
    return minutes;
  }
}

function isSameProgress(a: LandedAccountSnapshot, b: LandedAccountSnapshot): boolean {
  return JSON.stringify([a.positions, a.missing]) === JSON.stringify([b.positions, b.missing]);
}
