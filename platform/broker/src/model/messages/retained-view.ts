export interface RetainedBounds {
  readonly topicsMax: number;
  readonly bytesMax: number;
}

export interface RetainedEntry<Message> {
  readonly topic: string;
  /** Undefined: deleted. Kept for a while, so that an older message that comes late is not believed. */
  readonly message: Message | undefined;
  readonly bytes: number;
  /** Of the message in its partition; the highest counts. */
  readonly offset: number;
  readonly expiresAtMs: number | undefined;
  readonly notedAtMs: number;
  /** Of the message whose retained record was seen last in the compacted log. */
  storedOffset: number;
}

/**
 * The retained message of each topic. It is a fold of two logs that name the same message by its offset: the messages
 * themselves, and the compacted log that holds the last of each topic, which may be late or out of order.
 */
export class RetainedView<Message> {
  readonly #bounds: RetainedBounds;
  readonly #entries = new Map<string, RetainedEntry<Message>>();
  #bytes = 0;
  #deleted = 0;

  constructor(bounds: RetainedBounds) {
    this.#bounds = bounds;
  }

  get count(): number {
    return this.#entries.size - this.#deleted;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is room for a message of this size. */
  takes(topic: string, bytes: number): boolean {
    const present = this.#entries.get(topic);
    if (present?.message === undefined && this.count >= this.#bounds.topicsMax) return false;
    return this.#bytes - (present?.bytes ?? 0) + bytes <= this.#bounds.bytesMax;
  }

  /**
   * Notes the message of a topic, `undefined` for its deletion. `stored`: it stands in the compacted log.
   * @returns whether it is the newest of its topic.
   */
  note(entry: Omit<RetainedEntry<Message>, 'storedOffset'>, stored: boolean): boolean {
    const present = this.#entries.get(entry.topic);
    if (present && present.offset >= entry.offset) {
      // The last of a key survives compaction: what is older than the newest has to be covered again.
      if (stored) present.storedOffset = entry.offset;
      return false;
    }
    if (present) this.#remove(present);
    const storedOffset = stored ? entry.offset : (present?.storedOffset ?? -1);
    this.#entries.set(entry.topic, { ...entry, storedOffset });
    this.#bytes += entry.bytes;
    if (entry.message === undefined) this.#deleted += 1;
    return true;
  }

  get(topic: string, nowMs: number): RetainedEntry<Message> | undefined {
    const entry = this.#entries.get(topic);
    if (entry?.message === undefined) return undefined;
    return entry.expiresAtMs !== undefined && entry.expiresAtMs <= nowMs ? undefined : entry;
  }

  topics(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /**
   * Topics whose newest message is not the last in the compacted log, although there was time for it. What has expired
   * becomes a deletion, and deletions that are stored are forgotten.
   */
  sweep(nowMs: number, graceMs: number): readonly RetainedEntry<Message>[] {
    const due: RetainedEntry<Message>[] = [];
    for (const entry of this.#entries.values()) {
      const isOld = entry.notedAtMs + graceMs <= nowMs;
      if (entry.storedOffset !== entry.offset) {
        if (isOld) due.push(entry);
      } else if (entry.message === undefined) {
        if (isOld) this.#forget(entry);
      } else if (entry.expiresAtMs !== undefined && entry.expiresAtMs + graceMs <= nowMs) {
        this.#remove(entry);
        this.#deleted += 1;
        const gone = { ...entry, message: undefined, bytes: 0, notedAtMs: nowMs, storedOffset: -1 };
        this.#entries.set(entry.topic, gone);
        due.push(gone);
      }
    }
    return due;
  }

  #remove(entry: RetainedEntry<Message>): void {
    this.#bytes -= entry.bytes;
    if (entry.message === undefined) this.#deleted -= 1;
  }

  #forget(entry: RetainedEntry<Message>): void {
    this.#remove(entry);
    this.#entries.delete(entry.topic);
  }
}
