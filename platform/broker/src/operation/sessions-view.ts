/** What an operator sees of a session; neither payloads nor secrets. */
export interface SessionRow {
  /** `{building}/{client id}`. */
  readonly key: string;
  readonly clientId: string;
  readonly building: string;
  readonly connected: boolean;
  /** When it connected or was left, milliseconds since 1970, where that is known. */
  readonly sinceMs?: number;
  readonly protocolVersion?: 4 | 5;
  /** How many. */
  readonly subscriptions: number;
  /** Messages to the client that it has not acked, and that wait to be sent; of sessions of this replica. */
  readonly inFlight?: number;
  readonly queued?: number;
  /** Who serves it, or did last. */
  readonly replica: string;
}

export interface SessionDetails extends SessionRow {
  readonly filters: readonly string[];
}

export interface SessionQuery {
  readonly building: string | undefined;
  readonly limit: number;
  /** The last key of the page before. */
  readonly after: string | undefined;
}

export interface SessionPage {
  /** By key, ascending by code unit. */
  readonly rows: readonly SessionRow[];
  readonly more: boolean;
}

/** `elsewhere`: another replica serves it; its name says which. */
export type Kick =
  | { readonly outcome: 'kicked' | 'not-connected' | 'not-found' }
  | { readonly outcome: 'elsewhere'; readonly replica: string };

/** The sessions as the admin port shows them. Who keeps sessions implements it. */
export interface SessionsView {
  list(query: SessionQuery): SessionPage | Promise<SessionPage>;
  find(key: string): SessionDetails | undefined | Promise<SessionDetails | undefined>;
  /** DISCONNECT 0x98, "administrative action"; the session stays. */
  kick(key: string): Kick | Promise<Kick>;
}

/** A page of rows that came in any order; holds little more than the page, however many rows there are. */
export function pageOf(rows: Iterable<SessionRow>, query: SessionQuery): SessionPage {
  const { building, limit, after } = query;
  const wanted: SessionRow[] = [];
  const cut = (length: number) => {
    wanted.sort((one, other) => (one.key < other.key ? -1 : 1));
    wanted.length = Math.min(wanted.length, length);
  };
  for (const row of rows) {
    if (building !== undefined && row.building !== building) continue;
    if (after !== undefined && row.key <= after) continue;
    wanted.push(row);
    if (wanted.length > 8 * limit) cut(limit + 1);
  }
  cut(limit + 1);
  return { rows: wanted.slice(0, limit), more: wanted.length > limit };
}
