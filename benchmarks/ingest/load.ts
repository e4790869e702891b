import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';

export interface LoadOptions {
  readonly port: number;
  readonly password: string;
  /** One connection each. */
  readonly buildings: readonly string[];
  /** Unacked messages of a connection. */
  readonly window: number;
  readonly payload: Buffer;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface LoadResult {
  readonly messagesPerSecond: number;
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
}

const latencyBuckets = 20_000;
const bucketMs = 0.1;

/** Keeps a window of QoS 1 messages open on each connection and counts the acks. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const publishers = await Promise.all(
    options.buildings.map((building) => Publisher.open(options, building)),
  );
  for (const publisher of publishers) publisher.start();
  await sleep(options.warmUpMs);
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
  await Promise.all(publishers.map((publisher) => publisher.end()));
  return {
    messagesPerSecond: Math.round(acked / seconds),
    ackP50Ms: quantile(histogram, acked * 0.5),
    ackP99Ms: quantile(histogram, acked * 0.99),
  };
}

class Publisher {
  readonly latencies = new Uint32Array(latencyBuckets);
  acked = 0;
  readonly #socket: Socket;
  readonly #frame: Buffer;
  readonly #idAt: number;
  readonly #window: number;
  readonly #sentAt = new Float64Array(65_536);
  #nextId = 0;
  #rest: Buffer = Buffer.alloc(0);
  #running = true;

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
        password: Buffer.from(options.password),
      }),
    );
    const [connack] = await once(socket, 'data');
    if (Buffer.from(connack)[3] !== 0) throw new Error('The server refused the connection');
    return new Publisher(socket, options, building);
  }

  private constructor(socket: Socket, { payload, window }: LoadOptions, building: string) {
    this.#socket = socket;
    this.#window = window;
    const topic = `v1/${building}/r101-air/telemetry`;
    this.#frame = generate({
      cmd: 'publish',
      topic,
      payload,
      qos: 1,
      messageId: 1,
      dup: false,
      retain: false,
    });
    this.#idAt = this.#frame.length - payload.length - 2;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  start(): void {
    this.#send(this.#window);
  }

  reset(): void {
    this.acked = 0;
    this.latencies.fill(0);
  }

  async end(): Promise<void> {
    this.#running = false;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  /** PUBACKs of four bytes each, and nothing else, is what 3.1.1 servers answer here. */
  #read(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const now = performance.now();
    let at = 0;
    let acks = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      if (bytes[at] !== 0x40) throw new Error('The server said something else than PUBACK');
      const bucket = Math.floor((now - (this.#sentAt[bytes.readUInt16BE(at + 2)] ?? 0)) / bucketMs);
      const within = Math.min(bucket, latencyBuckets - 1);
      this.latencies[within] = (this.latencies[within] ?? 0) + 1;
      acks += 1;
    }
    this.#rest = bytes.subarray(at);
    this.acked += acks;
    if (this.#running) this.#send(acks);
  }

  #send(messages: number): void {
    if (messages === 0) return;
    const size = this.#frame.length;
    const batch = Buffer.allocUnsafe(size * messages);
    const now = performance.now();
    for (let each = 0; each < messages; each += 1) {
      this.#nextId = (this.#nextId % 65_535) + 1;
      this.#sentAt[this.#nextId] = now;
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

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
