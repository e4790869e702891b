import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { Connection, type ConnectionHost } from './connection.ts';
import { defaultLimits, type MqttLimits } from './limits.ts';
import type { MqttOwner, Session } from './owner.ts';
import { reason } from './reason-codes.ts';
import { SessionStore } from './session-store.ts';

export interface MqttServerOptions {
  readonly limits?: Partial<MqttLimits>;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

const tickMs = 250;

/**
 * Serves MQTT 3.1.1 and 5 on sockets that its owner accepted: TCP, TLS, WebSocket, or any byte stream. Disposing ends all connections at once; `drain` first lets
 * what was taken in be acked.
 */
export class MqttServer<Identity, Peer> implements ConnectionHost<Identity, Peer>, Disposable {
  readonly owner: MqttOwner<Identity, Peer>;
  readonly limits: MqttLimits;
  readonly clock: () => number;
  readonly store: SessionStore<Identity, Peer>;
  readonly #connections = new Set<Connection<Identity, Peer>>();
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
    this.store = new SessionStore(owner, this.limits, clock);
    this.#ticking = setInterval(() => this.#tick(), tickMs).unref();
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
    this.store.clear();
  }

  forget(connection: Connection<Identity, Peer>): void {
    this.#connections.delete(connection);
    this.starved.delete(connection);
  }

  #tick(): void {
    const nowMs = this.clock();
    for (const connection of this.#connections) connection.tick(nowMs);
    this.store.tick(nowMs);
  }
}
