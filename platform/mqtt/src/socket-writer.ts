import type { Duplex } from 'node:stream';

/** Gathers what one turn of the loop has to say into one write. */
export class SocketWriter {
  readonly #socket: Duplex;
  readonly #bytesMax: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  constructor(socket: Duplex, bytesMax: number) {
    this.#socket = socket;
    this.#bytesMax = bytesMax;
  }

  /** The client does not take what we write. */
  get stalled(): boolean {
    return this.#waitingBytes + this.#socket.writableLength > this.#bytesMax;
  }

  write(bytes: Buffer): void {
    if (this.#waiting.length === 0) process.nextTick(() => this.flush());
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  flush(): void {
    const [first] = this.#waiting;
    if (!first) return;
    const all = this.#waiting.length === 1 ? first : Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#socket.writable) this.#socket.write(all);
  }
}
