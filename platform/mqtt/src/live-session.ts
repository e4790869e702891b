import type { WillPacket } from './client-packets.ts';
import type { MqttLimits } from './limits.ts';
import type { Ticket } from './model/ack-queue.ts';
import { type Flight, OutboundFlow, type Outgoing } from './model/outbound-flow.ts';
import { QosTwoInbox } from './model/qos-two-inbox.ts';
import type {
  Delivery,
  DisconnectDetails,
  InFlight,
  OutboundMessage,
  Session,
  SessionState,
  Subscription,
} from './owner.ts';
import { SaveGate } from './save-gate.ts';
import { filterTakes } from './topic-filters.ts';

export interface OutboundEntry extends Outgoing {
  readonly message: OutboundMessage;
  readonly identifiers: readonly number[];
  readonly retain: boolean;
  readonly settle: (delivery: Delivery) => void;
}

/** What a session needs of the connection that serves it. */
export interface SessionLink {
  /** The client is served by it no longer. */
  readonly gone: boolean;
  /** There is something to send. */
  pump(): void;
  /** The ticket's message is settled; a ticket of another connection is not its business. */
  settled(ticket: Ticket, reasonCode: number): void;
  close(reasonCode: number, details?: DisconnectDetails): void;
}

/** What a session needs of its server. */
export interface SessionHost<Identity> {
  readonly limits: MqttLimits;
  save(session: LiveSession<Identity>): Promise<void>;
  readonly saves: boolean;
  room(session: LiveSession<Identity>): void;
  abandon(session: LiveSession<Identity>, reasonCode: number): void;
}

const wantedMax = 10_000;
const noSubscriptions: ReadonlyMap<string, Subscription> = new Map();

/** A session's state, which outlives its connections. What an idle one does not need is not there. */
export class LiveSession<Identity> implements Session<Identity> {
  readonly key: string;
  readonly clientId: string;
  readonly #host: SessionHost<Identity>;
  #subscriptions: Map<string, Subscription> | undefined;
  /** Answers of `wants`, since the same topics come again and again. */
  #wanted: Map<string, boolean> | undefined;
  #inbox: QosTwoInbox | undefined;
  #outbound: OutboundFlow<OutboundEntry> | undefined;
  #saves: SaveGate | undefined;
  identity: Identity;
  protocolVersion: 4 | 5 = 4;
  connection: SessionLink | undefined;
  expirySeconds = 0;
  /** When it is forgotten, while it has no connection. */
  endsAtMs: number | undefined;
  /** Its place among what waits for a time. */
  bucket: number | undefined;
  delayedWill: { readonly will: WillPacket; readonly atMs: number } | undefined;
  #ended = false;
  #pumping = false;
  #refused = false;

  constructor(
    { key, clientId, identity }: { key: string; clientId: string; identity: Identity },
    host: SessionHost<Identity>,
  ) {
    this.key = key;
    this.clientId = clientId;
    this.identity = identity;
    this.#host = host;
  }

  get connected(): boolean {
    return this.connection !== undefined;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions ?? noSubscriptions;
  }

  get inbox(): QosTwoInbox {
    this.#inbox ??= new QosTwoInbox();
    return this.#inbox;
  }

  /** `undefined` as long as nothing was sent to the client. */
  get outbound(): OutboundFlow<OutboundEntry> | undefined {
    return this.#outbound;
  }

  /** Whether what changes has to be saved before anybody is told. */
  get durable(): boolean {
    return this.#host.saves && this.expirySeconds > 0;
  }

  get inFlight(): number {
    return this.#outbound?.unacked ?? 0;
  }

  get queued(): number {
    return this.#outbound?.queued ?? 0;
  }

  withdraw(token: string): boolean {
    const gone = this.#outbound?.withdraw(({ message }) => message.token === token) ?? [];
    if (gone.length > 0) this.#pumpSoon();
    return gone.length > 0;
  }

  subscribe(subscription: Subscription): void {
    this.#subscriptions ??= new Map();
    this.#subscriptions.set(subscription.name, subscription);
    this.#wanted = undefined;
  }

  unsubscribe(name: string): Subscription | undefined {
    const subscription = this.#subscriptions?.get(name);
    this.#subscriptions?.delete(name);
    this.#wanted = undefined;
    return subscription;
  }

