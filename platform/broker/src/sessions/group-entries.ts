import { z } from 'zod';
import type { ReplicasView } from '../model/sessions/replicas-view.ts';
import { valueOf } from '../model/sessions/session-records.ts';
import type { SessionLog } from './session-log.ts';

type Listener = (key: string | undefined) => void;

/** Small keyed facts that all replicas share, beside the sessions: what share groups live in. */
export class GroupEntries {
  readonly #log: SessionLog;
  readonly #replicas: ReplicasView;
  readonly #entries = new Map<string, unknown>();
  readonly #listeners: Listener[] = [];

  constructor(log: SessionLog, replicas: ReplicasView) {
    this.#log = log;
    this.#replicas = replicas;
  }

  get replica(): string {
    return this.#replicas.self;
  }

  replicas(): ReadonlySet<string> {
    return this.#replicas.living();
  }

  entries(): ReadonlyMap<string, unknown> {
    return this.#entries;
  }

  async write(key: string, value: unknown): Promise<void> {
    await this.#log.write(this.#log.record({ of: 'group', name: key }, value));
  }

  changed(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** A record of a group was read. */
  note(key: string, value: Buffer | null): void {
    const read = value === null ? undefined : valueOf(z.unknown(), value);
    if (read === undefined) this.#entries.delete(key);
    else this.#entries.set(key, read);
    this.#tell(key);
  }

  replicasChanged(): void {
    this.#tell(undefined);
  }

  #tell(key: string | undefined): void {
    for (const listener of this.#listeners) listener(key);
  }
}
