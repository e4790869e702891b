import type {
  InboundMessage,
  OutboundMessage,
  Session,
  Subscription,
} from '@domicile/mqtt/owner.ts';
import type { KeptPosition } from '../model/messages/cursor.ts';

/**
 * Delivers to this replica's sessions what clients publish, whichever replica they publish to: it reads the log that the
 * messages were written to. An offline session is positions in that log. One feed serves all sessions of a replica.
 *
 * Order of calls for a session: `resume` (from `MqttOwner.open`, only with a state that was kept elsewhere), `opened`, then
 * any of `subscribe`, `subscribed`, `unsubscribed`, `room` and `state`, then `closed`; after it `opened` again or `ended`.
 */
export interface MessageFeed<Identity> extends AsyncDisposable {
  /**
   * What was kept of the session elsewhere, to go on from when `opened` comes. `inFlight` are the tokens of
   * `SessionState.inFlight`: what the MQTT server itself sends again is not offered again.
   */
  resume(key: string, state: FeedState, inFlight: ReadonlySet<string>): void;

  /** The session has a connection: `Session.subscriptions` are those of a resumed one. */
  opened(session: Session<Identity>): void;

  /**
   * Resolves when the subscription takes effect: all that is published from now on comes, on any replica, and nothing of
   * what was published before. Await it before the SUBACK.
   */
  subscribe(session: Session<Identity>, asked: Subscription): Promise<void>;

  /** After the SUBACK: sends what is retained, as the subscription wants it. */
  subscribed(session: Session<Identity>, subscription: Subscription, isNew: boolean): void;

  unsubscribed(session: Session<Identity>, subscription: Subscription): void;

  /** There is room in the session's queue again. */
  room(session: Session<Identity>): void;

  /** The connection is gone. What is published from now on waits in the log. */
  closed(session: Session<Identity>): void;

  /** The session is forgotten here. */
  ended(session: Session<Identity>): void;

  /** A kept session that was not served here is forgotten; the names are those of its subscriptions. */
  forgotten(key: string, names: readonly string[]): void;

  /**
   * What of the session has to survive this process, as plain data that JSON keeps. Taken at the same moment as
   * `Session.state()` and kept in the same record, it makes QoS 2 exactly once over a change of replica.
   */
  state(key: string): FeedState | undefined;

  /** Messages by their tokens, read back from the log. What retention has cut is left out. */
  messages(tokens: readonly string[]): Promise<ReadonlyMap<string, OutboundMessage>>;
}

/** What of a session's feed outlives a process: plain data, bounded, a few hundred bytes for most. */
export interface FeedState {
  /** By place, `{stream}/{partition}`. */
  readonly positions: Readonly<Record<string, KeptPosition>>;
  /** By subscription's name and place: the first offset that it takes, where the position is not beyond it yet. */
  readonly from?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Names of subscriptions whose retained messages are not all delivered. */
  readonly retainedDue?: readonly string[];
}

/** What the feed needs of the keeper of sessions, who writes them to the compacted log. */
export interface FeedKeeper {
  /**
   * The feed's state of this session has changed: it is to be kept within about a second, many changes at once. It is called
   * for each ack, so it must be cheap, and for sessions that do not outlive their connection too: ignore those.
   */
  moved(key: string): void;

  readonly groups: GroupLog;
}

/**
 * The part of the log of sessions that share groups live in. Records are keyed; the last of a key counts, and every replica
 * sees all.
 */
export interface GroupLog {
  /** This replica, as others see it. */
  readonly replica: string;
  /** Replicas that show signs of life, this one included. */
  replicas(): ReadonlySet<string>;
  /** The last value of each key that was read back. */
  entries(): ReadonlyMap<string, unknown>;
  /** Resolves when it is on all in-sync replicas; `undefined` removes the key. Writes of a key keep their order. */
  write(key: string, value: unknown): Promise<void>;
  /** A key has a new value (`undefined`: none), or, with the key `undefined`, replicas came or went. */
  changed(listener: (key: string | undefined) => void): void;
}

/** A message as it stands in the log. */
export interface FeedMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** Key of the session that published it; undefined: no client did. */
  readonly publisher: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number | undefined;
  readonly properties: InboundMessage['properties'];
  /** Key of its place, `{stream}/{partition}`. */
  readonly place: string;
  readonly offset: number;
  /** Of its record. */
  readonly timestampMs: number;
  /** Of its record, as text. */
  readonly headers: () => Readonly<Record<string, string>>;
  /** As it is offered to a session, without what is the subscription's. */
  readonly outbound: OutboundMessage;
}

/** Where a client is told that messages were gone before it came back for them. */
export const gapTopic = '$SYS/session/gap';
