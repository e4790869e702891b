import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import { password } from '../mqtt-servers.ts';

export interface LoadOptions {
  readonly port: number;
  /** One connection each. */
  readonly buildings: readonly string[];
  /** Unacked messages of a connection. */
  readonly window: number;
  readonly qos: 1 | 2;
  /** Of all together, at even distances; absent: as fast as acks come. */
  readonly perSecond?: number;
  readonly payload: Buffer;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** Called when the time that counts begins, and when it ends: messages a second as Kafka has them. */
  readonly onMeasure: () => Promise<void>;
  readonly onMeasured: () => Promise<number>;
}

export interface LoadResult {
  readonly writtenPerSecond: number;
  readonly ackedPerSecond: number;
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
}

const latencyBuckets = 20_000;
const bucketMs = 0.1;
const paceEveryMs = 2;
const puback = 0x40;
const pubrec = 0x50;
const pubcomp = 0x70;

/** Keeps a window of messages open on each connection, or keeps a pace, and counts the acks. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const publishers = await Promise.all(
    options.buildings.map((building) => Publisher.open(options, building)),
  );
  const pace = new AbortController();
  if (options.perSecond === undefined) for (const publisher of publishers) publisher.start();
  else void keepPace(publishers, options.perSecond, pace.signal);
  await sleep(options.warmUpMs);
  await options.onMeasure();
  for (const publisher of publishers) publisher.reset();
  const from = performance.now();
  await sleep(options.measureMs);
  const seconds = (performance.now() - from) / 1000;
  const histogram = new Float64Array(latencyBuckets);
  let acked = 0;
  for (const publisher of publishers) {
    acked += publisher.acked;
    for (const [bucket, count] of publisher.latencies.entries()) {
      histogram[bucket] = (histogram[bucket] ?? 0) + count;
    }
  }
  const writtenPerSecond = await options.onMeasured();
  pace.abort();
  await Promise.all(publishers.map((publisher) => publisher.end()));
  return {
    writtenPerSecond,
    ackedPerSecond: Math.round(acked / seconds),
    ackP50Ms: quantile(histogram, acked * 0.5),
    ackP99Ms: quantile(histogram, acked * 0.99),
  };
}

/** By turns over the connections; what is late is sent at once and counted from when it was due. */
async function keepPace(
  publishers: readonly Publisher[],
  perSecond: number,
  signal: AbortSignal,
): Promise<void> {
  const from = performance.now();
  for (let sent = 0; !signal.aborted;) {
    const due = Math.floor(((performance.now() - from) / 1000) * perSecond);
    for (; sent < due; sent += 1) {
      const dueAt = from + (sent / perSecond) * 1000;
      publishers[sent % publishers.length]?.sendOne(dueAt);
    }
    await sleep(paceEveryMs);
  }
}

class Publisher {
  readonly latencies = new Uint32Array(latencyBuckets);
  acked = 0;
  readonly #socket: Socket;
  readonly #frame: Buffer;
  readonly #idAt: number;
  readonly #window: number;
  readonly #ends: number;
  readonly #sentAt = new Float64Array(65_536);
  #nextId = 0;
  #rest: Buffer = Buffer.alloc(0);
  #refills = false;

  static async open(options: LoadOptions, building: string): Promise<Publisher> {
    const socket = connect({ host: '127.0.0.1', port: options.port, noDelay: true });
    await once(socket, 'connect');
    socket.write(
      generate({
        cmd: 'connect',
        protocolVersion: 4,
        clientId: `load-${building}`,
        clean: true,
        keepalive: 60,
        username: building,
        password: Buffer.from(password),
      }),
    );
    const [connack] = await once(socket, 'data');
    if (Buffer.from(connack)[3] !== 0) throw new Error('The server refused the connection');
    return new Publisher(socket, options, building);
  }

  private constructor(socket: Socket, { payload, window, qos }: LoadOptions, building: string) {
    this.#socket = socket;
    this.#window = window;
    this.#ends = qos === 1 ? puback : pubcomp;
    const topic = `v1/${building}/r101-air/telemetry`;
    this.#frame = generate({
      cmd: 'publish',
      topic,
      payload,
      qos,
      messageId: 1,
      dup: false,
      retain: false,
    });
    this.#idAt = this.#frame.length - payload.length - 2;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  start(): void {
    this.#refills = true;
    this.#send(this.#window, performance.now());
  }

  sendOne(dueAt: number): void {
    this.#send(1, dueAt);
  }

  reset(): void {
    this.acked = 0;
    this.latencies.fill(0);
  }

  async end(): Promise<void> {
    this.#refills = false;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  /** Acks of four bytes each, and nothing else, is what 3.1.1 servers answer here. */
  #read(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const now = performance.now();
    const releases: Buffer[] = [];
    let at = 0;
    let acks = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      const kind = bytes[at];
      const id = bytes.readUInt16BE(at + 2);
      if (kind === pubrec) releases.push(Buffer.from([0x62, 2, id >> 8, id & 0xff]));
      else if (kind === this.#ends) {
        acks += 1;
        this.#count(now - (this.#sentAt[id] ?? 0));
      } else throw new Error(`The server said ${kind}, which is no ack`);
    }
    this.#rest = bytes.subarray(at);
    this.acked += acks;
    if (releases.length > 0) this.#socket.write(Buffer.concat(releases));
    if (this.#refills) this.#send(acks, now);
  }

  #count(latencyMs: number): void {
    const bucket = Math.min(Math.max(0, Math.floor(latencyMs / bucketMs)), latencyBuckets - 1);
    this.latencies[bucket] = (this.latencies[bucket] ?? 0) + 1;
  }

  #send(messages: number, sentAt: number): void {
    if (messages === 0 || this.#socket.destroyed) return;
    const size = this.#frame.length;
    const batch = Buffer.allocUnsafe(size * messages);
    for (let each = 0; each < messages; each += 1) {
      this.#nextId = (this.#nextId % 65_535) + 1;
      this.#sentAt[this.#nextId] = sentAt;
      this.#frame.copy(batch, each * size);
      batch.writeUInt16BE(this.#nextId, each * size + this.#idAt);
    }
    this.#socket.write(batch);
  }
}

function quantile(histogram: Float64Array, rank: number): number {
  let seen = 0;
  for (const [bucket, count] of histogram.entries()) {
    seen += count;
    if (seen >= rank) return Number(((bucket + 1) * bucketMs).toFixed(1));
  }
  return Infinity;
}
