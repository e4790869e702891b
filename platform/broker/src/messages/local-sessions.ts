import type { OpenedSession, OpenRequest } from '@domicile/mqtt/owner.ts';
import type { ClientIdentity } from '../admission/identity.ts';
import type { FeedKeeper, GroupLog } from './feed.ts';
import type { SessionKeeper } from './open-broker.ts';

/** Sessions of one replica that are kept nowhere else. */
export class LocalSessions implements SessionKeeper, FeedKeeper {
  readonly groups: GroupLog = new LocalGroups();

  async open({ isHere, cleanStart }: OpenRequest<ClientIdentity>): Promise<OpenedSession> {
    return { resumed: isHere && !cleanStart };
  }

  async save(): Promise<void> {}

  opened(): void {}

  closed(): void {}

  ended(): void {}

  moved(): void {}
}

class LocalGroups implements GroupLog {
  readonly replica = 'local';
  readonly #entries = new Map<string, unknown>();
  readonly #listeners: ((key: string | undefined) => void)[] = [];

  replicas(): ReadonlySet<string> {
    return new Set([this.replica]);
  }

  entries(): ReadonlyMap<string, unknown> {
    return this.#entries;
  }

  async write(key: string, value: unknown): Promise<void> {
    await Promise.resolve();
    if (value === undefined) this.#entries.delete(key);
    else this.#entries.set(key, value);
    for (const listener of this.#listeners) listener(key);
  }

  changed(listener: (key: string | undefined) => void): void {
    this.#listeners.push(listener);
  }
}
