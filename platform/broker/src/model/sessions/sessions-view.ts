import { parseKey, type SessionLogKey, textOf } from './session-keys.ts';
import { claimRecord, type ConnectFacts, stateRecord, valueOf } from './session-records.ts';

/** A record of the log of sessions, in the order of its partition. */
export interface SessionLogRecord {
  readonly key: string;
  /** Null: a tombstone. */
  readonly value: Buffer | null;
  readonly offset: bigint;
}

/** What was written for one owner of a session. */
export interface Written {
  /** `StateRecord` and `ProgressRecord` as they stand in the log. */
  readonly state: Buffer | undefined;
  readonly progress: Buffer | undefined;
  /**
   * Packet ids of QoS 2 messages that the client has not released, and where each one's record stands: it was written in one
   * transaction with the message, and counts if that was committed.
   */
  readonly received: ReadonlyMap<number, bigint>;
}

/** What an earlier owner left. Its last words still count while the session's owner has written nothing. */
export interface Before extends Written {
  readonly connect: ConnectFacts | undefined;
  /** The session began anew: nothing of this lives on but the will. */
  readonly dropped: boolean;
}

/** What the log says of a session. */
export interface KeptSession extends Written {
  readonly key: string;
  /** Offset of the claim that counts. */
  readonly epoch: bigint;
  readonly claimId: string;
  readonly replica: string;
  /** Of the claim that counts, or of the last that said it. */
  readonly connect: ConnectFacts | undefined;
  /** The epoch counts by a claim that was bound to the one before. */
  readonly adopted: boolean;
  /** Its owner has given it up, and nobody has claimed it since. */
  readonly released: boolean;
  /** Until its owner has written. */
  readonly before: Before | undefined;
  /** Earlier owners that may still be writing, by epoch. */
  readonly unreleased: ReadonlyMap<bigint, string>;
  /** Keys of the session that have a value in the log. */
  readonly records: ReadonlySet<string>;
}

interface Writing {
  state: Buffer | undefined;
  progress: Buffer | undefined;
  readonly received: Map<number, bigint>;
}

interface Entry extends Writing {
  readonly key: string;
  readonly epoch: bigint;
  readonly claimId: string;
  readonly replica: string;
  readonly connect: ConnectFacts | undefined;
  readonly adopted: boolean;
  released: boolean;
  before: (Writing & Pick<Before, 'connect' | 'dropped'>) | undefined;
  readonly unreleased: Map<bigint, string>;
  readonly records: Set<string>;
}

export type SessionChange =
  | { readonly kind: 'claimed'; readonly session: KeptSession }
  | { readonly kind: 'written' | 'released'; readonly session: KeptSession }
  /** Written by somebody who did not know yet that the session has another owner. */
  | { readonly kind: 'stale'; readonly session: KeptSession; readonly key: string }
  | { readonly kind: 'ended'; readonly session: KeptSession };

type OfSession = Exclude<SessionLogKey, { readonly of: 'replica' | 'group' }>;
type OfEpoch = Exclude<OfSession, { readonly of: 'claim' }>;

