import { currentOf, livingOf } from '../model/sessions/kept-state.ts';
import type { ReplicasView } from '../model/sessions/replicas-view.ts';
import type { KeptSession, SessionsView as KeptSessions } from '../model/sessions/sessions-view.ts';
import {
  type Kick,
  pageOf,
  type SessionDetails,
  type SessionPage,
  type SessionQuery,
  type SessionsView,
} from '../operation/sessions-view.ts';

export interface CellSessionsViewOptions {
  readonly view: KeptSessions;
  readonly replicas: ReplicasView;
  /** Those of this replica. */
  readonly local: SessionsView;
  readonly isHere: (key: string) => boolean;
}

/** All sessions of a cell, as any replica shows them: its own as they are, the others as the log says. */
export class CellSessionsView implements SessionsView {
  readonly #options: CellSessionsViewOptions;

  constructor(options: CellSessionsViewOptions) {
    this.#options = options;
  }

  async list(query: SessionQuery): Promise<SessionPage> {
    const local = await this.#options.local.list(query);
    const page = pageOf([...local.rows, ...this.#elsewhere()], query);
    return { rows: page.rows, more: page.more || local.more };
  }

  async find(key: string): Promise<SessionDetails | undefined> {
    const { local, view, isHere } = this.#options;
    if (isHere(key)) return local.find(key);
    const session = view.get(key);
    return session && this.#detailsOf(session);
  }

  async kick(key: string): Promise<Kick> {
    const { local, isHere } = this.#options;
    if (isHere(key)) return local.kick(key);
    const session = await this.find(key);
    if (!session) return { outcome: 'not-found' };
    return session.connected
      ? { outcome: 'elsewhere', replica: session.replica }
      : { outcome: 'not-connected' };
  }

  *#elsewhere(): Generator<SessionDetails> {
    for (const session of this.#options.view.all()) {
      const details = this.#options.isHere(session.key) ? undefined : this.#detailsOf(session);
      if (details) yield details;
    }
  }

  #detailsOf(session: KeptSession): SessionDetails | undefined {
    const living = currentOf(session) ?? livingOf({ ...session, state: undefined });
    if (!living) return undefined;
    const { connect, disconnectedAtMs, subscriptions } = living;
    const { clientId, building, protocolVersion } = connect;
    const { key, replica, released } = session;
    const isServed = !released && this.#options.replicas.isLiving(replica);
    return {
      key,
      clientId,
      building,
      protocolVersion,
      connected: isServed && disconnectedAtMs === undefined,
      ...(disconnectedAtMs !== undefined && { sinceMs: disconnectedAtMs }),
      subscriptions: subscriptions.length,
      filters: subscriptions.map(({ name }) => name),
      replica,
    };
  }
}
