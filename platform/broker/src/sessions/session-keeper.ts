import type {
  Closing,
  InboundMessage,
  InFlight,
  OpenedSession,
  OpenRequest,
  OutboundMessage,
  Session,
} from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import type { ClientIdentity } from '../admission/identity.ts';
import {
  endsAtMs,
  type LivingSession,
  livingOf,
  willMessageOf,
  willRecordOf,
} from '../model/sessions/kept-state.ts';
import type { ReplicasView } from '../model/sessions/replicas-view.ts';
import type { ConnectFacts, InFlightRecord } from '../model/sessions/session-records.ts';
import type { KeptSession, SessionChange, SessionsView } from '../model/sessions/sessions-view.ts';
import type { Claims, Handover } from './claims.ts';
import { HeldSession, type Sources } from './held-session.ts';
import type { SessionLog } from './session-log.ts';

/** Whose will it is. */
export type WillOrigin = Pick<Session<ClientIdentity>, 'key' | 'clientId' | 'identity'>;

/** What feeds sessions with messages, as far as sessions keep something of it. */
export interface KeptFeed {
  resume(key: string, state: unknown, inFlight: ReadonlySet<string>): void;
  /** Plain data that JSON keeps. */
  state(key: string): unknown;
  /** By token; what is gone from the log is left out. */
  messages(tokens: readonly string[]): Promise<ReadonlyMap<string, OutboundMessage>>;
  /** A kept session that was not served here is forgotten. */
  forgotten(key: string, names: readonly string[]): void;
}

export interface SessionKeeperOptions {
  readonly log: Pick<SessionLog, 'record' | 'tombstone' | 'write' | 'writeAll' | 'isCommitted'>;
  readonly view: SessionsView;
  readonly replicas: ReplicasView;
  readonly claims: Pick<Claims, 'take' | 'letGo'>;
  readonly keepsReceivedIds: boolean;
  readonly events: SessionEvents;
}

export interface SessionEvents {
  sessionTaken(handover: Handover): void;
  /** A client was refused by "server unavailable". */
  sessionNotOpened(error: unknown): void;
  sessionGivenUp(): void;
  sessionNotKept(error: unknown): void;
  /** A transaction was not committed; what was in it is tried again. */
  transactionFailed(error: unknown): void;
  /** What a replica left could not be seen to; it is tried again. */
  orphanFailed(error: unknown): void;
  orphanEnded(): void;
}

const progressEveryMs = 1000;
/** Of those that changed, in a second; the rest has its turn in the next. */
const progressWritesMax = 5000;

