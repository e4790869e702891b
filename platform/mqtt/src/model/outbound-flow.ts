import { Fifo } from './fifo.ts';
import { PacketIds } from './packet-ids.ts';

export interface Outgoing {
  readonly qos: 0 | 1 | 2;
  readonly bytes: number;
  /** From then on it is not sent for the first time. */
  readonly expiresAtMs: number | undefined;
}

export interface OutboundBounds {
  readonly queuedMax: number;
  readonly queuedBytesMax: number;
}

export interface Sending {
  readonly nowMs: number;
  readonly receiveMaximum: number;
  /** A QoS 2 message has to be saved before it is sent for the first time. */
  readonly durable: boolean;
}

export type OutboundStep<Entry> =
  /** It expired. */
  | { readonly do: 'drop'; readonly entry: Entry }
  | {
      readonly do: 'send';
      readonly entry: Entry;
      readonly packetId: number | undefined;
      readonly again: boolean;
    }
  /** PUBREL. */
  | { readonly do: 'release'; readonly packetId: number }
  /** What waits for it goes out once `saved` was called with these. */
  | { readonly do: 'save'; readonly flights: readonly FlightMark[] };

/**
 * `new`: it has its packet id and was not sent. `sent`: PUBLISH went out, at least once. `received`: the client's PUBREC
 * came, so it is never published again.
 */
export type FlightStage = 'new' | 'sent' | 'received';

export interface Flight<Entry> {
  readonly packetId: number;
  readonly entry: Entry;
  readonly stage: FlightStage;
}

/** A flight and how far it was. */
export interface FlightMark {
  readonly packetId: number;
  readonly stage: FlightStage;
}

interface LiveFlight<Entry> {
  readonly entry: Entry;
  stage: FlightStage;
  /** Whether its stage survives this process. */
  saved: 'no' | 'asked' | 'yes';
}

/** `unknown`: no such packet id is in flight. `wrong`: this ack does not belong to it. */
export type AckFault = 'unknown' | 'wrong';

/**
 * What a session still has to send and what of it the client has not completed: in order and bounded. After a reconnect
 * the incomplete goes out again first, in its order and with its old ids: PUBLISH, or PUBREL for what the client has
 * (MQTT 5, section 4.4).
 */
export class OutboundFlow<Entry extends Outgoing> {
  readonly #bounds: OutboundBounds;
  readonly #ids: PacketIds;
  readonly #queue = new Fifo<Entry>();
  #queuedBytes = 0;
  /** In the order of their first sending. */
  readonly #flights = new Map<number, LiveFlight<Entry>>();
  /** Published on this connection and not completed: what the receive maximum counts. */
  readonly #sentHere = new Set<number>();
  /** Flights whose PUBLISH on this connection is still to come. */
  #due = new Fifo<number>();
  /** Flights whose PUBREL is, in the order of their PUBRECs. */
  #releases = new Fifo<number>();

  constructor(bounds: OutboundBounds, ids = new PacketIds()) {
    this.#bounds = bounds;
    this.#ids = ids;
  }

  get queued(): number {
    return this.#queue.size;
  }

  get unacked(): number {
    return this.#flights.size;
  }

  /** Room for another half of what it takes. */
  get hasRoom(): boolean {
    const { queuedMax, queuedBytesMax } = this.#bounds;
    return this.#queue.size * 2 <= queuedMax && this.#queuedBytes * 2 <= queuedBytesMax;
  }

  /** False when the queue is full; the entry is then not kept. */
  offer(entry: Entry): boolean {
    const full =
      this.#queue.size >= this.#bounds.queuedMax ||
      this.#queuedBytes + entry.bytes > this.#bounds.queuedBytesMax;
    if (full) return false;
    this.#queue.push(entry);
    this.#queuedBytes += entry.bytes;
    return true;
  }

  /** Takes back what was not sent yet. */
  withdraw(isMeant: (entry: Entry) => boolean): readonly Entry[] {
    const gone = this.#queue.remove(isMeant);
    for (const { bytes } of gone) this.#queuedBytes -= bytes;
    return gone;
  }

