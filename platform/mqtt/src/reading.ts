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
  /** A whole packet. May throw `PacketFault`. */
  take(frame: Buffer): void;
  faulted(fault: PacketFault): void;
  /** The socket was paused: somebody has to ask now and then whether it may go on. */
  waits(): void;
}

/** Cuts what a socket brings into packets, as fast as they are taken: back-pressure instead of memory. */
export class Reading {
  readonly #socket: Duplex;
  readonly #owner: ReadingOwner;
  readonly #clock: () => number;
  readonly #frames = new FrameReader();
  #running = false;
  #held = false;
  #stopped = false;
  #holdUntilMs = 0;

  constructor(socket: Duplex, owner: ReadingOwner, clock: () => number) {
    this.#socket = socket;
    this.#owner = owner;
    this.#clock = clock;
  }

  /** The socket is paused. */
  get isHeld(): boolean {
    return this.#held;
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
      while (!this.#owner.gone) {
        if (this.#mustWait()) {
          this.#held = true;
          this.#socket.pause();
          this.#owner.waits();
          return;
        }
        const frame = this.#frames.next(this.#owner.packetBytesMax);
        if (frame === undefined) break;
        if (typeof frame === 'string') throw frameFaults[frame]();
        this.#owner.take(frame);
      }
      if (this.#held) this.#socket.resume();
      this.#held = false;
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
    this.#holdUntilMs = this.#clock() + milliseconds;
    setTimeout(() => this.run(), milliseconds + 1).unref();
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

  #mustWait(): boolean {
    return this.#stopped || this.#owner.isFull || this.#holdUntilMs > this.#clock();
  }
}

const frameFaults = {
  malformed: () => new PacketFault(reason.malformedPacket, 'The length of the packet is malformed'),
  'too-large': () => new PacketFault(reason.packetTooLarge, 'The packet is too large'),
} as const;
