import type { Duplex } from 'node:stream';

/** Gathers what one turn of the loop has to say into one write. */
export class SocketWriter {
  readonly #socket: Duplex;
  readonly #bytesMax: number;
  readonly #freed: () => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  /** `freed` is called when it was stalled and is no longer, in a later turn of the loop. */
  constructor(socket: Duplex, bytesMax: number, freed: () => void) {
    this.#socket = socket;
    this.#bytesMax = bytesMax;
    this.#freed = freed;
    socket.on('drain', freed);
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
    const stalled = this.stalled;
    const all = this.#waiting.length === 1 ? first : Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#socket.writable) this.#socket.write(all);
    // What the kernel takes at once is followed by no 'drain'.
    if (stalled && !this.stalled) setImmediate(this.#freed);
  }
}
