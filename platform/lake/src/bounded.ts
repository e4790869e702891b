/** Runs so many pieces of work at once, the others in their order. */
export class Bounded {
  readonly #max: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  async run<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#running >= this.#max)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      // The place of whoever is done is handed over.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }

  /** In the order of the items; throws what the first failing one threw, when all have ended. */
  async map<Item, Value>(
    items: readonly Item[],
    work: (item: Item) => Promise<Value>,
  ): Promise<Value[]> {
    const all = await Promise.allSettled(items.map((item) => this.run(() => work(item))));
    return all.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }
}
