import type { Ticket } from './ack-queue.ts';

/**
 * Which QoS 2 packet ids of a session are taken (MQTT 5, section 4.3.3). An id is kept from its PUBLISH,
 * counts as received only once the message was accepted, and is free after PUBREL. A refused message frees
 * its id, so that the client's next try is a new message and not a repeat.
 */
export class QosTwoInbox {
  /** Tickets that wait for the same message; `undefined` once it was accepted. */
  #ids = new Map<number, Ticket[] | undefined>();

  get size(): number {
    return this.#ids.size;
  }

  /** `publish`: hand it to the owner. `received`: ack again. `pending`: its ack comes with the first one's. */
  arrive(ticket: Ticket): 'publish' | 'received' | 'pending' {
    const waiting = this.#ids.get(ticket.packetId);
    if (waiting) {
      waiting.push(ticket);
      return 'pending';
    }
    if (this.#ids.has(ticket.packetId)) return 'received';
    this.#ids.set(ticket.packetId, [ticket]);
    return 'publish';
  }

  /** Gives every ticket that waited for the message. */
  settle(packetId: number, accepted: boolean): readonly Ticket[] {
    const waiting = this.#ids.get(packetId) ?? [];
    if (accepted) this.#ids.set(packetId, undefined);
    else this.#ids.delete(packetId);
    return waiting;
  }

  release(packetId: number): 'released' | 'unknown' | 'pending' {
    if (this.#ids.get(packetId)) return 'pending';
    return this.#ids.delete(packetId) ? 'released' : 'unknown';
  }
}
