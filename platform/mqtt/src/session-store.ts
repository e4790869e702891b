import type { ConnectPacket, PacketMessage, WillPacket } from './client-packets.ts';
import type { MqttLimits } from './limits.ts';
import { LiveSession, type SessionHost, type SessionLink } from './live-session.ts';
import { Deadlines } from './model/deadlines.ts';
import {
  type InboundMessage,
  MqttDisconnect,
  type MqttOwner,
  type OpenedSession,
} from './owner.ts';
import { failureFrom, reason } from './reason-codes.ts';

/** How finely time is told. */
export const tickMs = 250;

export interface Admitted<Identity> {
  readonly connect: ConnectPacket;
  readonly key: string;
  readonly clientId: string;
  readonly identity: Identity;
}

export interface Attached<Identity> {
  readonly session: LiveSession<Identity>;
  readonly resumed: boolean;
}

/** The CONNECT of a key that is being answered; who comes next waits for it. */
interface Opening {
  readonly link: SessionLink;
  readonly done: Promise<unknown>;
}

/** The sessions of a server, by the key that its owner gives: taken over, resumed, aged and ended here. */
export class SessionStore<Identity, Peer> implements SessionHost<Identity> {
  readonly limits: MqttLimits;
  readonly #owner: MqttOwner<Identity, Peer>;
  readonly #steadyMs: () => number;
  readonly #sessions = new Map<string, LiveSession<Identity>>();
  readonly #opening = new Map<string, Opening>();
  readonly #deadlines: Deadlines<LiveSession<Identity>>;

  constructor(owner: MqttOwner<Identity, Peer>, limits: MqttLimits, steadyMs: () => number) {
    this.#owner = owner;
    this.limits = limits;
    this.#steadyMs = steadyMs;
    this.#deadlines = new Deadlines(tickMs, steadyMs());
  }

  get size(): number {
    return this.#sessions.size;
  }

  get saves(): boolean {
    return this.#owner.save !== undefined;
  }

  get(key: string): LiveSession<Identity> | undefined {
    return this.#sessions.get(key);
  }

  each(): Iterable<LiveSession<Identity>> {
    return this.#sessions.values();
  }

  async save(session: LiveSession<Identity>): Promise<void> {
    // Whoever has it now keeps its state: nothing of ours may stand over that, and nothing be told for it.
    if (session.ended) throw new MqttDisconnect(reason.sessionTakenOver, 'The session ended here');
    await this.#owner.save?.(session);
  }

  room(session: LiveSession<Identity>): void {
    this.#owner.room?.(session);
  }

