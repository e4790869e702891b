import type { Ticket } from './ack-queue.ts';

/**
 * Which QoS 2 packet ids of a session are taken (MQTT 5, section 4.3.3). An id is kept from its PUBLISH, counts as
 * received only once the message was accepted, and is free after PUBREL, once that is saved. A refused message frees its
 * id, so that the client's next try is a new message and not a repeat.
 */
export class QosTwoInbox {
  /** Tickets that wait for the same message, or how far it is once it was accepted. */
  #ids = new Map<number, Ticket[] | 'received' | 'releasing'>();

  get size(): number {
    return this.#ids.size;
  }

  /** Ids of what is kept and not released. */
  received(): readonly number[] {
    return [...this.#ids].flatMap(([packetId, stage]) => (stage === 'received' ? [packetId] : []));
  }

  /** Takes up what another process had received. */
  restore(packetIds: readonly number[]): void {
    for (const packetId of packetIds) this.#ids.set(packetId, 'received');
  }

  /** `publish`: hand it to the owner. `received`: ack again. `pending`: its ack comes with the first one's. */
  arrive(ticket: Ticket): 'publish' | 'received' | 'pending' {
    const known = this.#ids.get(ticket.packetId);
    if (Array.isArray(known)) {
      known.push(ticket);
      return 'pending';
    }
    if (known) return 'received';
    this.#ids.set(ticket.packetId, [ticket]);
    return 'publish';
  }

  /** Gives every ticket that waited for the message. */
  settle(packetId: number, accepted: boolean): readonly Ticket[] {
    const waiting = this.#ids.get(packetId);
    if (!Array.isArray(waiting)) return [];
    if (accepted) this.#ids.set(packetId, 'received');
    else this.#ids.delete(packetId);
    return waiting;
  }

  /** PUBREL. What is `releasing` is no longer part of what is kept, and free once `released` says that this is saved. */
  release(packetId: number): 'releasing' | 'unknown' | 'pending' {
    const known = this.#ids.get(packetId);
    if (known === undefined) return 'unknown';
    if (Array.isArray(known)) return 'pending';
    this.#ids.set(packetId, 'releasing');
    return 'releasing';
  }

  released(packetId: number): void {
    if (this.#ids.get(packetId) === 'releasing') this.#ids.delete(packetId);
  }

  /** The release could not be saved: the client comes again with it. */
  keep(packetId: number): void {
    if (this.#ids.get(packetId) === 'releasing') this.#ids.set(packetId, 'received');
  }
}
