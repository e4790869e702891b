import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { Connection, type ConnectionHost } from './connection.ts';
import { allFeatures, defaultLimits, type MqttFeatures, type MqttLimits } from './limits.ts';
import { Deadlines } from './model/deadlines.ts';
import type { DisconnectDetails, MqttOwner, Session } from './owner.ts';
import { reason } from './reason-codes.ts';
import { SessionStore, tickMs } from './session-store.ts';

export interface MqttServerOptions {
  readonly limits?: Partial<MqttLimits>;
  /** All, unless some are taken back. */
  readonly features?: Partial<MqttFeatures>;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** Milliseconds that only go forward: everything that waits goes by them, whatever the clock does. */
  readonly steadyMs?: () => number;
}

export interface Goodbye extends DisconnectDetails {
  /** "Server shutting down" unless another is given. */
  readonly reasonCode?: number;
}

/**
 * Serves MQTT 3.1.1 and 5 on sockets that its owner accepted: TCP, TLS, WebSocket, or any byte stream. Disposing ends all connections at once; `drain` first lets
 * what was taken in be acked.
 */
export class MqttServer<Identity, Peer> implements ConnectionHost<Identity, Peer>, Disposable {
  readonly owner: MqttOwner<Identity, Peer>;
  readonly limits: MqttLimits;
  readonly features: MqttFeatures;
  readonly clock: () => number;
  readonly steadyMs: () => number;
  readonly store: SessionStore<Identity, Peer>;
  readonly #connections = new Set<Connection<Identity, Peer>>();
  readonly #deadlines: Deadlines<Connection<Identity, Peer>>;
  readonly #watched = new Set<Connection<Identity, Peer>>();
  readonly #ticking: NodeJS.Timeout;
  #tickSoon: NodeJS.Immediate | undefined;
  #draining = false;
  /** Bytes of all connections that the owner has not settled. */
  pendingBytes = 0;
  readonly starved = new Set<{ goOn(): void }>();

  constructor(
    owner: MqttOwner<Identity, Peer>,
    {
      limits = {},
      features = {},
      clock = Date.now,
      steadyMs = () => performance.now(),
    }: MqttServerOptions = {},
  ) {
    this.owner = owner;
    this.limits = Object.freeze({ ...defaultLimits, ...limits });
    this.features = Object.freeze({ ...allFeatures, ...features });
    this.clock = clock;
    this.steadyMs = steadyMs;
    this.#deadlines = new Deadlines(tickMs, steadyMs());
    this.store = new SessionStore(owner, this.limits, steadyMs);
    // Who was held up, by this process or its machine, reads what has come before it says that nothing came.
    this.#ticking = setInterval(() => {
      this.#tickSoon = setImmediate(() => this.#tick());
    }, tickMs).unref();
  }

  get connections(): number {
    return this.#connections.size;
  }

  get sessions(): number {
    return this.store.size;
  }

  /** Messages taken from clients that the owner has not settled. */
  get inFlight(): number {
    let messages = 0;
    for (const connection of this.#connections) messages += connection.pendingMessages;
    return messages;
  }

  session(key: string): Session<Identity> | undefined {
    return this.store.get(key);
  }

  eachSession(): Iterable<Session<Identity>> {
    return this.store.each();
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
    const connection = new Connection<Identity, Peer>(this, socket, peer);
    this.#connections.add(connection);
    connection.start();
  }

  /** Reads nothing more, waits until what was taken in is settled, says good-bye, closes. */
  async drain(timeoutMs: number, goodbye: Goodbye = {}): Promise<void> {
    const { reasonCode = reason.serverShuttingDown, ...details } = goodbye;
    this.#draining = true;
    const until = performance.now() + timeoutMs;
    for (const connection of this.#connections) connection.stopReading();
    while (this.inFlight > 0 && performance.now() < until) await wait(5);
    for (const connection of this.#connections) connection.close(reasonCode, details);
    while (this.#connections.size > 0 && performance.now() < until) await wait(5);
  }

  [Symbol.dispose](): void {
    this.#draining = true;
    clearInterval(this.#ticking);
    clearImmediate(this.#tickSoon);
    for (const connection of this.#connections) connection.destroy();
    this.store.clear();
  }

  wake(connection: Connection<Identity, Peer>, atMs: number): void {
    this.#deadlines.set(connection, atMs);
  }

  watch(connection: Connection<Identity, Peer>): void {
    this.#watched.add(connection);
  }

  forget(connection: Connection<Identity, Peer>): void {
    this.#connections.delete(connection);
    this.#deadlines.delete(connection);
    this.#watched.delete(connection);
    this.starved.delete(connection);
  }

  /** Costs by what is due or held up, not by how many idle. */
  #tick(): void {
    const nowMs = this.steadyMs();
    for (const connection of this.#deadlines.due(nowMs)) connection.tick(nowMs);
    for (const connection of this.#watched) {
      if (!connection.look(nowMs)) this.#watched.delete(connection);
    }
    this.store.tick(nowMs);
  }
}
