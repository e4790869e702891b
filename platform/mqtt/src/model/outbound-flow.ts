import { PacketIds } from './packet-ids.ts';

export interface Outgoing {
  readonly qos: 0 | 1;
  readonly bytes: number;
  /** From then on it is not sent for the first time. */
  readonly expiresAtMs: number | undefined;
}

export interface OutboundBounds {
  readonly queuedMax: number;
  readonly queuedBytesMax: number;
}

export type OutboundStep<Entry> =
  | { readonly do: 'drop'; readonly entry: Entry }
  | {
      readonly do: 'send';
      readonly entry: Entry;
      readonly packetId: number | undefined;
      readonly again: boolean;
    };

/**
 * What a session still has to send and what of it is unacked: in order, bounded, QoS 0 and 1. After a
 * reconnect the unacked goes out again first, with its old ids (MQTT 5, section 4.4).
 */
export class OutboundFlow<Entry extends Outgoing> {
  readonly #bounds: OutboundBounds;
  readonly #ids: PacketIds;
  #queue: Entry[] = [];
  #queuedBytes = 0;
  #unacked = new Map<number, Entry>();
  #sentHere = new Set<number>();
  #again: number[] = [];

  constructor(bounds: OutboundBounds, ids = new PacketIds()) {
    this.#bounds = bounds;
    this.#ids = ids;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get unacked(): number {
    return this.#unacked.size;
  }

  /** False when the queue is full; the entry is then not kept. */
  offer(entry: Entry): boolean {
    const full =
      this.#queue.length >= this.#bounds.queuedMax ||
      this.#queuedBytes + entry.bytes > this.#bounds.queuedBytesMax;
    if (full) return false;
    this.#queue.push(entry);
    this.#queuedBytes += entry.bytes;
    return true;
  }

  /** The next thing to do, `undefined` if there is none or the client's receive maximum is used up. */
  next(nowMs: number, receiveMaximum: number): OutboundStep<Entry> | undefined {
    if (this.#again.length > 0) return this.#nextAgain(receiveMaximum);
    const [entry] = this.#queue;
    if (!entry) return undefined;
    if (entry.expiresAtMs !== undefined && entry.expiresAtMs <= nowMs) {
      this.#shift(entry);
      return { do: 'drop', entry };
    }
    if (entry.qos === 0) {
      this.#shift(entry);
      return { do: 'send', entry, packetId: undefined, again: false };
    }
    if (this.#sentHere.size >= receiveMaximum) return undefined;
    const packetId = this.#ids.take();
    if (packetId === undefined) return undefined;
    this.#shift(entry);
    this.#unacked.set(packetId, entry);
    this.#sentHere.add(packetId);
    return { do: 'send', entry, packetId, again: false };
  }

  /** The entry that the ack ends, `undefined` if the id is not in flight. */
  acked(packetId: number): Entry | undefined {
    const entry = this.#unacked.get(packetId);
    if (!entry) return undefined;
    this.#unacked.delete(packetId);
    this.#sentHere.delete(packetId);
    this.#again = this.#again.filter((id) => id !== packetId);
    this.#ids.free(packetId);
    return entry;
  }

  /** A new connection: everything unacked goes out again, in its order. */
  reconnected(): void {
    this.#sentHere.clear();
    this.#again = [...this.#unacked.keys()];
  }

  /** Ends the flow and gives what nobody acked. */
  end(): readonly Entry[] {
    const left = [...this.#unacked.values(), ...this.#queue];
    this.#unacked.clear();
    this.#queue = [];
    this.#again = [];
    return left;
  }

  #nextAgain(receiveMaximum: number): OutboundStep<Entry> | undefined {
    if (this.#sentHere.size >= receiveMaximum) return undefined;
    const packetId = this.#again.shift();
    const entry = packetId === undefined ? undefined : this.#unacked.get(packetId);
    if (packetId === undefined || !entry) return undefined;
    this.#sentHere.add(packetId);
    return { do: 'send', entry, packetId, again: true };
  }

  #shift(entry: Entry): void {
    this.#queue.shift();
    this.#queuedBytes -= entry.bytes;
  }
}
