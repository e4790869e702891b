import type { SessionLog } from './session-log.ts';

const everyMs = 1000;

/**
 * Tells the other replicas that this one lives. One sign at a time is on its way: what an outage of Kafka held up must not come
 * all at once, since others die by missing ours.
 */
export class ReplicaHeart implements AsyncDisposable {
  readonly #log: SessionLog;
  readonly #replica: string;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Resolves when its first sign has been read back. */
  static async start(log: SessionLog, replica: string): Promise<ReplicaHeart> {
    const heart = new ReplicaHeart(log, replica);
    await heart.beat();
    heart.#beatLater();
    return heart;
  }

  private constructor(log: SessionLog, replica: string) {
    this.#log = log;
    this.#replica = replica;
  }

  /** Resolves when the sign has been read back here, and with it all that stood before it in its partition. */
  async beat(): Promise<void> {
    const sign = this.#log.record({ of: 'replica', replica: this.#replica }, {});
    await this.#log.readBack(await this.#log.write(sign));
  }

  /** Says that the replica leaves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const gone = this.#log.record({ of: 'replica', replica: this.#replica });
    // Without it others find out by themselves.
    await this.#log.write(gone).catch(() => undefined);
  }

  #beatLater(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.beat()
        .catch(() => undefined)
        .finally(() => this.#beatLater());
    }, everyMs).unref();
  }
}