  /** The next thing to do, `undefined` if there is none now. */
  next(sending: Sending): OutboundStep<Entry> | undefined {
    const release = this.#nextRelease(sending);
    if (release) return release;
    if (this.#due.size > 0) return this.#nextDue(sending);
    const entry = this.#queue.peek();
    if (!entry) return undefined;
    if (hasExpired(entry, sending)) {
      this.#shift(entry);
      return { do: 'drop', entry };
    }
    if (entry.qos === 0) {
      this.#shift(entry);
      return { do: 'send', entry, packetId: undefined, again: false };
    }
    if (this.#sentHere.size >= sending.receiveMaximum) return undefined;
    if (entry.qos === 2 && sending.durable) return this.#prepare(sending);
    const packetId = this.#depart(entry, 'sent');
    if (packetId === undefined) return undefined;
    this.#sentHere.add(packetId);
    return { do: 'send', entry, packetId, again: false };
  }

  /** These survive now, as far as they were. */
  saved(marks: readonly FlightMark[]): void {
    for (const { packetId, stage } of marks) {
      const flight = this.#flights.get(packetId);
      if (flight?.stage === stage) flight.saved = 'yes';
    }
  }

  /** PUBACK. */
  acked(packetId: number): Entry | AckFault {
    const flight = this.#flights.get(packetId);
    if (!flight) return 'unknown';
    if (flight.entry.qos !== 1) return 'wrong';
    return this.#arrive(packetId, flight);
  }

  /** PUBREC that took it: PUBREL follows as a step. */
  received(packetId: number): 'received' | AckFault {
    const flight = this.#flights.get(packetId);
    if (!flight || flight.stage === 'new') return 'unknown';
    if (flight.entry.qos !== 2) return 'wrong';
    if (flight.stage === 'sent') {
      flight.stage = 'received';
      flight.saved = 'no';
    }
    this.#releases.push(packetId);
    return 'received';
  }

  /** PUBREC that refused it: it is over. */
  refused(packetId: number): Entry | AckFault {
    const flight = this.#flights.get(packetId);
    if (!flight) return 'unknown';
    if (flight.entry.qos !== 2 || flight.stage !== 'sent') return 'wrong';
    return this.#arrive(packetId, flight);
  }

  /** PUBCOMP. */
  completed(packetId: number): Entry | AckFault {
    const flight = this.#flights.get(packetId);
    if (!flight) return 'unknown';
    if (flight.stage !== 'received') return 'wrong';
    return this.#arrive(packetId, flight);
  }

  /** It cannot be sent to this client. */
  dropped(packetId: number): void {
    const flight = this.#flights.get(packetId);
    if (flight) this.#arrive(packetId, flight);
  }

  /** A new connection: everything incomplete goes out again, in its order. */
  reconnected(): void {
    this.#sentHere.clear();
    this.#due = new Fifo();
    this.#releases = new Fifo();
    for (const [packetId, flight] of this.#flights) {
      // What was asked of a save may have failed.
      if (flight.saved === 'asked') flight.saved = 'no';
      (flight.stage === 'received' ? this.#releases : this.#due).push(packetId);
    }
  }

  /** Takes up what another process had in flight; `reconnected` sends it. */
  restore(flights: readonly Flight<Entry>[]): void {
    for (const { packetId, entry, stage } of flights) {
      this.#flights.set(packetId, { entry, stage, saved: 'yes' });
    }
  }

  /** In the order of their first sending. */
  *flights(): Generator<Flight<Entry>> {
    for (const [packetId, { entry, stage }] of this.#flights) yield { packetId, entry, stage };
  }

  /** Ends the flow and gives what the client has not got. */
  end(): readonly Entry[] {
    const unsent = [...this.#queue];
    const sent = [...this.#flights.values()].filter(({ stage }) => stage !== 'received');
    return [...sent.map(({ entry }) => entry), ...unsent];
  }

  #nextRelease({ durable }: Sending): OutboundStep<Entry> | undefined {
    for (;;) {
      const packetId = this.#releases.peek();
      if (packetId === undefined) return undefined;
      const flight = this.#flights.get(packetId);
      if (flight && durable && flight.saved !== 'yes') {
        return flight.saved === 'no' ? this.#save() : undefined;
      }
      this.#releases.shift();
      if (flight) return { do: 'release', packetId };
    }
  }

  #nextDue({ receiveMaximum, durable }: Sending): OutboundStep<Entry> | undefined {
    for (;;) {
      const packetId = this.#due.peek();
      if (packetId === undefined || this.#sentHere.size >= receiveMaximum) return undefined;
      const flight = this.#flights.get(packetId);
      const unsaved = flight?.stage === 'new' && durable && flight.saved !== 'yes';
      if (flight && unsaved) return flight.saved === 'no' ? this.#save() : undefined;
      this.#due.shift();
      // It may have been completed, or received, meanwhile.
      if (!flight || flight.stage === 'received') continue;
      this.#sentHere.add(packetId);
      const again = flight.stage === 'sent';
      flight.stage = 'sent';
      return { do: 'send', entry: flight.entry, packetId, again };
    }
  }

  /** The QoS 2 messages at the head get their ids together, so that one save serves them all. */
  #prepare(sending: Sending): OutboundStep<Entry> | undefined {
    for (;;) {
      const entry = this.#queue.peek();
      const room = this.#sentHere.size + this.#due.size < sending.receiveMaximum;
      if (!entry || !room || entry.qos !== 2 || hasExpired(entry, sending)) break;
      const packetId = this.#depart(entry, 'new');
      if (packetId === undefined) break;
      this.#due.push(packetId);
    }
    return this.#due.size > 0 ? this.#save() : undefined;
  }

  #save(): OutboundStep<Entry> {
    const flights: FlightMark[] = [];
    for (const packetId of [...this.#releases, ...this.#due]) {
      const flight = this.#flights.get(packetId);
      if (!flight || flight.saved !== 'no' || flight.stage === 'sent') continue;
      flight.saved = 'asked';
      flights.push({ packetId, stage: flight.stage });
    }
    return { do: 'save', flights };
  }

  #depart(entry: Entry, stage: 'new' | 'sent'): number | undefined {
    const packetId = this.#ids.take(this.#flights);
    if (packetId === undefined) return undefined;
    this.#shift(entry);
    this.#flights.set(packetId, { entry, stage, saved: 'no' });
    return packetId;
  }

  #arrive(packetId: number, { entry }: LiveFlight<Entry>): Entry {
    this.#flights.delete(packetId);
    this.#sentHere.delete(packetId);
    return entry;
  }

  #shift(entry: Entry): void {
    this.#queue.shift();
    this.#queuedBytes -= entry.bytes;
  }
}

function hasExpired({ expiresAtMs }: Outgoing, { nowMs }: Sending): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= nowMs;
}
