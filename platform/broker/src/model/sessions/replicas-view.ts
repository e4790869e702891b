/**
 * Which replicas live, by their heartbeats in the log and by nobody's clock: one is dead when so many of our own were read
 * since its last. While Kafka is away nobody's are read, and nobody dies.
 */
export class ReplicasView {
  readonly self: string;
  readonly #missedMax: number;
  /** Of others: heartbeats of ours since their last. */
  readonly #missed = new Map<string, number>();

  constructor(self: string, { missedMax }: { readonly missedMax: number }) {
    this.self = self;
    this.#missedMax = missedMax;
  }

  /** A heartbeat was read, or with `isGone` the word that it leaves. True when who lives has changed. */
  note(replica: string, isGone: boolean): boolean {
    if (replica === this.self) return this.#noteOwn();
    const lived = this.isLiving(replica);
    if (isGone) this.#missed.delete(replica);
    else this.#missed.set(replica, 0);
    return lived !== this.isLiving(replica);
  }

  isLiving(replica: string): boolean {
    if (replica === this.self) return true;
    const missed = this.#missed.get(replica);
    return missed !== undefined && missed < this.#missedMax;
  }

  living(): ReadonlySet<string> {
    const others = [...this.#missed.keys()].filter((replica) => this.isLiving(replica));
    return new Set([this.self, ...others]);
  }

  /** Those that died without a word, and whose heartbeat still stands in the log. */
  dead(): readonly string[] {
    return [...this.#missed.keys()].filter((replica) => !this.isLiving(replica));
  }

  /** Who sees to what dead replicas left. */
  isFirst(): boolean {
    return [...this.living()].every((replica) => this.self <= replica);
  }

  #noteOwn(): boolean {
    let changed = false;
    for (const [replica, missed] of this.#missed) {
      this.#missed.set(replica, missed + 1);
      changed ||= missed + 1 === this.#missedMax;
    }
    return changed;
  }
}
