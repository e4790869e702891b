import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type { ConnectPacket, PacketMessage, WillPacket } from './client-packets.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { defaultLimits, type MqttLimits } from './limits.ts';
import { LiveSession, type SessionLink } from './live-session.ts';
import type { InboundMessage, MqttOwner, Session } from './owner.ts';
import { reason } from './reason-codes.ts';

export interface MqttServerOptions {
  readonly limits?: Partial<MqttLimits>;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

const tickMs = 250;

/**
 * Serves MQTT 3.1.1 and 5 on sockets that its owner accepted: TCP, TLS, or any byte stream. Keeps sessions
 * in memory, by the key that the owner gives. Disposing ends all connections at once; `drain` first lets
 * what was taken in be acked.
 */
export class MqttServer<Identity, Peer> implements ConnectionHost<Identity, Peer>, Disposable {
  readonly owner: MqttOwner<Identity, Peer>;
  readonly limits: MqttLimits;
  readonly clock: () => number;
  readonly #connections = new Set<Connection<Identity, Peer>>();
  readonly #sessions = new Map<string, LiveSession<Identity>>();
  readonly #ticking: NodeJS.Timeout;
  #draining = false;
  /** Bytes of all connections that the owner has not settled. */
  pendingBytes = 0;
  readonly starved = new Set<{ goOn(): void }>();

  constructor(
    owner: MqttOwner<Identity, Peer>,
    { limits = {}, clock = Date.now }: MqttServerOptions = {},
  ) {
    this.owner = owner;
    this.limits = Object.freeze({ ...defaultLimits, ...limits });
    this.clock = clock;
    this.#ticking = setInterval(() => this.#tick(), tickMs).unref();
  }

  get connections(): number {
    return this.#connections.size;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** Messages taken from clients that the owner has not settled. */
  get inFlight(): number {
    let messages = 0;
    for (const connection of this.#connections) messages += connection.pendingMessages;
    return messages;
  }

  session(key: string): Session<Identity> | undefined {
    return this.#sessions.get(key);
  }

  /**
   * Takes the socket over; it is destroyed when the connection ends. Listen with `noDelay`: acks are small,
   * and waiting to fill a segment holds clients back.
   */
  serve(socket: Duplex, peer: Peer): void {
    if (this.#draining || this.#connections.size >= this.limits.connectionsMax) {
      this.owner.refused?.(this.#draining ? reason.serverShuttingDown : reason.serverBusy);
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    const connection = new Connection<Identity, Peer>({ host: this, socket, peer });
    this.#connections.add(connection);
    connection.start();
  }

  /** Reads nothing more, waits until what was taken in is settled, says "server shutting down", closes. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    const until = performance.now() + timeoutMs;
    for (const connection of this.#connections) connection.stopReading();
    while (this.inFlight > 0 && performance.now() < until) await wait(5);
    for (const connection of this.#connections) connection.close(reason.serverShuttingDown);
    while (this.#connections.size > 0 && performance.now() < until) await wait(5);
  }

  [Symbol.dispose](): void {
    this.#draining = true;
    clearInterval(this.#ticking);
    for (const connection of this.#connections) connection.destroy();
    for (const session of this.#sessions.values()) session.end();
    this.#sessions.clear();
  }

  attach(
    connection: SessionLink,
    connect: ConnectPacket,
    admitted: { readonly key: string; readonly clientId: string; readonly identity: Identity },
  ): { readonly session: LiveSession<Identity>; readonly resumed: boolean } | number {
    let session = this.#sessions.get(admitted.key);
    session?.connection?.close(reason.sessionTakenOver);
    // What ended with its connection is gone by now.
    session = this.#sessions.get(admitted.key);
    if (session && connect.cleanStart) this.#end(session);
    const resumed = session !== undefined && !connect.cleanStart;
    if (!session || !resumed) {
      if (this.#sessions.size >= this.limits.sessionsMax) return reason.quotaExceeded;
      session = new LiveSession(admitted, this.limits);
      this.#sessions.set(admitted.key, session);
    }
    session.identity = admitted.identity;
    session.protocolVersion = connect.protocolVersion;
    session.connection = connection;
    session.endsAtMs = undefined;
    session.delayedWill = undefined;
    session.expirySeconds = Math.min(
      connect.protocolVersion === 5
        ? (connect.sessionExpirySeconds ?? 0)
        : connect.cleanStart
          ? 0
          : Infinity,
      this.limits.sessionExpirySecondsMax,
    );
    session.outbound.reconnected();
    return { session, resumed };
  }

  detach(session: LiveSession<Identity>, will: WillPacket | undefined): void {
    const nowMs = this.clock();
    session.connection = undefined;
    session.endsAtMs = nowMs + session.expirySeconds * 1000;
    if (will) {
      const delaySeconds = Math.min(
        will.delaySeconds,
        session.expirySeconds,
        this.limits.willDelaySecondsMax,
      );
      session.delayedWill = { will, atMs: nowMs + delaySeconds * 1000 };
    }
    this.#age(session, nowMs);
  }

  forget(connection: Connection<Identity, Peer>): void {
    this.#connections.delete(connection);
    this.starved.delete(connection);
  }

  #tick(): void {
    const nowMs = this.clock();
    for (const connection of this.#connections) connection.tick(nowMs);
    for (const session of this.#sessions.values()) this.#age(session, nowMs);
  }

  #age(session: LiveSession<Identity>, nowMs: number): void {
    if (session.delayedWill && session.delayedWill.atMs <= nowMs) this.#publishWill(session);
    if (session.endsAtMs !== undefined && session.endsAtMs <= nowMs) this.#end(session);
  }

  #end(session: LiveSession<Identity>): void {
    if (session.delayedWill) this.#publishWill(session);
    this.#sessions.delete(session.key);
    session.end();
    this.owner.ended?.(session);
  }

  #publishWill(session: LiveSession<Identity>): void {
    const will = session.delayedWill?.will;
    session.delayedWill = undefined;
    if (will) this.owner.will(session, willMessage(will));
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