  /**
   * Finds the session of an admitted CONNECT and gives it to `accept`, or the reason why there is none. One at a time for
   * a key; the last one wins. `accept` is called before anything else can happen to the session.
   */
  async attach(
    link: SessionLink,
    admitted: Admitted<Identity>,
    accept: (attached: Attached<Identity>) => void,
  ): Promise<number | undefined> {
    const { key } = admitted;
    const before = this.#opening.get(key);
    before?.link.close(reason.sessionTakenOver);
    const done = this.#attachAfter(before, { link, admitted, accept });
    const opening = { link, done };
    this.#opening.set(key, opening);
    try {
      return await done;
    } finally {
      if (this.#opening.get(key) === opening) this.#opening.delete(key);
    }
  }

  async #attachAfter(
    before: Opening | undefined,
    {
      link,
      admitted,
      accept,
    }: {
      link: SessionLink;
      admitted: Admitted<Identity>;
      accept: (attached: Attached<Identity>) => void;
    },
  ): Promise<number | undefined> {
    await before?.done.catch(() => undefined);
    if (link.gone) return reason.unspecified;
    const { connect } = admitted;
    this.#sessions.get(admitted.key)?.connection?.close(reason.sessionTakenOver);
    // Before its owner has made it this server's.
    const isNew = !this.#sessions.has(admitted.key);
    if (isNew && this.#sessions.size >= this.limits.sessionsMax) return reason.quotaExceeded;
    const opened = await this.#open(connect, admitted);
    if (typeof opened === 'number') return opened;
    const session = this.#sessionOf(opened, admitted);
    session.identity = admitted.identity;
    session.protocolVersion = connect.protocolVersion;
    session.connection = link;
    this.#deadlines.delete(session);
    session.endsAtMs = undefined;
    session.delayedWill = undefined;
    session.expirySeconds = this.#expirySecondsOf(connect);
    session.outbound?.reconnected();
    if (!link.gone) {
      accept({ session, resumed: opened.resumed });
      return undefined;
    }
    // It was opened for a client that has left meanwhile.
    this.#owner.opened?.(session, opened.resumed);
    this.#owner.closed?.(session, {
      clean: false,
      reasonCode: reason.unspecified,
      expirySeconds: session.expirySeconds,
    });
    this.detach(session, connect.will);
    return reason.unspecified;
  }

  /** What the owner knows of the session; without its word what stands in memory. */
  async #open(
    connect: ConnectPacket,
    { key, clientId, identity }: Admitted<Identity>,
  ): Promise<OpenedSession | number> {
    const isHere = this.#sessions.has(key);
    const { protocolVersion, cleanStart, will } = connect;
    if (!this.#owner.open) return { resumed: isHere && !cleanStart };
    const opened = await this.#owner
      .open({
        key,
        clientId,
        identity,
        protocolVersion,
        cleanStart,
        expirySeconds: this.#expirySecondsOf(connect),
        will: will && willMessage(will),
        willDelaySeconds: will ? this.#willDelaySecondsOf(will, this.#expirySecondsOf(connect)) : 0,
        isHere,
      })
      .catch(() => reason.serverUnavailable);
    return typeof opened === 'number' && opened < failureFrom ? reason.serverUnavailable : opened;
  }

  #sessionOf(opened: OpenedSession, admitted: Admitted<Identity>): LiveSession<Identity> {
    const known = this.#sessions.get(admitted.key);
    if (known && opened.resumed && !opened.state) return known;
    // What was kept elsewhere stands for the will of the old one too.
    if (known && opened.resumed) known.delayedWill = undefined;
    if (known) this.#end(known);
    const session = new LiveSession(admitted, this);
    if (opened.resumed && opened.state) session.restore(opened.state);
    this.#sessions.set(admitted.key, session);
    return session;
  }

  /** This connection serves its session no longer; the will, if one is due. */
  detach(session: LiveSession<Identity>, will: WillPacket | undefined): void {
    const nowMs = this.#steadyMs();
    session.connection = undefined;
    session.endsAtMs = nowMs + session.expirySeconds * 1000;
    if (will) {
      const delaySeconds = this.#willDelaySecondsOf(will, session.expirySeconds);
      session.delayedWill = { will, atMs: nowMs + delaySeconds * 1000 };
    }
    this.#age(session, nowMs);
    if (!session.ended) this.#deadlines.set(session, this.#nextOf(session));
  }

  abandon(session: LiveSession<Identity>, reasonCode: number): void {
    if (this.#sessions.get(session.key) !== session) return;
    const { connection } = session;
    session.connection = undefined;
    session.delayedWill = undefined;
    connection?.close(reasonCode);
    this.#end(session);
  }

  tick(nowMs: number): void {
    for (const session of this.#deadlines.due(nowMs)) {
      // Whoever opens it now takes it up or ends it.
      if (this.#opening.has(session.key)) this.#deadlines.set(session, nowMs + tickMs);
      else this.#age(session, nowMs);
      if (!session.connection && !session.ended && session.bucket === undefined) {
        this.#deadlines.set(session, this.#nextOf(session));
      }
    }
  }

  clear(): void {
    for (const session of this.#sessions.values()) session.end();
    this.#sessions.clear();
  }

  #age(session: LiveSession<Identity>, nowMs: number): void {
    if (session.connection) return;
    if (session.delayedWill && session.delayedWill.atMs <= nowMs) this.#publishWill(session);
    if (session.endsAtMs !== undefined && session.endsAtMs <= nowMs) this.#end(session);
  }

  #nextOf({ delayedWill, endsAtMs = Infinity }: LiveSession<Identity>): number {
    return Math.min(delayedWill?.atMs ?? Infinity, endsAtMs);
  }

  #end(session: LiveSession<Identity>): void {
    this.#deadlines.delete(session);
    if (session.delayedWill) this.#publishWill(session);
    this.#sessions.delete(session.key);
    session.end();
    this.#owner.ended?.(session);
  }

  #publishWill(session: LiveSession<Identity>): void {
    const will = session.delayedWill?.will;
    session.delayedWill = undefined;
    if (will) this.#owner.will(session, willMessage(will));
  }

  #willDelaySecondsOf(will: WillPacket, expirySeconds: number): number {
    return Math.min(will.delaySeconds, expirySeconds, this.limits.willDelaySecondsMax);
  }

  #expirySecondsOf({
    protocolVersion,
    cleanStart,
    sessionExpirySeconds = 0,
  }: ConnectPacket): number {
    const asked = protocolVersion === 5 ? sessionExpirySeconds : cleanStart ? 0 : Infinity;
    return Math.min(asked, this.limits.sessionExpirySecondsMax);
  }
}

function willMessage(will: PacketMessage): InboundMessage {
  const { topic, payload, qos, retain, expirySeconds, properties } = will;
  return {
    topic,
    payload,
    qos,
    retain,
    expirySeconds,
    properties,
    dup: false,
    packetId: undefined,
  };
}
