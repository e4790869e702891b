/**
 * The seam between this room, which speaks MQTT, and its owner, who knows who may do what, where a message is kept and
 * where sessions live. Order of calls for one connection: `authenticate`, `open`, `opened`, then any of `publish`,
 * `subscribe`, `subscribed`, `unsubscribed`, `save` and `room`, then `closed`.
 */
export interface MqttOwner<Identity, Peer> {
  /**
   * Decides on a CONNECT. `key` names the session: who comes with the same key takes it over. Rejecting
   * answers "server unavailable".
   */
  authenticate(request: ConnectRequest, peer: Peer): Promise<Admission<Identity>>;

  /**
   * Makes the session this server's, wherever it was served before, and tells what is known of it; a failure code refuses
   * the CONNECT. Resolves only when nobody else will send or take anything for it any more. Absent: sessions live in
   * this server's memory and nowhere else.
   */
  open?(request: OpenRequest<Identity>): Promise<OpenedSession | number>;

  /**
   * Resolves when the session's `state()`, as it is at the call, will survive this process. Awaited before SUBACK and
   * UNSUBACK, before the PUBCOMP that frees a client's packet id, before a QoS 2 PUBLISH is sent for the first time, and
   * before the PUBREL that answers a client's PUBREC. Called only for sessions that outlive their connection.
   */
  save?(session: Session<Identity>): Promise<void>;

  /**
   * Takes a message. It is acked only after this resolves, with `undefined` or a code below 0x80 (0x10: nobody
   * subscribes); a failure code (0x80 and above) refuses this one message, and a `MqttDisconnect` ends the connection with
   * nothing acked, so that the client sends again. Any other rejection does the same with "unspecified error". For QoS 2
   * it resolves when message and packet id are both kept.
   */
  publish(session: Session<Identity>, message: InboundMessage): Promise<number | undefined>;

  /**
   * The granted QoS (0 to 2), or a failure code. `asked.share` is set for a shared subscription. Nothing more of this
   * client is handled until it resolves: what the client publishes next comes after the subscription.
   */
  subscribe(session: Session<Identity>, asked: Subscription): number | Promise<number>;

  /** After the SUBACK: the time to deliver what is retained. `isNew` is false for a renewed filter. */
  subscribed?(session: Session<Identity>, subscription: Subscription, isNew: boolean): void;

  /** The session no longer has it. `key` as in `Session.subscriptions`. */
  unsubscribed?(session: Session<Identity>, subscription: Subscription): void;

  /** There is room again in the session's queue, after `offer` refused. */
  room?(session: Session<Identity>): void;

  /** A will whose time has come. It is a message like any other, but nobody waits for an ack. */
  will(session: Session<Identity>, message: InboundMessage): void;

  opened?(session: Session<Identity>, resumed: boolean): void;

  /** The connection is gone; the session may live on until `ended`. */
  closed?(session: Session<Identity>, why: Closing): void;

  /** The session is forgotten here: expired, replaced by a clean start, or given up by `Session.abandon`. */
  ended?(session: Session<Identity>): void;

  /**
   * Milliseconds for which nothing more is read from this client, asked after each PUBLISH (with the bytes of its payload),
   * SUBSCRIBE, UNSUBSCRIBE and PINGREQ (with the bytes of the packet): back-pressure instead of loss for who is over a rate.
   */
  holdMs?(session: Session<Identity>, bytes: number): number;

  /** CONNECT refused, or the connection ended before one was accepted. Nothing of its packet is told. */
  refused?(reasonCode: number): void;
}

export interface OpenRequest<Identity> {
  readonly key: string;
  readonly clientId: string;
  readonly identity: Identity;
  readonly protocolVersion: 4 | 5;
  readonly cleanStart: boolean;
  /** As granted; 0 ends the session with its connection, `Infinity` never ends it. */
  readonly expirySeconds: number;
  /** What is to be published if the connection ends without a DISCONNECT that takes it back. */
  readonly will: InboundMessage | undefined;
  readonly willDelaySeconds: number;
  /** The session lives in this server's memory: its state here is newer than any that was kept elsewhere. */
  readonly isHere: boolean;
}

export type OpenedSession =
  | { readonly resumed: false }
  /** Without `state` the one in memory goes on (`isHere`). */
  | { readonly resumed: true; readonly state?: SessionState };

/** What of a session outlives a process, as plain data. */
export interface SessionState {
  readonly subscriptions: readonly Subscription[];
  /** Packet ids of the client's QoS 2 messages that are kept and not yet released. */
  readonly receivedIds: readonly number[];
  /** QoS 1 and 2 messages to the client that it has not completed, in the order of their sending. */
  readonly inFlight: readonly InFlight[];
}

export type InFlight =
  /** Sent again with DUP. Before a QoS 1 message is sent nothing is saved: it is here if something else had to be. */
  | {
      readonly packetId: number;
      readonly stage: 'sent';
      readonly message: OutboundMessage;
      /** With which it was sent; 2 unless given. */
      readonly qos?: 1 | 2;
    }
  /** The client has it: only PUBREL goes out again. */
  | { readonly packetId: number; readonly stage: 'received'; readonly token: string | undefined };

