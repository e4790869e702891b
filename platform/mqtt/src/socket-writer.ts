import type { Duplex } from 'node:stream';

/** Acks gathered in one piece of memory, as there are thousands of four bytes each. */
const acksBytes = 4096;

/** How long a closed connection may still take our last words, and how long we hear it out. */
const lingerMs = 2000;

export interface WriterOwner {
  /** The client does not take what was written: somebody has to look after it now and then. */
  waits(): void;
  /** It does again; told in a later turn of the loop. */
  freed(): void;
}

/** Gathers what one turn of the loop has to say into one write. */
export class SocketWriter {
  readonly #socket: Duplex;
  readonly #bytesMax: number;
  readonly #owner: WriterOwner;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #acks: Buffer | undefined;
  #acksEnd = 0;
  #ending = false;

  constructor(socket: Duplex, bytesMax: number, owner: WriterOwner) {
    this.#socket = socket;
    this.#bytesMax = bytesMax;
    this.#owner = owner;
  }

  /** The client does not take what we write. */
  get stalled(): boolean {
    if (this.#socket.destroyed) return false;
    return this.#waitingBytes + this.#socket.writableLength > this.#bytesMax;
  }

  write(bytes: Buffer): void {
    this.#announce(bytes.length);
    this.#closeAcks();
    this.#waiting.push(bytes);
  }

  /** An ack without a reason code (MQTT 5, section 3.4.2.1): the same in both versions. */
  writeAck(firstByte: number, packetId: number): void {
    this.#announce(4);
    if (this.#acks && this.#acksEnd + 4 > acksBytes) this.#closeAcks();
    this.#acks ??= Buffer.allocUnsafe(acksBytes);
    const at = this.#acksEnd;
    this.#acks[at] = firstByte;
    this.#acks[at + 1] = 2;
    this.#acks[at + 2] = packetId >> 8;
    this.#acks[at + 3] = packetId & 0xff;
    this.#acksEnd = at + 4;
  }

  flush(): void {
    this.#closeAcks();
    const [first] = this.#waiting;
    if (!first) return;
    const stalled = this.stalled;
    const all = this.#waiting.length === 1 ? first : Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#socket.writable) this.#socket.write(all);
    // What the kernel takes at once is followed by no 'drain'.
    if (this.stalled) this.#owner.waits();
    else if (stalled) setImmediate(() => this.#owner.freed());
  }

  /**
   * Says what is left to say and closes. Unread bytes in a closing socket would reset it and take our last words with it:
   * they are heard out for a while.
   */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.flush();
    this.#socket.end();
    this.#socket.resume();
    const lingering = setTimeout(() => this.#socket.destroy(), lingerMs).unref();
    this.#socket.once('close', () => clearTimeout(lingering));
  }

  #announce(bytes: number): void {
    if (this.#waitingBytes === 0) process.nextTick(() => this.flush());
    this.#waitingBytes += bytes;
  }

  #closeAcks(): void {
    if (!this.#acks) return;
    this.#waiting.push(this.#acks.subarray(0, this.#acksEnd));
    this.#acks = undefined;
    this.#acksEnd = 0;
  }
}
