import { createHash } from 'node:crypto';

/** Packet ids that are remembered of a session; MQTT lets a client have so many unacked at most. */
const packetsMax = 1000;
/** What was answered is forgotten after this, once newer messages come: thousands of devices share the memory. */
const answeredKeptMs = 300_000;

interface Remembered {
  readonly digest: string;
  readonly kept: Promise<void>;
  readonly atMs: number;
  /** Which of the session's connections it came on. */
  readonly connection: number;
  /** An ack went out on the connection that it came on; whether it arrived is the client's to know. */
  answered: boolean;
}

/**
 * Tells a retry from a new message. A client that resumes its session sends again, under the same packet id, what was not
 * acked (MQTT 5, section 4.4). It marks that DUP; some clients do not, and are believed if no ack can have
 * gone out. The same id with another payload, or after an ack without DUP, is a new message.
 */
export class Repeats {
  readonly #packets = new Map<number, Remembered>();
  readonly #now: () => number;
  #connection = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The session's connection ended. */
  disconnected(): void {
    this.#connection += 1;
  }

  /** Messages that are remembered. */
  get size(): number {
    return this.#packets.size;
  }

  /** Keeps a message, or waits for the keeping of the one that it repeats. */
  async once(
    { packetId, dup, payload }: { packetId: number; dup: boolean; payload: Buffer },
    keep: () => Promise<void>,
  ): Promise<'kept' | 'repeated'> {
    const digest = createHash('sha256').update(payload).digest('base64');
    const known = this.#packets.get(packetId);
    if (known?.digest === digest && (dup || this.#wasCutOff(known))) {
      await known.kept;
      known.answered = true;
      return 'repeated';
    }
    const connection = this.#connection;
    const atMs = this.#now();
    const packet: Remembered = { digest, atMs, connection, answered: false, kept: keep() };
    this.#remember(packetId, packet);
    try {
      await packet.kept;
      packet.answered = connection === this.#connection;
      return 'kept';
    } catch (error) {
      if (this.#packets.get(packetId) === packet) this.#packets.delete(packetId);
      throw error;
    }
  }

  #wasCutOff({ connection, answered }: Remembered): boolean {
    return !answered && connection < this.#connection;
  }

  #remember(packetId: number, packet: Remembered): void {
    this.#packets.delete(packetId);
    this.#packets.set(packetId, packet);
    for (const [oldest, { answered, atMs }] of this.#packets) {
      const isOld = answered && atMs < packet.atMs - answeredKeptMs;
      if (!isOld && this.#packets.size <= packetsMax) break;
      this.#packets.delete(oldest);
    }
  }
}
