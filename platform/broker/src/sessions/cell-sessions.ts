import { randomUUID } from 'node:crypto';
import type { CountryCode } from '@domicile/core/countries.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { InboundMessage } from '@domicile/mqtt/owner.ts';
import type { Gatekeeper } from '../admission/gatekeeper.ts';
import type { ClientIdentity } from '../admission/identity.ts';
import type { BrokerEvents } from '../events.ts';
import type { LivingSession } from '../model/sessions/kept-state.ts';
import { ReplicasView } from '../model/sessions/replicas-view.ts';
import { parseKey } from '../model/sessions/session-keys.ts';
import type { ConnectFacts } from '../model/sessions/session-records.ts';
import { type SessionLogRecord, SessionsView } from '../model/sessions/sessions-view.ts';
import { LocalSessions } from '../operation/local-sessions.ts';
import { CellSessionsView } from './cell-sessions-view.ts';
import { Claims } from './claims.ts';
import { GroupEntries } from './group-entries.ts';
import { Orphans } from './orphans.ts';
import { ReplicaHeart } from './replica-heart.ts';
import { type SessionEvents, SessionKeeper, type WillOrigin } from './session-keeper.ts';
import { SessionLog } from './session-log.ts';

export interface CellSessionsOptions {
  readonly kafka: ClientOptions;
  readonly country: CountryCode;
  readonly deliveryTimeoutMs: number;
  /** How long a replica that lives is waited for when a client comes here from it. */
  readonly handoverTimeoutMs: number;
  /** Packet ids of clients' QoS 2 messages are kept in the log. */
  readonly keepsReceivedIds: boolean;
  readonly identityOf: (facts: ConnectFacts) => ClientIdentity;
  readonly events: SessionEvents;
  readonly fail: (error: unknown) => void;
}

interface Shown {
  readonly gatekeeper: Pick<Gatekeeper, 'sessions' | 'sinceMs'>;
  readonly events: Pick<BrokerEvents, 'sessionKicked'>;
}

/** Heartbeats of ours, a second apart, after which a replica that gave none is dead. */
const missedMax = 5;

/**
 * The sessions of a cell as this replica sees them, and its part in keeping them. Replicas are equal and meet in the log alone
 * (docs/adr: sessions live in a compacted topic).
 */
export class CellSessions implements AsyncDisposable {
  readonly replica: string;
  readonly view: SessionsView;
  readonly replicas: ReplicasView;
  readonly keeper: SessionKeeper;
  readonly groups: GroupEntries;
  readonly log: SessionLog;
  readonly events: SessionEvents;
  readonly #claims: Claims;
  readonly #options: CellSessionsOptions;
  #orphans: Orphans | undefined;
  #heart: ReplicaHeart | undefined;
  /** Begun by another that is not waited for: nothing of it may come any more. */
  fence: (replica: string) => Promise<void> = async () => {};

  /** Resolves when all that is known of sessions has been read, and the other replicas can see this one. */
  static async open(options: CellSessionsOptions): Promise<CellSessions> {
    const { kafka, country, deliveryTimeoutMs, fail } = options;
    const log = await SessionLog.open({ kafka, country, deliveryTimeoutMs });
    const sessions = new CellSessions(options, log);
    try {
      await log.follow((record) => sessions.#note(record), fail);
      sessions.#heart = await ReplicaHeart.start(log, sessions.replica);
    } catch (error) {
      await sessions[Symbol.asyncDispose]();
      throw error;
    }
    return sessions;
  }

  private constructor(options: CellSessionsOptions, log: SessionLog) {
    const { handoverTimeoutMs, keepsReceivedIds, events } = options;
    this.#options = options;
    this.log = log;
    this.events = events;
    this.replica = randomUUID();
    this.view = new SessionsView();
    this.replicas = new ReplicasView(this.replica, { missedMax });
    this.groups = new GroupEntries(log, this.replicas);
    const { view, replicas } = this;
    const fence = (replica: string) => this.fence(replica);
    this.#claims = new Claims({ log, view, replicas, handoverTimeoutMs, fence });
    const claims = this.#claims;
    this.keeper = new SessionKeeper({
      log,
      view,
      replicas,
      claims,
      keepsReceivedIds,
      events,
    });
  }

  /** From now on wills are published and sessions ended that no replica has. */
  start(publishWill: (origin: WillOrigin, message: InboundMessage) => Promise<void>): void {
    const { view, replicas, keeper } = this;
    const { identityOf, events } = this.#options;
    keeper.publishWill = publishWill;
    const ofOrphan = ({ key }: { key: string }, { connect }: LivingSession, will: InboundMessage) =>
      publishWill({ key, clientId: connect.clientId, identity: identityOf(connect) }, will);
    const claims = this.#claims;
    const forgetReplica = async (gone: string) => {
      await this.log.write(this.log.record({ of: 'replica', replica: gone }));
    };
    this.#orphans = new Orphans({
      view,
      replicas,
      keeper,
      events,
      claims,
      publishWill: ofOrphan,
      forgetReplica,
    });
  }

  /** All sessions of the cell, for operators. */
  shown({ gatekeeper, events }: Shown): CellSessionsView {
    const { replica, view, replicas, keeper } = this;
    const local = new LocalSessions({
      replica,
      sessions: () => gatekeeper.sessions(),
      sinceMs: (session) => gatekeeper.sinceMs(session),
      events,
    });
    return new CellSessionsView({ view, replicas, local, isHere: (key) => keeper.holds(key) });
  }

  /** Lets go of every session: they are for others to take without waiting. */
  async release(): Promise<void> {
    await this.#orphans?.[Symbol.asyncDispose]();
    await this.keeper.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.keeper[Symbol.dispose]();
    await this.#orphans?.[Symbol.asyncDispose]();
    await this.#heart?.[Symbol.asyncDispose]();
    await this.log[Symbol.asyncDispose]();
  }

  #note(record: SessionLogRecord): void {
    const key = parseKey(record.key);
    if (key?.of === 'group') this.groups.note(key.name, record.value);
    else if (key?.of === 'replica') this.#noteReplica(key.replica, record.value === null);
    else this.#noteSession(record);
  }

  #noteReplica(replica: string, isGone: boolean): void {
    if (!this.replicas.note(replica, isGone)) return;
    this.#claims.replicasChanged();
    this.groups.replicasChanged();
    for (const dead of this.replicas.dead()) this.#fenceDead(dead);
  }

  /** A transaction that it left open holds up the readers of messages. */
  #fenceDead(replica: string): void {
    if (!this.replicas.isFirst()) return;
    this.fence(replica).catch((error: unknown) => this.events.orphanFailed(error));
  }

  #noteSession(record: SessionLogRecord): void {
    const change = this.view.fold(record);
    if (!change) return;
    this.#claims.changed(change.session.key);
    this.keeper.changed(change);
  }
}
