import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Session } from '@domicile/mqtt/owner.ts';
import type { Repeats } from './repeats.ts';

/** What is known of a client as long as its session lives. */
export interface LanClient {
  readonly repeats: Repeats;
  /** Its newest connection. */
  peer: Peer;
  /** Its last connection was led over to another process, where it is now. */
  isElsewhere: boolean;
}

export type LanSession = Session<LanClient>;

/** What has to be known of a connection beside MQTT. */
export class Peer {
  readonly #socket: Socket;
  readonly gone: Promise<void>;
  #endedFirst: boolean | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Before the socket ends its own side in answer.
    socket.prependOnceListener('end', () => (this.#endedFirst = socket.writableEnded));
    this.gone = once(socket, 'close').then(
      () => undefined,
      () => undefined,
    );
  }

  /** We ended our side before the client did: it hears nothing any more, and is being led over to another process. */
  get isLedOver(): boolean {
    return this.#endedFirst ?? this.#socket.writableEnded;
  }
}
