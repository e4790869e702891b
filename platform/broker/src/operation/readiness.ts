/** Why the broker is not ready to be sent clients. It lives all the same. */
export type NotReady =
  | 'kafka-unreachable'
  | 'registry-loading'
  | 'commands-loading'
  | 'sessions-loading'
  | 'draining';

/** Ready when nothing stands against it. */
export class Readiness {
  readonly #reasons = new Set<NotReady>();

  get reasons(): readonly NotReady[] {
    return [...this.#reasons];
  }

  /** Stands against it until the function that it gives is called. */
  wait(reason: NotReady): () => void {
    this.#reasons.add(reason);
    return () => void this.#reasons.delete(reason);
  }

  set(reason: NotReady, holds: boolean): void {
    if (holds) this.#reasons.add(reason);
    else this.#reasons.delete(reason);
  }
}
