/**
 * The seam between this room, which speaks MQTT, and its owner, who knows who may do what and where a
 * message is kept. Order of calls for one connection: `authenticate`, then `opened`, then any of
 * `publish`, `subscribe` and `subscribed`, then `closed`.
 */
export interface MqttOwner<Identity, Peer> {
  /**
   * Decides on a CONNECT. `key` names the session: who comes with the same key takes it over. Rejecting
   * answers "server unavailable".
   */
  authenticate(request: ConnectRequest, peer: Peer): Promise<Admission<Identity>>;

  /**
   * Takes a message. It is acked only after this resolves, with `undefined` or 0; a failure code (0x80 and
   * above) refuses this one message, and a `MqttDisconnect` ends the connection with nothing acked, so
   * that the client sends again. Any other rejection does the same with "unspecified error".
   */
  publish(session: Session<Identity>, message: InboundMessage): Promise<number | undefined>;

  /** The granted QoS (0 or 1), or a failure code. */
  subscribe(session: Session<Identity>, filter: string, qos: 0 | 1 | 2): number;

  /** After the SUBACK: the time to deliver what is retained. `isNew` is false for a renewed filter. */
  subscribed?(session: Session<Identity>, subscription: Subscription, isNew: boolean): void;

  /** A will whose time has come. It is a message like any other, but nobody waits for an ack. */
  will(session: Session<Identity>, message: InboundMessage): void;

  opened?(session: Session<Identity>, resumed: boolean): void;

  /** The connection is gone; the session may live on until `ended`. */
  closed?(session: Session<Identity>, why: Closing): void;

  /** The session is forgotten. */
  ended?(session: Session<Identity>): void;

  /**
   * Milliseconds for which nothing more is read from this client, asked after each message: back-pressure
   * instead of loss for who is over a rate.
   */
  holdMs?(session: Session<Identity>, messageBytes: number): number;

  /** CONNECT refused, or the connection ended before one was accepted. Nothing of its packet is told. */
  refused?(reasonCode: number): void;
}

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
  readonly userProperties?: Readonly<Record<string, string | string[]>>;
}

export interface InboundMessage {
  readonly topic: string;
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
  readonly qos: 0 | 1;
  /** It was published with the retain flag, or comes from what is retained (`fromRetained`). */
  readonly retain?: boolean;
  readonly fromRetained?: boolean;
  /** Milliseconds since 1970 after which it is no longer sent. */
  readonly expiresAtMs?: number;
  readonly properties?: MessageProperties;
}

/**
 * What became of a delivery. `acked`: the client's PUBACK came (QoS 1). `sent`: written to the socket
 * (QoS 0). `refused`: PUBACK with a failure code. The rest never reached the client.
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
  readonly filter: string;
  readonly qos: 0 | 1;
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
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  /** Whether any subscription takes the topic. */
  wants(topic: string): boolean;
  /** Never blocks others: queues up to the bounds, survives a reconnect of the session, settles once. */
  deliver(message: OutboundMessage): Promise<Delivery>;
  /** DISCONNECT with the code (MQTT 5) and close. */
  disconnect(reasonCode: number): void;
}

export interface Closing {
  /** The client said DISCONNECT and wants no will. */
  readonly clean: boolean;
  /** What we or the client gave as reason. */
  readonly reasonCode: number;
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
