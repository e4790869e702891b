import type { Duplex } from 'node:stream';
import { FrameReader } from './model/frame-reader.ts';
import { PacketFault } from './packet-fault.ts';
import { reason } from './reason-codes.ts';

/** Who takes the packets that are read. */
export interface ReadingOwner {
  /** The client is served no longer. */
  readonly gone: boolean;
  /** Nothing more may be taken for now. */
  readonly isFull: boolean;
  readonly packetBytesMax: number;
  readonly packetsPerTurnMax: number;
  /** A whole packet. May throw `PacketFault`. */
  take(frame: Buffer): void;
  faulted(fault: PacketFault): void;
  /** All was taken of a socket that brings nothing more. */
  readAll(): void;
  /**
   * The socket was paused, or a packet is not whole: somebody has to ask now and then whether it may go on, and how long it
   * takes.
   */
  waits(): void;
}

/** Cuts what a socket brings into packets, as fast as they are taken: back-pressure instead of memory. */
export class Reading {
  readonly #socket: Duplex;
  readonly #owner: ReadingOwner;
  readonly #steadyMs: () => number;
  readonly #frames = new FrameReader();
  #running = false;
  #held = false;
  #stopped = false;
  #over = false;
  #holdUntilMs = 0;
  /** The turn of the loop is over for this socket, and more packets are there. */
  #resting = false;
  /** Since when a packet is not whole, not counting when we did not read. */
  #partSinceMs: number | undefined;

  constructor(socket: Duplex, owner: ReadingOwner, steadyMs: () => number) {
    this.#socket = socket;
    this.#owner = owner;
    this.#steadyMs = steadyMs;
  }

  /** The socket is paused. */
  get isHeld(): boolean {
    return this.#held;
  }

  /** For how long a packet has been coming in, in milliseconds; `undefined` if none is. */
  partMs(nowMs: number): number | undefined {
    if (this.#held && this.#partSinceMs !== undefined) this.#partSinceMs = nowMs;
    return this.#partSinceMs === undefined ? undefined : nowMs - this.#partSinceMs;
  }

  push(chunk: Buffer): void {
    this.#frames.push(chunk);
    this.run();
  }

  /** Takes packet after packet until there is none or something holds us; then the socket waits. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      if (this.#over && this.#frames.heldBytes === 0) this.#owner.readAll();
      else if (this.#takeAll()) {
        if (this.#held) this.#socket.resume();
        this.#held = false;
        if (this.#over) this.#owner.readAll();
      } else {
        this.#held = true;
        this.#socket.pause();
        this.#owner.waits();
      }
    } catch (error) {
      if (!(error instanceof PacketFault)) throw error;
      this.#owner.faulted(error);
    } finally {
      this.#running = false;
    }
  }

  /** What held the reading back may be over. */
  goOn(): void {
    if (this.#held) this.run();
  }

  hold(milliseconds: number): void {
    this.#holdUntilMs = this.#steadyMs() + milliseconds;
    setTimeout(() => this.run(), milliseconds + 1).unref();
  }

  /** The socket brings nothing more; what it brought is still taken, as fast as the rest would be. */
  end(): void {
    this.#over = true;
    this.run();
  }

  /** For good. */
  stop(): void {
    this.#stopped = true;
    this.#socket.pause();
  }

  /** The rest is not wanted. */
  clear(): void {
    this.#frames.clear();
  }

  /** False: something holds us. */
  #takeAll(): boolean {
    for (let taken = 0; !this.#owner.gone; taken += 1) {
      if (this.#mustWait()) return false;
      const frame = this.#frames.next(this.#owner.packetBytesMax);
      if (frame === undefined) {
        this.#notePart();
        return true;
      }
      if (typeof frame === 'string') throw frameFaults[frame]();
      this.#partSinceMs = undefined;
      this.#owner.take(frame);
      if (taken + 1 >= this.#owner.packetsPerTurnMax) this.#rest();
    }
    return true;
  }

  #notePart(): void {
    if (this.#frames.heldBytes === 0 || this.#partSinceMs !== undefined) return;
    this.#partSinceMs = this.#steadyMs();
    this.#owner.waits();
  }

  #rest(): void {
    this.#resting = true;
    setImmediate(() => {
      this.#resting = false;
      this.run();
    });
  }

  #mustWait(): boolean {
    if (this.#resting || this.#stopped) return true;
    return this.#owner.isFull || this.#holdUntilMs > this.#steadyMs();
  }
}

const frameFaults = {
  malformed: () => new PacketFault(reason.malformedPacket, 'The length of the packet is malformed'),
  'too-large': () => new PacketFault(reason.packetTooLarge, 'The packet is too large'),
} as const;
