import type { Socket } from 'node:net';
import type { Accept, ListenerEvents } from '../listeners.ts';
import { HandshakeLine, type HandshakeLineOptions } from '../model/handshake-line.ts';
import type { Transport } from './identity.ts';

interface Waiting {
  readonly socket: Socket;
  readonly accept: Accept;
}

/** Longer than clients wait for a connection. */
const patienceMs = 15_000;

/** Begins TLS handshakes at a bounded rate; sockets whose turn has not come wait unread. */
export class HandshakeGate {
  readonly #line: HandshakeLine<Waiting>;
  readonly #events: ListenerEvents;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HandshakeLineOptions, events: ListenerEvents) {
    this.#line = new HandshakeLine(options, performance.now());
    this.#events = events;
  }

  get waiting(): number {
    return this.#line.waiting;
  }

  join(socket: Socket, transport: Transport, accept: Accept): void {
    const address = socket.remoteAddress ?? 'unknown';
    const waiting: Waiting = { socket, accept };
    const refusal = this.#line.join(address, waiting);
    if (refusal) {
      this.#events.socketRefused(transport, refusal);
      socket.destroy();
      return;
    }
    const leave = () => this.#line.leave(address, waiting);
    socket.once('close', leave);
    socket.setTimeout(patienceMs, () => {
      this.#events.socketRefused(transport, 'waited-too-long');
      socket.destroy();
    });
    this.#serve();
  }

  #serve(): void {
    for (let each = this.#next(); each; each = this.#next()) {
      this.#begin(each);
    }
    if (this.#line.waiting === 0 || this.#timer) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#serve();
      },
      Math.max(1, this.#line.waitMs(performance.now())),
    );
    this.#timer.unref();
  }

  #begin({ socket, accept }: Waiting): void {
    socket.setTimeout(0);
    // Who waits unread is seen to have gone away only when its turn comes.
    socket.once('close', () => {
      if (socket.bytesRead > 0) return;
      this.#line.giveBack();
      this.#serve();
    });
    accept(socket);
  }

  #next(): Waiting | undefined {
    return this.#line.next(performance.now());
  }
}