  wants(topic: string): boolean {
    if (!this.#subscriptions?.size) return false;
    this.#wanted ??= new Map();
    const known = this.#wanted.get(topic);
    if (known !== undefined) return known;
    const wanted = this.#subscriptions.values().some(({ filter }) => filterTakes(filter, topic));
    if (this.#wanted.size >= wantedMax) this.#wanted.clear();
    this.#wanted.set(topic, wanted);
    return wanted;
  }

  deliver(message: OutboundMessage): Promise<Delivery> {
    const matching = [...this.subscriptions.values()].filter(
      ({ filter, share }) => share === undefined && filterTakes(filter, message.topic),
    );
    if (this.#ended) return Promise.resolve('session-ended');
    if (matching.length === 0) return Promise.resolve('not-subscribed');
    const { promise, resolve } = Promise.withResolvers<Delivery>();
    return this.#queue(message, matching, resolve) ? promise : Promise.resolve('queue-full');
  }

  offer(
    message: OutboundMessage,
    matching: readonly Subscription[],
    settled: (delivery: Delivery) => void,
  ): boolean {
    if (this.#ended) {
      queueMicrotask(() => settled('session-ended'));
      return true;
    }
    const taken = this.#queue(message, matching, settled);
    if (!taken) this.#refused = true;
    return taken;
  }

  #queue(
    message: OutboundMessage,
    matching: readonly Subscription[],
    settle: (delivery: Delivery) => void,
  ): boolean {
    let granted: 0 | 1 | 2 = 0;
    let asPublished = false;
    const identifiers: number[] = [];
    for (const { qos, retainAsPublished, identifier } of matching) {
      if (qos > granted) granted = qos;
      if (retainAsPublished) asPublished = true;
      if (identifier !== undefined && !identifiers.includes(identifier))
        identifiers.push(identifier);
    }
    this.#outbound ??= new OutboundFlow({
      queuedMax: this.#host.limits.outboundQueuedMax,
      queuedBytesMax: this.#host.limits.outboundQueuedBytesMax,
    });
    const offered = this.#outbound.offer({
      message,
      qos: message.qos < granted ? message.qos : granted,
      bytes: message.payload.length + message.topic.length,
      expiresAtMs: message.expiresAtMs,
      identifiers,
      retain: message.fromRetained === true || (message.retain === true && asPublished),
      settle,
    });
    if (offered) this.#pumpSoon();
    return offered;
  }

  /** After what was sent: who was refused may come again. */
  tellRoom(): void {
    if (!this.#refused || !this.#outbound?.hasRoom) return;
    this.#refused = false;
    this.#host.room(this);
  }

  /** In a later turn: what is offered together goes out together, and nothing settles within an `offer`. */
  #pumpSoon(): void {
    if (this.#pumping || !this.connection) return;
    this.#pumping = true;
    process.nextTick(() => {
      this.#pumping = false;
      this.connection?.pump();
    });
  }

  /** Calls one of the two once the state, as it is now, is saved; at once if nothing has to be. */
  keep(saved: () => void, failed: (error: unknown) => void): void {
    if (!this.durable) {
      saved();
      return;
    }
    this.#saves ??= new SaveGate(() => this.#host.save(this));
    this.#saves.ask(saved, failed);
  }

  kept(): Promise<void> {
    return new Promise((resolve, reject) => this.keep(resolve, reject));
  }

  state(): SessionState {
    return {
      subscriptions: [...this.subscriptions.values()],
      receivedIds: this.#inbox?.received() ?? [],
      inFlight: [...(this.#outbound?.flights() ?? [])].flatMap(inFlightOf),
    };
  }

  /** Takes up what another process kept. */
  restore({ subscriptions, receivedIds, inFlight }: SessionState): void {
    for (const subscription of subscriptions) this.subscribe(subscription);
    if (receivedIds.length > 0) this.inbox.restore(receivedIds);
    if (inFlight.length === 0) return;
    this.#outbound = new OutboundFlow({
      queuedMax: this.#host.limits.outboundQueuedMax,
      queuedBytesMax: this.#host.limits.outboundQueuedBytesMax,
    });
    const { subscriptions: known } = this;
    this.#outbound.restore(inFlight.map((each) => flightOf(each, known)));
  }

  disconnect(reasonCode: number, details?: DisconnectDetails): void {
    this.connection?.close(reasonCode, details);
  }

  abandon(reasonCode: number): void {
    this.#host.abandon(this, reasonCode);
  }

  end(): void {
    this.#ended = true;
    for (const entry of this.#outbound?.end() ?? []) entry.settle('session-ended');
  }
}

function inFlightOf({ packetId, entry, stage }: Flight<OutboundEntry>): InFlight[] {
  const { message, qos } = entry;
  if (qos === 0) return [];
  return stage === 'received'
    ? [{ packetId, stage, token: message.token }]
    : [{ packetId, stage: 'sent', message, qos }];
}

const nothing = Buffer.alloc(0);

/** Its owner learns by `state()` when it has ended: who offered it is gone. */
function flightOf(
  inFlight: InFlight,
  subscriptions: ReadonlyMap<string, Subscription>,
): Flight<OutboundEntry> {
  const { packetId, stage } = inFlight;
  const message: OutboundMessage =
    inFlight.stage === 'sent'
      ? inFlight.message
      : {
          topic: '',
          payload: nothing,
          qos: 2,
          ...(inFlight.token !== undefined && { token: inFlight.token }),
        };
  const matching = [...subscriptions.values()].filter(({ filter }) =>
    filterTakes(filter, message.topic),
  );
  const entry: OutboundEntry = {
    message,
    qos: (inFlight.stage === 'sent' && inFlight.qos) || 2,
    bytes: 0,
    expiresAtMs: message.expiresAtMs,
    identifiers: [...new Set(matching.flatMap(({ identifier }) => identifier ?? []))],
    retain:
      message.fromRetained === true ||
      (message.retain === true && matching.some((each) => each.retainAsPublished)),
    settle: () => undefined,
  };
  return { packetId, entry, stage };
}
