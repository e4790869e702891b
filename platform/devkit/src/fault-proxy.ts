import { once } from 'node:events';
import { createServer, connect, type Server, type Socket } from 'node:net';

export interface LinkWeather {
  /** Added to each way, in milliseconds. */
  readonly delayMs?: number;
  /** Of each way, of one connection. */
  readonly bytesPerSecondMax?: number;
}

export interface FaultProxyOptions {
  /** Ports on loopback; a connection goes to the next one that answers, as behind a load balancer. */
  readonly targets: readonly number[];
  readonly port?: number;
}

const connectTimeoutMs = 1_000;
/** What a connection may hold of bytes that wait for their time; above it the sender is not read. */
const heldBytesMax = 1 << 20;

/**
 * A TCP link that can be cut, slowed and made half open, on loopback. Bytes are never changed, dropped or put in another
 * order while a connection lives.
 */
export class FaultProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #targets: readonly number[];
  #turn = 0;
  #weather: LinkWeather = {};
  #state: 'open' | 'cut' | 'silent' = 'open';

  static async start({ targets, port = 0 }: FaultProxyOptions): Promise<FaultProxy> {
    const server = createServer({ noDelay: true });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    return new FaultProxy(server, bound, targets);
  }

  private constructor(server: Server, port: number, targets: readonly number[]) {
    this.#server = server;
    this.port = port;
    this.#targets = targets;
    server.on('connection', (socket) => void this.#accept(socket));
  }

  get connections(): number {
    return this.#links.size;
  }

  /** New connections go there. */
  retarget(targets: readonly number[]): void {
    this.#targets = targets;
  }

  /** Resets every connection and takes none until `mend`. */
  cut(): void {
    this.#state = 'cut';
    this.reset();
  }

  /** Resets every connection; new ones are taken. */
  reset(): void {
    for (const link of this.#links) link.destroy();
  }

  /** Half open: both ends believe that they are connected, and nothing arrives, ever, on these connections. */
  silence(): void {
    this.#state = 'silent';
    for (const link of this.#links) link.silence();
  }

  /** How the link is from now on, old connections included. */
  setWeather(weather: LinkWeather): void {
    this.#weather = weather;
    for (const link of this.#links) link.weather = weather;
  }

  /** A good link again. What was silenced stays so: its ends have to find out by themselves. */
  mend(): void {
    this.#state = 'open';
    this.setWeather({});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cut();
  }

  async #accept(client: Socket): Promise<void> {
    client.on('error', () => {});
    if (this.#isCut()) {
      client.resetAndDestroy();
      return;
    }
    const target = this.#isSilent() ? undefined : await this.#connect();
    // Meanwhile the link may have been cut or silenced, and the client may have gone.
    const isUnanswered = target === undefined && !this.#isSilent();
    if (isUnanswered || this.#isCut() || client.destroyed) {
      target?.resetAndDestroy();
      client.resetAndDestroy();
      return;
    }
    const link = new Link(client, target, this.#weather);
    this.#links.add(link);
    client.once('close', () => this.#links.delete(link));
    if (this.#isSilent()) link.silence();
  }

  #isCut(): boolean {
    return this.#state === 'cut';
  }

  #isSilent(): boolean {
    return this.#state === 'silent';
  }

  async #connect(): Promise<Socket | undefined> {
    for (const _ of this.#targets) {
      const port = this.#targets[this.#turn % this.#targets.length] ?? 0;
      this.#turn += 1;
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      socket.on('error', () => {});
      const signal = AbortSignal.timeout(connectTimeoutMs);
      const connected = await once(socket, 'connect', { signal }).then(
        () => true,
        () => false,
      );
      if (connected) return socket;
      socket.destroy();
    }
    return undefined;
  }
}

class Link {
  readonly #sockets: readonly Socket[];
  #isSilent = false;
  weather: LinkWeather;

  constructor(client: Socket, target: Socket | undefined, weather: LinkWeather) {
    this.weather = weather;
    this.#sockets = target === undefined ? [client] : [client, target];
    if (target === undefined) {
      client.resume();
      return;
    }
    this.#carry(client, target);
    this.#carry(target, client);
  }

  silence(): void {
    this.#isSilent = true;
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #carry(from: Socket, to: Socket): void {
    const queue = new DelayQueue(
      () => this.weather,
      (isFull) => (isFull ? from.pause() : from.resume()),
    );
    from.on('data', (chunk: Buffer) => {
      queue.push(chunk.length, () => {
        if (this.#isSilent || to.destroyed || to.write(chunk)) return;
        from.pause();
        to.once('drain', () => from.resume());
      });
    });
    from.on('end', () => queue.push(0, () => this.#isSilent || to.end()));
    from.on('error', () => this.#isSilent || to.resetAndDestroy());
    from.on('close', () => queue.push(0, () => this.#isSilent || to.end()));
  }
}

/** Works off what is pushed in its order, each at its time. */
class DelayQueue {
  readonly #weather: () => LinkWeather;
  readonly #full: (isFull: boolean) => void;
  #waiting: { readonly at: number; readonly bytes: number; readonly work: () => void }[] = [];
  #heldBytes = 0;
  #freeAt = 0;

  constructor(weather: () => LinkWeather, full: (isFull: boolean) => void) {
    this.#weather = weather;
    this.#full = full;
  }

  push(bytes: number, work: () => void): void {
    const { delayMs = 0, bytesPerSecondMax } = this.#weather();
    const now = performance.now();
    const takesMs = bytesPerSecondMax === undefined ? 0 : (bytes / bytesPerSecondMax) * 1_000;
    // Never before what came earlier, whatever the weather was then.
    this.#freeAt = Math.max(this.#freeAt, now + delayMs) + takesMs;
    if (this.#freeAt <= now && this.#waiting.length === 0) {
      work();
      return;
    }
    this.#waiting.push({ at: this.#freeAt, bytes, work });
    this.#heldBytes += bytes;
    if (this.#heldBytes > heldBytesMax) this.#full(true);
    if (this.#waiting.length === 1) this.#wait();
  }

  #wait(): void {
    const [next] = this.#waiting;
    if (next)
      setTimeout(() => this.#run(), Math.max(0, Math.ceil(next.at - performance.now()))).unref();
  }

  #run(): void {
    const now = performance.now();
    const wasFull = this.#heldBytes > heldBytesMax;
    while (this.#waiting[0] !== undefined && this.#waiting[0].at <= now) {
      const due = this.#waiting.shift();
      this.#heldBytes -= due?.bytes ?? 0;
      due?.work();
    }
    if (wasFull && this.#heldBytes <= heldBytesMax) this.#full(false);
    this.#wait();
  }
}
