import { expect, test } from 'vitest';
import { AckQueue, type Ticket } from './ack-queue.ts';
import { QosTwoInbox } from './qos-two-inbox.ts';
import { seeded, seeds } from './seeded.ts';

const messages = 60;
const windowMax = 4;

interface Sent {
  readonly packetId: number;
  readonly name: number;
  stage: 'published' | 'received';
}

type FromClient =
  | { readonly type: 'publish'; readonly packetId: number; readonly name: number }
  | { readonly type: 'pubrel'; readonly packetId: number };
type ToClient = { readonly type: 'pubrec' | 'pubcomp'; readonly packetId: number };

/** A client that repeats until it is answered, and a server whose keeping, saving and process may fail. */
class World {
  readonly dice: (below: number) => number;
  readonly faults: string[] = [];
  /** What the owner kept, in its order. */
  readonly kept: number[] = [];
  /** Packet ids that survive the process. */
  #savedIds = new Set<number>();
  #inbox = new QosTwoInbox();
  #acks = new AckQueue();
  #keeping: { readonly ticket: Ticket; readonly name: number }[] = [];
  #saving: number[] = [];
  #fromClient: FromClient[] = [];
  #toClient: ToClient[] = [];
  readonly #sent: Sent[] = [];
  #next = 0;
  #done = 0;

  constructor(seed: number) {
    this.dice = seeded(seed);
  }

  get isDone(): boolean {
    return this.#done === messages;
  }

  publish(): void {
    if (this.#next === messages || this.#sent.length === windowMax) return;
    const inUse = new Set(this.#sent.map(({ packetId }) => packetId));
    // Few ids, so that they are used again at once.
    const packetId = [1, 2, 3, 4].find((id) => !inUse.has(id)) ?? 0;
    this.#sent.push({ packetId, name: this.#next, stage: 'published' });
    this.#fromClient.push({ type: 'publish', packetId, name: this.#next });
    this.#next += 1;
  }

  take(): void {
    const packet = this.#fromClient.shift();
    if (!packet) return;
    const { packetId } = packet;
    if (packet.type === 'pubrel') {
      const released = this.#inbox.release(packetId);
      if (released === 'pending') this.faults.push('released before it was received');
      else if (released === 'unknown') this.#toClient.push({ type: 'pubcomp', packetId });
      else this.#saving.push(packetId);
      return;
    }
    const ticket = this.#acks.arrive(packetId, 2);
    const arrived = this.#inbox.arrive(ticket);
    if (arrived === 'publish') this.#keeping.push({ ticket, name: packet.name });
    else if (arrived === 'received') this.#settle(ticket, 0);
  }

  #settle(ticket: Ticket, reasonCode: number): void {
    if (ticket.queue !== this.#acks) return;
    for (const each of this.#acks.settle(ticket, reasonCode)) {
      this.#toClient.push({ type: 'pubrec', packetId: each.packetId });
    }
  }

  /** The owner keeps the message and its id together, in any order of messages. */
  keep(): void {
    const [keeping] = this.#keeping.splice(this.dice(this.#keeping.length || 1), 1);
    if (!keeping) return;
    const { packetId } = keeping.ticket;
    this.kept.push(keeping.name);
    this.#savedIds.add(packetId);
    for (const each of this.#inbox.settle(packetId, true)) this.#settle(each, 0);
  }

  /** It does not: the connection ends with nothing acked. */
  failKeep(): void {
    const keeping = this.#keeping.shift();
    if (!keeping) return;
    this.#inbox.settle(keeping.ticket.packetId, false);
    this.reconnect();
  }

  save(): void {
    const packetId = this.#saving.shift();
    if (packetId === undefined) return;
    this.#savedIds = new Set(this.#inbox.received());
    this.#inbox.released(packetId);
    this.#toClient.push({ type: 'pubcomp', packetId });
  }

  failSave(): void {
    const packetId = this.#saving.shift();
    if (packetId === undefined) return;
    this.#inbox.keep(packetId);
    this.reconnect();
  }

  answer(): void {
    const packet = this.#toClient.shift();
    const sent = this.#sent.find(({ packetId }) => packetId === packet?.packetId);
    if (!packet || !sent) return;
    const { packetId } = sent;
    if (packet.type === 'pubrec') {
      sent.stage = 'received';
      this.#fromClient.push({ type: 'pubrel', packetId });
    } else if (sent.stage === 'received') {
      this.#sent.splice(this.#sent.indexOf(sent), 1);
      this.#done += 1;
    }
  }

  /** The client says again what was not answered; what the owner is keeping goes on. */
  reconnect(): void {
    this.#acks = new AckQueue();
    this.#toClient = [];
    this.#fromClient = this.#sent.map(({ packetId, name, stage }) =>
      stage === 'published' ? { type: 'publish', packetId, name } : { type: 'pubrel', packetId },
    );
    this.#saving = this.#saving.filter((packetId) => {
      this.#inbox.keep(packetId);
      return false;
    });
  }

  /** Another process takes the session up. */
  crash(): void {
    this.#keeping = [];
    this.#inbox = new QosTwoInbox();
    this.#inbox.restore([...this.#savedIds]);
    this.reconnect();
  }
}

test.each(seeds)(
  'a client that repeats is kept exactly once a message, whatever fails or ends (seed %d)',
  (seed) => {
    const world = new World(seed);
    for (let step = 0; step < 30_000 && !world.isDone; step += 1) {
      const what = world.dice(100);
      if (what < 20) world.publish();
      else if (what < 45) world.take();
      else if (what < 60) world.keep();
      else if (what < 75) world.save();
      else if (what < 95) world.answer();
      else if (what < 96) world.failKeep();
      else if (what < 97) world.failSave();
      else if (what < 98) world.reconnect();
      else if (world.dice(4) === 0) world.crash();
    }
    expect(world.isDone).toBe(true);
    expect(world.faults).toEqual([]);
    expect(world.kept.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: messages }, (_, name) => name),
    );
  },
);
