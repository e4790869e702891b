import type { Duplex } from 'node:stream';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { seeded } from '../model/seeded.ts';
import { bytePipe } from './byte-pipe.ts';
import { Client } from './client.ts';
import { corpusOf, type Dice, mutated } from './mutations.ts';
import { MemoryBroker } from './test-memory-broker.ts';
import { connectPacket, type Version } from './wire.ts';

export interface FuzzReport {
  readonly seed: number;
  /** Given to a connection that was open then. */
  readonly packets: number;
  readonly connections: number;
  /** Messages of the good client that were acked, by QoS 1 and 2 in turn. */
  readonly acked: readonly string[];
  /** What its subscriber got. */
  readonly received: readonly string[];
  /** After all hostile clients have left. */
  readonly connectionsLeft: number;
  readonly sessionsLeft: number;
  /** Between the end of a warm-up of a tenth and the end, after collection. */
  readonly heapGrownBytes: number;
}

const corpora = { 4: corpusOf(4), 5: corpusOf(5) };
const slots = 64;
const goodEvery = 16;
const limits = {
  sessionExpirySecondsMax: 1,
  willDelaySecondsMax: 1,
  sessionsMax: 200,
  receiveMaximum: 20,
  topicAliasMax: 10,
  outboundQueuedMax: 50,
};

class Hostile {
  readonly #dice: Dice;
  readonly #version: Version;
  readonly #socket: Duplex;

  constructor(broker: MemoryBroker, dice: Dice) {
    const [near, far] = bytePipe();
    this.#dice = dice;
    this.#version = dice(2) === 0 ? 4 : 5;
    this.#socket = near;
    near.resume().on('error', () => undefined);
    broker.serve(far);
    // One in eight begins with what should have been a CONNECT.
    if (dice(8) === 0) return;
    const clientId = `fuzz${dice(100)}`;
    near.write(connectPacket(this.#version, { clientId, clean: dice(3) > 0, keepAlive: dice(20) }));
  }

  get open(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  /** One more packet, one time in four in pieces. */
  say(): void {
    const bytes = mutated(corpora[this.#version], this.#dice);
    if (this.#dice(4) > 0) {
      this.#socket.write(bytes);
      return;
    }
    const at = this.#dice(bytes.length);
    this.#socket.write(bytes.subarray(0, at));
    this.#socket.write(bytes.subarray(at));
  }

  leave(): void {
    if (this.#dice(2) === 0) this.#socket.end();
    else this.#socket.destroy();
  }
}

/** A server under mutated packets, while a good client publishes and another takes what it publishes. */
export async function fuzz(packets: number, seed: number): Promise<FuzzReport> {
  await using broker = await MemoryBroker.open(limits);
  const dice = seeded(seed);
  const good = await goodClients(broker);
  const total = { packets: 0, connections: 0 };
  const warm = Math.floor(packets / 10);
  await attack(broker, { dice, good, until: warm, total });
  await emptied(broker);
  const before = heapBytes();
  await attack(broker, { dice, good, until: packets, total });
  await emptied(broker);
  const heapGrownBytes = heapBytes() - before - good.bytes();
  await good.settled();
  return {
    seed,
    ...total,
    acked: good.acked,
    received: good.received,
    connectionsLeft: broker.server.connections - 2,
    sessionsLeft: broker.server.sessions - 2,
    heapGrownBytes,
  };
}

interface Attack {
  readonly dice: Dice;
  readonly good: { step(): Promise<void> };
  readonly until: number;
  readonly total: { packets: number; connections: number };
}

async function attack(broker: MemoryBroker, { dice, good, until, total }: Attack): Promise<void> {
  const hostile: (Hostile | undefined)[] = Array.from({ length: slots });
  for (let round = 0; total.packets < until; round += 1) {
    for (let slot = 0; slot < slots; slot += 1) {
      let each = hostile[slot];
      if (!each?.open) {
        each = new Hostile(broker, dice);
        hostile[slot] = each;
        total.connections += 1;
      }
      each.say();
      total.packets += 1;
      if (dice(16) === 0) each.leave();
    }
    await turn();
    if (round % goodEvery === 0) await good.step();
  }
  for (const each of hostile) each?.leave();
}

/** All but the good clients and their sessions are gone. */
async function emptied({ server }: MemoryBroker): Promise<void> {
  const until = performance.now() + 15_000;
  while (server.connections > 2 || server.sessions > 2) {
    if (performance.now() > until) return;
    await wait(50);
  }
}

async function goodClients(broker: MemoryBroker) {
  const patience = { patienceMs: 20_000, quietMs: 0 };
  const clientOf = async (clientId: string): Promise<Client> => {
    const client = new Client(await broker.connect(), { version: 5, clientId, patience });
    await client.connect();
    return client;
  };
  const [publisher, subscriber] = [await clientOf('good publisher'), await clientOf('good other')];
  await subscriber.subscribe('good');
  const acked: string[] = [];
  const received: string[] = [];
  let sent = 0;
  const step = async (): Promise<void> => {
    sent += 1;
    await publisher.publish('good', `${sent}`, { qos: 1 + (sent % 2), id: 1 + (sent % 60_000) });
    acked.push(`${sent}`);
    received.push(...(await subscriber.payloads(1)));
  };
  return {
    acked,
    received,
    step,
    settled: () => subscriber.ping(),
    /** What keeping the count costs, about. */
    bytes: () => (acked.length + received.length) * 40,
  };
}

setFlagsFromString('--expose_gc');
const collect: () => void = runInNewContext('gc');

function heapBytes(): number {
  for (let times = 0; times < 3; times += 1) collect();
  return process.memoryUsage().heapUsed;
}