/** The sessions that are this replica's: opened, kept in the log, and given up when another takes them. */
export class SessionKeeper implements Disposable {
  readonly #options: SessionKeeperOptions;
  readonly #sources: Sources;
  readonly #held = new Map<string, HeldSession>();
  readonly #opening = new Set<string>();
  /** Over here, and not gone from the log yet: their wills are seen to. */
  readonly #ending = new Map<string, HeldSession>();
  readonly #moved = new Set<string>();
  readonly #wills = new WeakMap<object, Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #feed: KeptFeed | undefined;
  /** Publishes the will of a connection that ended elsewhere. */
  publishWill: (origin: WillOrigin, message: InboundMessage) => Promise<void> = async () => {};

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
    this.#sources = {
      log: options.log,
      feedState: (key) => this.#feed?.state(key),
      recordsOf: (key) => options.view.get(key)?.records ?? [],
      keepsReceivedIds: options.keepsReceivedIds,
    };
    this.#timer = setInterval(() => this.#writeProgress(), progressEveryMs).unref();
  }

  get size(): number {
    return this.#held.size;
  }

  use(feed: KeptFeed): void {
    this.#feed = feed;
  }

  /** Whether the session is served, about to be served, or being ended here. */
  holds(key: string): boolean {
    return this.#held.has(key) || this.#opening.has(key) || this.#ending.has(key);
  }

  async open(request: OpenRequest<ClientIdentity>): Promise<OpenedSession | number> {
    const { key } = request;
    this.#opening.add(key);
    try {
      const held = this.#held.get(key);
      if (held && request.isHere && !request.cleanStart && (await this.#reopen(held, request))) {
        return { resumed: true };
      }
      return await this.#take(request);
    } catch (error) {
      this.#options.events.sessionNotOpened(error);
      throw error;
    } finally {
      this.#opening.delete(key);
    }
  }

  opened(session: Session<ClientIdentity>): void {
    this.#held.get(session.key)?.opened(session);
  }

  save(session: Session<ClientIdentity>): Promise<void> {
    const held = this.#held.get(session.key);
    if (held?.session === session) return held.save();
    return Promise.reject(new Error('The session has another owner'));
  }

  closed(session: Session<ClientIdentity>, why: Closing): void {
    const held = this.#held.get(session.key);
    if (held?.session !== session) return;
    held.disconnectedAtMs = Date.now();
    held.connect = closedFacts(held.connect, session, why);
    // By then it may have ended.
    queueMicrotask(() => this.#saveSoon(held));
  }

  ended(session: Session<ClientIdentity>): void {
    const held = this.#held.get(session.key);
    if (held?.session !== session) return;
    this.#drop(held);
    void this.#end(held, this.#wills.get(session));
  }

  /** The session's will is being published: it is kept until then. */
  willTaken(session: Session<ClientIdentity>, published: Promise<void>): void {
    const held = this.#held.get(session.key);
    if (held?.session !== session) return;
    const { will } = held.connect;
    const note = async () => {
      await published;
      // By then the client may be back, with another will.
      if (held.connect.will !== will) return;
      held.connect = withoutWill(held.connect);
      this.#saveSoon(held);
    };
    const noted = note();
    this.#wills.set(
      session,
      noted.catch(() => undefined),
    );
  }

  /** Work for this session that whoever takes it over has to wait for. */
  tracked<Value>(session: Session<ClientIdentity>, work: Promise<Value>): Promise<Value> {
    const held = this.#held.get(session.key);
    return held?.session === session ? held.tracked(work) : work;
  }

  /** Whether this replica may still act for the session. */
  isCurrent(session: Session<ClientIdentity>): boolean {
    return this.#held.get(session.key)?.session === session;
  }

  /** The session as it is kept here; undefined when another replica has it. */
  heldOf(session: Session<ClientIdentity>): HeldSession | undefined {
    const held = this.#held.get(session.key);
    return held?.session === session ? held : undefined;
  }

  /** The feed's state of this session has changed. */
  moved(key: string): void {
    this.#moved.add(key);
  }

  /** Something of the log of sessions was read. */
  changed(change: SessionChange): void {
    const { session, kind } = change;
    const held = this.#held.get(session.key);
    if (!held) return;
    const isOwn = session.epoch === held.of.epoch;
    if (kind === 'stale' && isOwn) this.#remove(session.key, change.key);
    const isLost =
      (kind === 'claimed' && session.epoch > held.of.epoch) || (kind === 'ended' && isOwn);
    if (isLost) void this.#giveUp(held);
  }

  /** Writes the last of every session and lets them go, so that nobody has to wait. */
  async release(): Promise<void> {
    const all = [...this.#held.values()];
    await Promise.all(all.map((held) => held.settled()));
    const records = all.flatMap((held) => (held.over ? [] : [...held.changes(), held.released()]));
    for (const held of all) this.#drop(held);
    await this.#options.log.writeAll(records);
  }

  /** A session without anybody here: kept as it is for its time. */
  async keep(session: KeptSession, living: LivingSession): Promise<void> {
    const { connect, disconnectedAtMs } = living;
    const held = new HeldSession(session, this.#sources, { connect, inherited: living });
    held.disconnectedAtMs = disconnectedAtMs;
    await held.save();
  }

  /** Removes all of a session from the log. */
  async remove(session: KeptSession, { connect, subscriptions }: LivingSession): Promise<void> {
    const held = new HeldSession(session, this.#sources, { connect, inherited: undefined });
    await this.#options.log.writeAll(held.tombstones());
    const names = subscriptions.map(({ name }) => name);
    this.#feed?.forgotten(session.key, names);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #reopen(held: HeldSession, request: OpenRequest<ClientIdentity>): Promise<boolean> {
    held.connect = factsOf(request);
    held.disconnectedAtMs = undefined;
    await held.save().catch((error: unknown) => {
      if (!held.over) throw error;
    });
    return !held.over;
  }

  async #take(request: OpenRequest<ClientIdentity>): Promise<OpenedSession | number> {
    const { key, cleanStart: clean } = request;
    const { claims, events } = this.#options;
    const former = this.#held.get(key);
    const hasSeenToWill = former !== undefined || this.#ending.has(key);
    if (former) {
      await former.settled();
      this.#drop(former);
    }
    const connect = factsOf(request);
    const claimed = await claims.take(key, { connect, ...(clean && { clean }) });
    if (!claimed) return reason.serverBusy;
    const { session, handover } = claimed;
    events.sessionTaken(handover);
    const { before } = session;
    const living = before && !before.dropped ? livingOf(before) : undefined;
    const goesOn = living && endsAtMs(living, Date.now()) > Date.now();
    // What was here has had its will seen to here.
    if (!hasSeenToWill) this.#sendWillBefore(request, session, goesOn ?? false);
    const inherited = goesOn ? await this.#committed(key, living) : undefined;
    const held = new HeldSession(session, this.#sources, { connect, inherited });
    const opened = inherited ? await this.#resume(key, inherited) : { resumed: false as const };
    if (this.#options.view.get(key)?.epoch !== session.epoch) {
      await claims.letGo(key, session.epoch);
      return reason.serverBusy;
    }
    this.#held.set(key, held);
    if (before || session.records.size > 1) this.#saveSoon(held);
    return opened;
  }

  /** Without packet ids that were written and not committed. */
  async #committed(key: string, living: LivingSession): Promise<LivingSession> {
    if (living.received.size === 0) return living;
    const received = new Map(living.received);
    for (const [packetId, offset] of received) {
      const counts = await this.#options.log.isCommitted(key, offset);
      if (!counts) received.delete(packetId);
    }
    return { ...living, received };
  }

  async #resume(key: string, living: LivingSession): Promise<OpenedSession> {
    const tokens = living.inFlight.flatMap(({ token }) => token ?? []);
    const sent = living.inFlight.filter(({ stage }) => stage === 'sent');
    const asked = sent.flatMap(({ token }) => token ?? []);
    const messages = asked.length > 0 ? await this.#feed?.messages(asked) : undefined;
    const hasFeed = living.feed !== undefined && living.feed !== null;
    if (hasFeed) this.#feed?.resume(key, living.feed, new Set(tokens));
    return {
      resumed: true,
      state: {
        subscriptions: living.subscriptions,
        receivedIds: [...living.received.keys()],
        inFlight: living.inFlight.flatMap((one) => inFlightOf(one, messages) ?? []),
      },
    };
  }

  /** MQTT 5, section 3.1.2.5: of a connection that this one ended, or of a session that it replaced. */
  #sendWillBefore(
    { key, clientId, identity }: OpenRequest<ClientIdentity>,
    { before }: KeptSession,
    resumed: boolean,
  ): void {
    const living = before && livingOf(before);
    const { will, willDelaySeconds } = living?.connect ?? {};
    if (!living || !will) return;
    const wasConnected = living.disconnectedAtMs === undefined;
    const isDue = !resumed || (wasConnected && willDelaySeconds === 0);
    if (!isDue) return;
    this.publishWill({ key, clientId, identity }, willMessageOf(will)).catch((error: unknown) =>
      this.#options.events.sessionNotKept(error),
    );
  }

  async #giveUp(held: HeldSession): Promise<void> {
    const { log, events } = this.#options;
    this.#drop(held);
    const last = held.changes();
    held.session?.abandon(reason.sessionTakenOver);
    events.sessionGivenUp();
    // Who waits for us does so for a while only; it is told nothing that is not so.
    await held.settled();
    try {
      await log.writeAll([...last, held.released()]);
    } catch (error) {
      events.sessionNotKept(error);
    }
  }

  async #end(held: HeldSession, will: Promise<void> | undefined): Promise<void> {
    const { log, view, events } = this.#options;
    const { key, epoch } = held.of;
    this.#ending.set(key, held);
    await will;
    await held.settled();
    if (view.get(key)?.epoch === epoch)
      await log.writeAll(held.tombstones()).catch((error: unknown) => events.sessionNotKept(error));
    if (this.#ending.get(key) === held) this.#ending.delete(key);
  }

  #drop(held: HeldSession): void {
    held.over = true;
    if (this.#held.get(held.of.key) === held) this.#held.delete(held.of.key);
  }

  #remove(session: string, text: string): void {
    const { log, events } = this.#options;
    log.write(log.tombstone(session, text)).catch((error: unknown) => events.sessionNotKept(error));
  }

  #saveSoon(held: HeldSession): void {
    if (held.over) return;
    held.save().catch((error: unknown) => {
      if (!held.over) this.#options.events.sessionNotKept(error);
    });
  }

  #writeProgress(): void {
    let writes = 0;
    for (const key of this.#moved) {
      if (writes === progressWritesMax) return;
      this.#moved.delete(key);
      const held = this.#held.get(key);
      if (!held?.session || !held.outlives) continue;
      writes += 1;
      this.#saveSoon(held);
    }
  }
}

