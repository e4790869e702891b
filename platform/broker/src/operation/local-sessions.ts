import type { BrokerSession } from '../admission/identity.ts';
import type { BrokerEvents } from '../events.ts';
import {
  type Kick,
  pageOf,
  type SessionDetails,
  type SessionPage,
  type SessionQuery,
  type SessionRow,
  type SessionsView,
} from './sessions-view.ts';

export interface LocalSessionsOptions {
  readonly replica: string;
  /** Of this replica, connected or not. */
  readonly sessions: () => Iterable<BrokerSession>;
  /** When it was opened last, milliseconds since 1970. */
  readonly sinceMs: (session: BrokerSession) => number | undefined;
  readonly events: Pick<BrokerEvents, 'sessionKicked'>;
}

/** MQTT 5, section 2.4: "administrative action". */
const administrativeAction = 0x98;

/** The sessions of one replica. */
export class LocalSessions implements SessionsView {
  readonly #options: LocalSessionsOptions;

  constructor(options: LocalSessionsOptions) {
    this.#options = options;
  }

  list(query: SessionQuery): SessionPage {
    return pageOf(this.#rows(), query);
  }

  find(key: string): SessionDetails | undefined {
    const session = this.#session(key);
    return session && { ...this.#rowOf(session), filters: [...session.subscriptions.keys()] };
  }

  kick(key: string): Kick {
    const session = this.#session(key);
    if (!session) return { outcome: 'not-found' };
    if (!session.connected) return { outcome: 'not-connected' };
    this.#options.events.sessionKicked(session.identity.building, session.clientId);
    session.disconnect(administrativeAction, { reasonString: 'Disconnected by an operator' });
    return { outcome: 'kicked' };
  }

  *#rows(): Generator<SessionRow> {
    for (const session of this.#options.sessions()) yield this.#rowOf(session);
  }

  #session(key: string): BrokerSession | undefined {
    for (const session of this.#options.sessions()) if (session.key === key) return session;
    return undefined;
  }

  #rowOf(session: BrokerSession): SessionRow {
    const { key, clientId, identity, connected, protocolVersion, subscriptions } = session;
    const { inFlight, queued } = session;
    const { replica, sinceMs } = this.#options;
    const since = sinceMs(session);
    return {
      key,
      clientId,
      building: identity.building,
      connected,
      protocolVersion,
      subscriptions: subscriptions.size,
      inFlight,
      queued,
      replica,
      ...(since !== undefined && { sinceMs: since }),
    };
  }
}
