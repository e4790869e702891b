import type { ClientPacket } from './client-packets.ts';
import type { ConnectionParts } from './connection-parts.ts';
import { Inbound } from './inbound.ts';
import type { LiveSession } from './live-session.ts';
import type { Ticket } from './model/ack-queue.ts';
import { Outbound } from './outbound.ts';
import { PacketFault, protocolError } from './packet-fault.ts';
import { encodedPingResponse } from './packets/decode.ts';
import { subscribe, unsubscribe } from './subscribe.ts';

/** What costs us something and is no answer to us. */
const asked: ReadonlySet<string> = new Set(['subscribe', 'unsubscribe', 'pingreq']);

/** What an accepted client says, told to who handles it. What an idle client does not need is not there. */
export class Dialogue<Identity, Peer> {
  readonly session: LiveSession<Identity>;
  readonly #parts: ConnectionParts<Identity, Peer>;
  #inbound: Inbound<Identity, Peer> | undefined;
  #outbound: Outbound<Identity, Peer> | undefined;
  /** A SUBSCRIBE or UNSUBSCRIBE is being answered: nothing is read before. */
  #answering = false;

  constructor(parts: ConnectionParts<Identity, Peer>, session: LiveSession<Identity>) {
    this.#parts = parts;
    this.session = session;
  }

  /** Messages that the owner has not settled. */
  get pending(): number {
    return this.#inbound?.pending ?? 0;
  }

  /** Nothing more of the client may be taken for now. */
  get isFull(): boolean {
    return this.#answering || (this.#inbound?.isFull ?? false);
  }

  settled(ticket: Ticket, reasonCode: number): void {
    this.#inbound?.settled(ticket, reasonCode);
  }

  pump(): void {
    if (!this.session.outbound) return;
    this.#outbound ??= new Outbound(this.#parts);
    this.#outbound.pump(this.session);
  }

  handle(packet: ClientPacket, bytes: number): void {
    this.#handle(packet);
    // A PUBLISH asks for itself.
    if (!asked.has(packet.type) || this.#parts.gone) return;
    const holdMs = this.#parts.host.owner.holdMs?.(this.session, bytes) ?? 0;
    if (holdMs > 0) this.#parts.hold(holdMs);
  }

  #handle(packet: ClientPacket): void {
    switch (packet.type) {
      case 'publish':
        this.#inbound ??= new Inbound(this.#parts);
        this.#inbound.publish(this.session, packet);
        return;
      case 'pubrel':
        this.#inbound ??= new Inbound(this.#parts);
        this.#inbound.release(this.session, packet.packetId);
        return;
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        this.#outbound ??= new Outbound(this.#parts);
        this.#outbound.acked(this.session, packet);
        return;
      case 'subscribe':
        void this.#answer(subscribe(this.#parts, this.session, packet));
        return;
      case 'unsubscribe':
        void this.#answer(unsubscribe(this.#parts, this.session, packet));
        return;
      case 'pingreq':
        this.#parts.writer.write(encodedPingResponse);
        return;
      case 'disconnect':
        this.#parts.disconnected(packet);
        return;
      case 'auth':
        // Nobody began with it: a CONNECT that names a method was refused (section 4.12).
        throw protocolError('An AUTH, and the CONNECT named no authentication method');
      case 'connect':
        throw protocolError('A second CONNECT');
    }
  }

  /** Nothing more of the client is handled before its answer. */
  async #answer(answered: Promise<void>): Promise<void> {
    this.#answering = true;
    try {
      await answered;
    } catch (error) {
      if (error instanceof PacketFault) this.#parts.faulted(error);
      else this.#parts.notSaved(error);
    } finally {
      this.#answering = false;
    }
    this.#parts.goOn();
  }
}