function factsOf(request: OpenRequest<ClientIdentity>): ConnectFacts {
  const { clientId, identity, protocolVersion, expirySeconds, will, willDelaySeconds } = request;
  const { building, gateway } = identity;
  return {
    clientId,
    building,
    protocolVersion,
    willDelaySeconds,
    ...(gateway !== undefined && { gateway }),
    expirySeconds: expirySeconds === Infinity ? null : expirySeconds,
    ...(will && { will: willRecordOf(will) }),
  };
}

function closedFacts(
  connect: ConnectFacts,
  { expirySeconds }: Pick<Session<unknown>, 'expirySeconds'>,
  { clean }: Closing,
): ConnectFacts {
  const left = clean ? withoutWill(connect) : connect;
  return { ...left, expirySeconds: expirySeconds === Infinity ? null : expirySeconds };
}

function withoutWill(connect: ConnectFacts): ConnectFacts {
  const left = { ...connect };
  delete left.will;
  return left;
}

function inFlightOf(
  { packetId, stage, token, qos }: InFlightRecord,
  messages: ReadonlyMap<string, OutboundMessage> | undefined,
): InFlight | undefined {
  if (stage === 'received') return { packetId, stage, token };
  const message = token === undefined ? undefined : messages?.get(token);
  return message && { packetId, stage, message, ...(qos !== undefined && { qos }) };
}
