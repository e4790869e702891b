import { expect, test } from 'vitest';
import { type Flight, type FlightMark, OutboundFlow, type Outgoing } from './outbound-flow.ts';
import { PacketIds } from './packet-ids.ts';
import { seeded, seeds } from './seeded.ts';

interface Entry extends Outgoing {
  readonly name: number;
}

type ToClient =
  | { readonly type: 'publish'; readonly packetId: number; readonly entry: Entry }
  | { readonly type: 'pubrel'; readonly packetId: number };
type FromClient = { readonly type: 'puback' | 'pubrec' | 'pubcomp'; readonly packetId: number };

/** What a save of the session keeps: its flights, and what its owner knows to be settled. */
interface Kept {
  readonly flights: readonly Flight<Entry>[];
  readonly settled: ReadonlySet<number>;
}

interface Saving {
  readonly kept: Kept;
  readonly flights: readonly FlightMark[];
}

const bounds = { queuedMax: 20, queuedBytesMax: 1_000_000 };
const messages = 150;

/** A server whose process may end at any time, the network between, and a client that keeps to the standard. */
class World {
  readonly dice: (below: number) => number;
  readonly durable: boolean;
  readonly heard: number[] = [];
  readonly faults: string[] = [];
  readonly #lastId: number;
  #flow: OutboundFlow<Entry>;
  #toClient: ToClient[] = [];
  #fromClient: FromClient[] = [];
  #saves: Saving[] = [];
  #kept: Kept = { flights: [], settled: new Set() };
  #settled = new Set<number>();
  #offered = new Set<number>();
  /** Of the client: ids that it received and that were not released. */
  readonly #clientIds = new Set<number>();

  constructor(seed: number, durable: boolean) {
    this.dice = seeded(seed);
    this.durable = durable;
    // Near the end of the ids, so that they come round.
    this.#lastId = 65_535 - this.dice(40);
    this.#flow = new OutboundFlow(bounds, new PacketIds(this.#lastId));
  }

  get isDone(): boolean {
    return this.#settled.size === messages && this.#flow.unacked === 0;
  }

  offerNext(): void {
    for (let name = 0; name < messages; name += 1) {
      if (this.#offered.has(name)) continue;
      // A third of them with QoS 1, the rest with QoS 2.
      const qos = name % 3 === 0 ? 1 : 2;
      const isTaken = this.#flow.offer({ name, qos, bytes: 1, expiresAtMs: undefined });
      if (isTaken) this.#offered.add(name);
      return;
    }
  }

  send(): void {
    const step = this.#flow.next({ nowMs: 0, receiveMaximum: 7, durable: this.durable });
    if (step?.do === 'send' && step.packetId !== undefined) {
      const { packetId, entry } = step;
      if (this.durable && entry.qos === 2 && !this.#isKept(packetId)) this.faults.push('unsaved');
      this.#toClient.push({ type: 'publish', packetId, entry });
    } else if (step?.do === 'release') {
      this.#toClient.push({ type: 'pubrel', packetId: step.packetId });
    } else if (step?.do === 'save') {
      const kept = { flights: [...this.#flow.flights()], settled: new Set(this.#settled) };
      this.#saves.push({ kept, flights: step.flights });
    }
  }

  #isKept(packetId: number): boolean {
    return this.#kept.flights.some((flight) => flight.packetId === packetId);
  }

  save(): void {
    const saving = this.#saves.shift();
    if (!saving) return;
    this.#kept = saving.kept;
    this.#flow.saved(saving.flights);
  }

  /** The connection ends with it. */
  failSave(): void {
    if (this.#saves.length === 0) return;
    this.#saves = [];
    this.reconnect();
  }

  hear(): void {
    const packet = this.#toClient.shift();
    if (!packet) return;
    const { packetId } = packet;
    if (packet.type === 'pubrel') {
      this.#clientIds.delete(packetId);
      this.#fromClient.push({ type: 'pubcomp', packetId });
      return;
    }
    const { qos, name } = packet.entry;
    if (qos === 1 || !this.#clientIds.has(packetId)) this.heard.push(name);
    if (qos === 2) this.#clientIds.add(packetId);
    this.#fromClient.push({ type: qos === 1 ? 'puback' : 'pubrec', packetId });
  }

  answer(): void {
    const packet = this.#fromClient.shift();
    if (!packet) return;
    const { type, packetId } = packet;
    if (type === 'pubrec') this.#flow.received(packetId);
    else
      this.#settle(type === 'puback' ? this.#flow.acked(packetId) : this.#flow.completed(packetId));
  }

  #settle(entry: Entry | 'unknown' | 'wrong'): void {
    if (entry === 'wrong') this.faults.push('wrong');
    if (typeof entry === 'string') return;
    this.#settled.add(entry.name);
  }

  reconnect(): void {
    this.#toClient = [];
    this.#fromClient = [];
    // A save that is under way may still come to its end.
    if (this.dice(2) === 0) this.#saves = [];
    this.#flow.reconnected();
  }

  /** Another process takes the session up from what was kept. */
  crash(): void {
    this.#saves = [];
    this.#toClient = [];
    this.#fromClient = [];
    const { flights, settled } = this.#kept;
    const inFlight = flights.filter(({ entry }) => entry.qos === 2);
    this.#settled = new Set(settled);
    this.#offered = new Set([...settled, ...inFlight.map(({ entry }) => entry.name)]);
    this.#flow = new OutboundFlow(bounds, new PacketIds(this.#lastId));
    this.#flow.restore(inFlight.map((flight) => ({ ...flight, stage: keptStage(flight) })));
    this.#flow.reconnected();
  }
}

/** `SessionState` knows two stages. */
function keptStage({ stage }: Flight<Entry>): 'sent' | 'received' {
  return stage === 'received' ? 'received' : 'sent';
}

function run(seed: number, durable: boolean): World {
  const world = new World(seed, durable);
  const { dice } = world;
  for (let step = 0; step < 40_000 && !world.isDone; step += 1) {
    const what = dice(100);
    if (what < 20) world.offerNext();
    else if (what < 45) world.send();
    else if (what < 60) world.hear();
    else if (what < 80) world.answer();
    else if (what < 96) world.save();
    else if (what < 97) world.failSave();
    else if (what < 98 && dice(3) === 0) world.reconnect();
    else if (durable && dice(6) === 0) world.crash();
  }
  return world;
}

const counted = (names: readonly number[]) =>
  Array.from({ length: messages }, (_, name) => names.filter((each) => each === name).length);

test.each(seeds)(
  'over lost connections, failed saves and ended processes QoS 2 arrives exactly once (seed %d)',
  (seed) => {
    const world = run(seed, true);
    expect(world.isDone).toBe(true);
    expect(world.faults).toEqual([]);
    const times = counted(world.heard);
    expect(times.filter((_, name) => name % 3 > 0 && times[name] !== 1)).toEqual([]);
    expect(Math.min(...times)).toBe(1);
  },
);

test.each(seeds)(
  'in memory, over lost connections, QoS 2 arrives exactly once and in order (seed %d)',
  (seed) => {
    const world = run(seed, false);
    expect(world.isDone).toBe(true);
    const exact = world.heard.filter((name) => name % 3 > 0);
    expect(exact).toEqual(
      Array.from({ length: messages }, (_, name) => name).filter((name) => name % 3 > 0),
    );
    expect(Math.min(...counted(world.heard))).toBe(1);
  },
);