export interface ConnectRequest {
  readonly clientId: string;
  readonly protocolVersion: 4 | 5;
  readonly cleanStart: boolean;
  readonly userName: string | undefined;
  readonly password: Buffer | undefined;
  readonly will: InboundMessage | undefined;
}

export type Admission<Identity> =
  | { readonly admitted: true; readonly key: string; readonly identity: Identity }
  | { readonly admitted: false; readonly reasonCode: number };

export interface MessageProperties {
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Buffer;
  readonly payloadFormatIndicator?: boolean;
  /** Names and values in their order, which the standard keeps; a name may come again. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

export interface InboundMessage {
  readonly topic: string;
  /** A view of what was read from the socket: who keeps it for long copies it. */
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  /** Of the packet; `undefined` with QoS 0 and for a will. */
  readonly packetId: number | undefined;
  /** Seconds from now. */
  readonly expirySeconds: number | undefined;
  readonly properties: MessageProperties;
}

export interface OutboundMessage {
  readonly topic: string;
  readonly payload: Buffer;
  /** Sent with the lower of this and the granted QoS. */
  readonly qos: 0 | 1 | 2;
  /** The owner's name for it, which comes back in `SessionState.inFlight`. */
  readonly token?: string;
  /** It was published with the retain flag, or comes from what is retained (`fromRetained`). */
  readonly retain?: boolean;
  readonly fromRetained?: boolean;
  /** Milliseconds since 1970 after which it is no longer sent. */
  readonly expiresAtMs?: number;
  readonly properties?: MessageProperties;
}

/**
 * What became of a delivery. `acked`: the client's PUBACK (QoS 1) or PUBCOMP (QoS 2) came. `sent`: written to the socket
 * (QoS 0). `refused`: PUBACK or PUBREC with a failure code. The rest never reached the client.
 */
export type Delivery =
  | 'acked'
  | 'sent'
  | 'refused'
  | 'expired'
  | 'not-subscribed'
  | 'queue-full'
  | 'too-large'
  | 'session-ended';

export interface Subscription {
  /** As the client named it, `$share/…` included: the key in `Session.subscriptions`. */
  readonly name: string;
  /** What it matches: the name without `$share/{group}/`. */
  readonly filter: string;
  /** Name of the share group. */
  readonly share: string | undefined;
  readonly qos: 0 | 1 | 2;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0 send retained messages, 1 only if the subscription is new, 2 never. */
  readonly retainHandling: number;
  readonly identifier: number | undefined;
}

export interface Session<Identity> {
  readonly key: string;
  readonly clientId: string;
  readonly identity: Identity;
  readonly protocolVersion: 4 | 5;
  readonly connected: boolean;
  /** How long it is kept without a connection, as last agreed (a DISCONNECT may change it); `Infinity` for ever. */
  readonly expirySeconds: number;
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  /** Messages to the client: sent and not completed, and waiting to be sent. */
  readonly inFlight: number;
  readonly queued: number;
  /** Whether any subscription takes the topic. */
  wants(topic: string): boolean;
  /** Never blocks others: queues up to the bounds, survives a reconnect of the session, settles once. */
  deliver(message: OutboundMessage): Promise<Delivery>;
  /**
   * Queues one copy for these subscriptions of the session (their identifiers, the highest of their QoS). False when the
   * queue has no room: nothing was taken, and `MqttOwner.room` tells when to come again. `settled` is called once, never
   * within this call.
   */
  offer(
    message: OutboundMessage,
    matching: readonly Subscription[],
    settled: (delivery: Delivery) => void,
  ): boolean;
  /**
   * Takes the offered messages with this token back that were not sent yet. True if there were any; their `settled` is
   * not called.
   */
  withdraw(token: string): boolean;
  /** What has to survive this process. */
  state(): SessionState;
  /** DISCONNECT with the code (MQTT 5) and close. */
  disconnect(reasonCode: number, details?: DisconnectDetails): void;
  /** Another server has it now: its connection is closed with the code and it is forgotten here, its will unsaid. */
  abandon(reasonCode: number): void;
}

export interface DisconnectDetails {
  readonly reasonString?: string;
  /** Where to go instead ("use another server", "server moved"). */
  readonly serverReference?: string;
}

export interface Closing {
  /** The client said DISCONNECT and wants no will. */
  readonly clean: boolean;
  /** What we or the client gave as reason. */
  readonly reasonCode: number;
  /** How long the session is kept from now on, as the client's DISCONNECT may have changed it. */
  readonly expirySeconds: number;
}

/** Rejecting `publish` with it ends the connection with this code, so that the client tries again. */
export class MqttDisconnect extends Error {
  override readonly name = 'MqttDisconnect';
  readonly reasonCode: number;

  constructor(reasonCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reasonCode = reasonCode;
  }
}
