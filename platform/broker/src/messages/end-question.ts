type Ends = ReadonlyMap<string, readonly bigint[]>;

/** Asks where topics end. Who asks while a question is under way shares the next one. */
export class EndQuestion {
  readonly #endsOf: (topic: string) => Promise<readonly bigint[]>;
  readonly #topics = new Set<string>();
  #asking: Promise<Ends> | undefined;
  #next: Promise<Ends> | undefined;

  /** `endsOf` counts open transactions in. */
  constructor(endsOf: (topic: string) => Promise<readonly bigint[]>) {
    this.#endsOf = endsOf;
  }

  /** The answer holds at a time after the call: what was acked before it is below. */
  ask(topics: readonly string[]): Promise<Ends> {
    for (const topic of topics) this.#topics.add(topic);
    this.#next ??= this.#afterThis();
    return this.#next;
  }

  async #afterThis(): Promise<Ends> {
    // Also lets those join who ask in the same turn.
    await (this.#asking ?? Promise.resolve()).catch(() => undefined);
    this.#asking = this.#ask([...this.#topics]);
    this.#next = undefined;
    return this.#asking;
  }

  async #ask(topics: readonly string[]): Promise<Ends> {
    const ends = new Map<string, readonly bigint[]>();
    for (const topic of topics) ends.set(topic, await this.#endsOf(topic));
    return ends;
  }
}
