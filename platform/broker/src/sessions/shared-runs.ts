/** Work of which one run is under way at a time: who asks meanwhile shares the next, which begins after they asked. */
export class SharedRuns {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when a run has ended that began at this call or later. */
  run(): Promise<void> {
    if (this.#next) return this.#next;
    if (!this.#running) {
      this.#running = this.#work().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next = this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.run();
      });
    return this.#next;
  }

  /** Resolves, whatever came of them, when no run is under way or due. */
  async idle(): Promise<void> {
    while (this.#next ?? this.#running) {
      await (this.#next ?? this.#running)?.catch(() => undefined);
    }
  }
}
