/** A place in the log as it is kept: what lies before `next` is done, but for `pending`. */
export interface KeptPosition {
  readonly next: number;
  /** Offsets before `next` that the client has not acked, ascending. */
  readonly pending?: readonly number[];
}

/**
 * How far one reader of a partition has come. What it was given and has not settled is named one by one, so that a restart
 * gives it those again and nothing else.
 */
export class Cursor {
  /** The next offset to look at. */
  #at: number;
  /** Before it everything was given once. */
  #next: number;
  readonly #pending = new Set<number>();
  /** Given before, to be given again. */
  readonly #again: Set<number>;

  /** `without`: offsets that are pending and that somebody else brings to their end. */
  constructor({ next, pending = [] }: KeptPosition, without: (offset: number) => boolean = never) {
    this.#next = next;
    this.#again = new Set(pending.filter((offset) => offset < next && !without(offset)));
    this.#at = Math.min(next, ...this.#again);
  }

  get at(): number {
    return this.#at;
  }

  /** How many are given and not settled. */
  get unsettled(): number {
    return this.#pending.size;
  }

  /** The lowest offset that is not done. */
  get lowest(): number {
    return Math.min(this.#next, ...this.#pending, ...this.#again);
  }

  /** Whether what stands at `offset` is still to be given. */
  wants(offset: number): boolean {
    return offset >= this.#next || this.#again.has(offset);
  }

  /** Nothing before `offset` is to be given any more. */
  reach(offset: number): void {
    if (offset > this.#at) this.#at = offset;
    if (offset > this.#next) this.#next = offset;
    if (this.#again.size > 0)
      for (const one of this.#again) if (one < offset) this.#again.delete(one);
  }

  /** What stands at `offset` was given. */
  give(offset: number): void {
    this.reach(offset);
    this.#again.delete(offset);
    this.#pending.add(offset);
    this.reach(offset + 1);
  }

  settle(offset: number): void {
    this.#pending.delete(offset);
  }

  /** What was given is to be given again: its taker is gone. */
  recall(offset: number): void {
    if (!this.#pending.delete(offset)) return;
    this.#again.add(offset);
    if (offset < this.#at) this.#at = offset;
  }

  /** To be kept. */
  position(): KeptPosition {
    const pending = [...this.#pending, ...this.#again].toSorted((a, b) => a - b);
    return pending.length > 0 ? { next: this.#next, pending } : { next: this.#next };
  }
}

const never = (): boolean => false;
