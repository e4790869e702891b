export interface AliasedTopic {
  /** Empty if the client knows what the alias stands for. */
  readonly topic: string;
  readonly alias: number;
}

/**
 * What we call topics towards a client (MQTT 5, section 3.3.2.3.4): the ones used last keep their aliases. `max` is what
 * the client offered.
 */
export class OutboundAliases {
  readonly #max: number;
  /** The one that was not used for longest first. */
  readonly #aliases = new Map<string, number>();

  readonly #freed: number[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  of(topic: string): AliasedTopic {
    const known = this.#aliases.get(topic);
    const alias = known ?? this.#free();
    this.#aliases.delete(topic);
    this.#aliases.set(topic, alias);
    return { topic: known === undefined ? topic : '', alias };
  }

  /** It was not sent after all: the client may not know the alias. */
  forget(topic: string): void {
    const alias = this.#aliases.get(topic);
    if (alias === undefined) return;
    this.#aliases.delete(topic);
    this.#freed.push(alias);
  }

  #free(): number {
    const freed = this.#freed.pop();
    if (freed !== undefined) return freed;
    if (this.#aliases.size < this.#max) return this.#aliases.size + 1;
    const [[oldest, alias] = ['', 1]] = this.#aliases;
    this.#aliases.delete(oldest);
    return alias;
  }
}
