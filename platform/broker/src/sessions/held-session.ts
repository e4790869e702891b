import type { OutputRecord } from '@domicile/kafka/records.ts';
import type { Session, Subscription } from '@domicile/mqtt/owner.ts';
import { inFlightRecordOf, type LivingSession, stateOf } from '../model/sessions/kept-state.ts';
import { type EpochRecordKind, parseKey, textOf } from '../model/sessions/session-keys.ts';
import type { ConnectFacts, InFlightRecord } from '../model/sessions/session-records.ts';
import type { SessionLog } from './session-log.ts';
import { SharedRuns } from './shared-runs.ts';

/** What of a session this replica may write: its epoch, and who claimed it. */
export interface Epoch {
  readonly key: string;
  readonly epoch: bigint;
  readonly claimId: string;
  readonly replica: string;
  readonly adopted: boolean;
}

export interface Sources {
  readonly log: Pick<SessionLog, 'record' | 'tombstone' | 'writeAll'>;
  /** The feed's state of the session; undefined: it has none. */
  readonly feedState: (key: string) => unknown;
  /** Keys of the session's that have a value in the log. */
  readonly recordsOf: (key: string) => Iterable<string>;
  /** Packet ids of the session's own QoS 2 messages survive this process. */
  readonly keepsReceivedIds: boolean;
}

/**
 * A session that is this replica's: what is to be kept of it, and the way it is written. One write is under way at a time;
 * who asks meanwhile shares the next.
 */
export class HeldSession {
  readonly of: Epoch;
  readonly #sources: Sources;
  connect: ConnectFacts;
  disconnectedAtMs: number | undefined;
  /** Undefined until it is opened. */
  session: Session<unknown> | undefined;
  /** Another has it, or it is over: nothing more is written. */
  over = false;
  /** Something of it stands in the log beside its claim. */
  #isKept: boolean;
  /** What it began with, while it is not opened. */
  #inherited: LivingSession | undefined;
  /** Their records stand in the log, or are on their way there. */
  readonly #receivedKept = new Set<number>();
  /** Released by the client, and their records not known to be gone. */
  readonly #receivedReleased = new Set<number>();
  #stateWritten = '';
  #progressWritten = '';
  readonly #writes = new SharedRuns(() => this.#write());
  #inFlight = 0;
  #settled: PromiseWithResolvers<void> | undefined;

  constructor(
    of: Epoch,
    sources: Sources,
    { connect, inherited }: { connect: ConnectFacts; inherited: LivingSession | undefined },
  ) {
    this.of = of;
    this.#sources = sources;
    this.connect = connect;
    this.#inherited = inherited;
    this.#isKept = inherited !== undefined;
  }

  /** Whether it lives on without a connection. */
  get outlives(): boolean {
    return this.connect.expirySeconds !== 0;
  }

  opened(session: Session<unknown>): void {
    this.session = session;
    this.#inherited = undefined;
    this.disconnectedAtMs = undefined;
  }

  /** Resolves when what is to be kept, as it is at the call or later, is on all in-sync replicas. */
  save(): Promise<void> {
    return this.#writes.run();
  }

  /** From the commit of its message on, its packet id is kept. */
  receivedRecord(packetId: number): OutputRecord {
    const { key: session, epoch } = this.of;
    return this.#sources.log.record({ of: 'received', session, epoch, packetId }, {});
  }

  /** Something of this session is on its way to Kafka; handing over waits for it. */
  async tracked<Value>(work: Promise<Value>): Promise<Value> {
    this.#inFlight += 1;
    try {
      return await work;
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#settled?.resolve();
    }
  }

  /** Resolves when nothing is on its way. */
  async settled(): Promise<void> {
    if (this.#inFlight > 0) {
      this.#settled ??= Promise.withResolvers();
      await this.#settled.promise;
    }
    await this.#writes.idle();
  }

  /** Kept with the message that brought it. */
  receivedKept(packetId: number): void {
    this.#receivedKept.add(packetId);
  }

