interface Waiting {
  readonly saved: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * One save at a time, for all who wait for one: who asks while one is under way gets the next. A save begins in a later
 * microtask, so that what one read of the socket brings is saved together.
 */
export class SaveGate {
  readonly #save: () => Promise<void>;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(save: () => Promise<void>) {
    this.#save = save;
  }

  /** Exactly one of the two is called, later, in the order of the asking. */
  ask(saved: () => void, failed: (error: unknown) => void): void {
    this.#waiting.push({ saved, failed });
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const served = this.#waiting;
      this.#waiting = [];
      const failure = await this.#save().then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      for (const { saved, failed } of served) {
        if (failure) failed(failure.error);
        else saved();
      }
    }
    this.#running = false;
  }
}
