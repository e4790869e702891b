import { assert } from '@domicile/core/invariants.ts';

/** One publish that the client wants acked. */
export interface Ticket {
  readonly packetId: number;
  readonly qos: 1 | 2;
  /** Where it waits: a ticket of a connection that was replaced settles for nobody. */
  readonly queue: AckQueue;
  /** `undefined` until settled. */
  reasonCode: number | undefined;
}

/**
 * The acks of one connection leave in the order in which its publishes came, although acceptance
 * settles in any order (MQTT 5, section 4.6).
 */
export class AckQueue {
  #tickets: Ticket[] = [];
  #head = 0;

  /** Publishes that came and are not acked. */
  get size(): number {
    return this.#tickets.length - this.#head;
  }

  arrive(packetId: number, qos: 1 | 2): Ticket {
    const ticket: Ticket = { packetId, qos, queue: this, reasonCode: undefined };
    this.#tickets.push(ticket);
    return ticket;
  }

  /** Gives the acks that may leave now, in order. */
  settle(ticket: Ticket, reasonCode: number): readonly Ticket[] {
    assert(ticket.reasonCode === undefined, 'a publish is settled once');
    ticket.reasonCode = reasonCode;
    const from = this.#head;
    while (this.#tickets[this.#head]?.reasonCode !== undefined) this.#head += 1;
    const leaving = this.#tickets.slice(from, this.#head);
    if (this.#head === this.#tickets.length || this.#head > compactFrom) {
      this.#tickets = this.#tickets.slice(this.#head);
      this.#head = 0;
    }
    return leaving;
  }
}

const compactFrom = 1024;