  /** What has changed since the last of these was written. */
  changes(): OutputRecord[] {
    if (!this.#isKept && !this.outlives) return [];
    this.#isKept = true;
    const records = [...this.#receivedChanges()];
    const state = this.#state();
    const progress = this.#progress();
    const stateText = JSON.stringify(state);
    const progressText = JSON.stringify(progress);
    if (stateText !== this.#stateWritten) records.push(this.#record('state', state));
    if (progressText !== this.#progressWritten) records.push(this.#record('progress', progress));
    this.#stateWritten = stateText;
    this.#progressWritten = progressText;
    return records;
  }

  /** Whoever claims it next need not wait. */
  released(): OutputRecord {
    return this.#record('released', {});
  }

  /** Removes all of it, its claim last. */
  tombstones(): OutputRecord[] {
    const { key, claimId } = this.of;
    const { log, recordsOf } = this.#sources;
    const claim = textOf({ of: 'claim', session: key, claimId });
    const texts = new Set([...recordsOf(key), ...this.#written()]);
    texts.delete(claim);
    return [...texts, claim].map((text) => log.tombstone(key, text));
  }

  /** Keys that it may have written and that were not read back yet. */
  *#written(): Iterable<string> {
    if (!this.#isKept) return;
    const { key: session, epoch } = this.of;
    yield textOf({ of: 'state', session, epoch });
    yield textOf({ of: 'progress', session, epoch });
    for (const packetId of this.#receivedKept) {
      yield textOf({ of: 'received', session, epoch, packetId });
    }
  }

  async #write(): Promise<void> {
    if (this.over) throw new Error('The session has another owner');
    // Tombstones last: what they stood for is kept by then.
    const records = [...this.changes(), ...this.#tombstonesBefore()];
    if (records.length === 0) return;
    const released = [...this.#receivedReleased];
    try {
      await this.#sources.log.writeAll(records);
      for (const packetId of released) this.#receivedReleased.delete(packetId);
    } catch (error) {
      // Which of them stand in the log is not known: all are written again.
      this.#stateWritten = '';
      this.#progressWritten = '';
      throw error;
    }
  }

  #state() {
    const { claimId, replica, adopted } = this.of;
    return stateOf(
      {
        replica,
        claimId,
        connect: this.connect,
        ...(adopted && { adopted }),
        ...(this.disconnectedAtMs !== undefined && { disconnectedAtMs: this.disconnectedAtMs }),
      },
      this.#subscriptions(),
    );
  }

  #subscriptions(): readonly Subscription[] {
    const { session } = this;
    return session ? [...session.subscriptions.values()] : (this.#inherited?.subscriptions ?? []);
  }

  #progress(): { inFlight: readonly InFlightRecord[]; feed: unknown } {
    const inherited = this.#inherited;
    if (!this.session)
      return { inFlight: inherited?.inFlight ?? [], feed: inherited?.feed ?? null };
    const inFlight = this.session.state().inFlight.map(inFlightRecordOf);
    return { inFlight, feed: this.#sources.feedState(this.of.key) ?? null };
  }

  *#receivedChanges(): Iterable<OutputRecord> {
    if (!this.#sources.keepsReceivedIds) return;
    const { key: session, epoch } = this.of;
    const { log } = this.#sources;
    const receivedIds = this.session?.state().receivedIds ?? this.#inherited?.received.keys() ?? [];
    const received = new Set(receivedIds);
    // Those of the owner before.
    for (const packetId of received) {
      if (this.#receivedKept.has(packetId)) continue;
      this.#receivedKept.add(packetId);
      yield log.record({ of: 'received', session, epoch, packetId }, {});
    }
    for (const packetId of this.#receivedKept) {
      if (received.has(packetId)) continue;
      this.#receivedKept.delete(packetId);
      this.#receivedReleased.add(packetId);
    }
    for (const packetId of this.#receivedReleased) {
      yield log.record({ of: 'received', session, epoch, packetId });
    }
  }

  *#tombstonesBefore(): Iterable<OutputRecord> {
    const { key, claimId, epoch } = this.of;
    const { log, recordsOf } = this.#sources;
    for (const text of recordsOf(key)) {
      const read = parseKey(text);
      if (read?.of === 'replica' || read?.of === 'group') continue;
      const isOwn = read?.of === 'claim' ? read.claimId === claimId : read?.epoch === epoch;
      if (!isOwn) yield log.tombstone(key, text);
    }
  }

  #record(kind: EpochRecordKind, value: unknown): OutputRecord {
    const { key: session, epoch } = this.of;
    return this.#sources.log.record({ of: kind, session, epoch }, value);
  }
}