/** The sessions of a cell: a fold over their log, the same for whoever reads it. */
export class SessionsView {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): KeptSession | undefined {
    return this.#entries.get(key);
  }

  all(): IterableIterator<KeptSession> {
    return this.#entries.values();
  }

  /** What the record changes; undefined if nothing, as for records of other kinds. */
  fold(record: SessionLogRecord): SessionChange | undefined {
    const key = parseKey(record.key);
    if (!key || key.of === 'replica' || key.of === 'group') return undefined;
    if (key.of === 'claim') return this.#foldClaim(key, record);
    const entry = this.#entries.get(key.session);
    if (record.value === null) {
      if (entry) forget(entry, key, record.key);
      return undefined;
    }
    if (!entry || key.epoch > entry.epoch) return this.#foldUnclaimed(key, record);
    entry.records.add(record.key);
    return foldWritten(entry, key, record);
  }

  #foldClaim(
    { session, claimId }: Extract<OfSession, { of: 'claim' }>,
    { key, value, offset }: SessionLogRecord,
  ): SessionChange | undefined {
    const entry = this.#entries.get(session);
    if (value === null) {
      entry?.records.delete(key);
      if (entry?.claimId !== claimId) return undefined;
      this.#entries.delete(session);
      return { kind: 'ended', session: entry };
    }
    const claim = valueOf(claimRecord, value);
    const counts = claim && (claim.expects === undefined || claim.expects === `${entry?.epoch}`);
    if (!counts) {
      entry?.records.add(key);
      return undefined;
    }
    const claimed: Entry = {
      key: session,
      epoch: offset,
      claimId,
      replica: claim.replica,
      connect: claim.connect ?? entry?.connect,
      adopted: claim.expects !== undefined,
      released: false,
      ...nothingWritten(),
      before: entry && beforeOf(entry, claim.clean === true),
      unreleased: unreleasedOf(entry),
      records: entry?.records ?? new Set(),
    };
    claimed.records.add(key);
    this.#entries.set(session, claimed);
    return { kind: 'claimed', session: claimed };
  }

  /** The claim before an adopted one has gone from the log, so that the adopted one seemed not to count. */
  #foldUnclaimed(key: OfEpoch, { key: text, value }: SessionLogRecord): SessionChange | undefined {
    if (key.of !== 'state' || value === null) return undefined;
    const read = valueOf(stateRecord, value);
    if (!read?.adopted) return undefined;
    const { session, epoch } = key;
    const { replica, claimId, connect } = read;
    const records = new Set(this.#entries.get(session)?.records);
    records.add(text).add(textOf({ of: 'claim', session, claimId }));
    const adopted: Entry = {
      key: session,
      epoch,
      claimId,
      replica,
      connect,
      adopted: true,
      released: false,
      ...nothingWritten(),
      state: value,
      before: undefined,
      unreleased: new Map(),
      records,
    };
    this.#entries.set(session, adopted);
    return { kind: 'claimed', session: adopted };
  }
}

const nothingWritten = (): Writing => ({
  state: undefined,
  progress: undefined,
  received: new Map(),
});

function beforeOf(entry: Entry, isClean: boolean): Entry['before'] {
  const { connect, state, progress, received } = entry;
  // An owner that wrote nothing has changed nothing.
  const last = entry.before ?? { connect, state, progress, received, dropped: false };
  return { ...last, dropped: isClean || last.dropped };
}

function unreleasedOf(before: Entry | undefined): Map<bigint, string> {
  const unreleased = new Map(before?.unreleased);
  if (before && !before.released) unreleased.set(before.epoch, before.replica);
  return unreleased;
}

function forget(entry: Entry, key: OfEpoch, text: string): void {
  entry.records.delete(text);
  if (key.of === 'received') writingOf(entry, key.epoch)?.received.delete(key.packetId);
}

function writingOf(entry: Entry, epoch: bigint): Writing | undefined {
  if (epoch === entry.epoch) return entry;
  return entry.unreleased.has(epoch) ? entry.before : undefined;
}

function foldWritten(
  entry: Entry,
  key: OfEpoch,
  { key: text, value, offset }: SessionLogRecord,
): SessionChange {
  const writing = writingOf(entry, key.epoch);
  if (!writing) return { kind: 'stale', session: entry, key: text };
  const isOwn = writing === entry;
  if (key.of === 'released') {
    if (isOwn) entry.released = true;
    entry.unreleased.delete(key.epoch);
    return { kind: 'released', session: entry };
  }
  if (key.of === 'received') writing.received.set(key.packetId, offset);
  else writing[key.of] = value ?? undefined;
  if (isOwn && key.of !== 'received') {
    entry.unreleased.clear();
    entry.before = undefined;
  }
  return { kind: 'written', session: entry };
}
