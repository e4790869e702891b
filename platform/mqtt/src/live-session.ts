import type { WillPacket } from './client-packets.ts';
import type { MqttLimits } from './limits.ts';
import type { Ticket } from './model/ack-queue.ts';
import { OutboundFlow, type Outgoing } from './model/outbound-flow.ts';
import { QosTwoInbox } from './model/qos-two-inbox.ts';
import { filterTakes } from './model/topic-filters.ts';
import type { Delivery, OutboundMessage, Session, Subscription } from './owner.ts';

export interface OutboundEntry extends Outgoing {
  readonly message: OutboundMessage;
  readonly identifiers: readonly number[];
  readonly retain: boolean;
  readonly settle: (delivery: Delivery) => void;
}

/** What a session needs of the connection that serves it. */
export interface SessionLink {
  /** There is something to send. */
  pump(): void;
  /** The ticket's message is settled; a ticket of another connection is not its business. */
  settled(ticket: Ticket, reasonCode: number): void;
  close(reasonCode: number): void;
}

const wantedMax = 10_000;

/** A session's state, which outlives its connections. */
export class LiveSession<Identity> implements Session<Identity> {
  readonly key: string;
  readonly clientId: string;
  readonly #subscriptions = new Map<string, Subscription>();
  /** Answers of `wants`, since the same topics come again and again. */
  readonly #wanted = new Map<string, boolean>();
  readonly inbox = new QosTwoInbox();
  readonly outbound: OutboundFlow<OutboundEntry>;
  identity: Identity;
  protocolVersion: 4 | 5 = 4;
  connection: SessionLink | undefined;
  expirySeconds = 0;
  /** When it is forgotten, while it has no connection. */
  endsAtMs: number | undefined;
  delayedWill: { readonly will: WillPacket; readonly atMs: number } | undefined;
  #ended = false;

  constructor(
    { key, clientId, identity }: { key: string; clientId: string; identity: Identity },
    limits: MqttLimits,
  ) {
    this.key = key;
    this.clientId = clientId;
    this.identity = identity;
    this.outbound = new OutboundFlow({
      queuedMax: limits.outboundQueuedMax,
      queuedBytesMax: limits.outboundQueuedBytesMax,
    });
  }

  get connected(): boolean {
    return this.connection !== undefined;
  }

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions;
  }

  subscribe(subscription: Subscription): void {
    this.#subscriptions.set(subscription.filter, subscription);
    this.#wanted.clear();
  }

  unsubscribe(filter: string): boolean {
    this.#wanted.clear();
    return this.#subscriptions.delete(filter);
  }

  wants(topic: string): boolean {
    if (this.#subscriptions.size === 0) return false;
    const known = this.#wanted.get(topic);
    if (known !== undefined) return known;
    const wanted = this.#subscriptions.keys().some((filter) => filterTakes(filter, topic));
    if (this.#wanted.size >= wantedMax) this.#wanted.clear();
    this.#wanted.set(topic, wanted);
    return wanted;
  }

  deliver(message: OutboundMessage): Promise<Delivery> {
    const matching = [...this.#subscriptions.values()].filter(({ filter }) =>
      filterTakes(filter, message.topic),
    );
    if (this.#ended) return Promise.resolve('session-ended');
    if (matching.length === 0) return Promise.resolve('not-subscribed');
    const granted = matching.some(({ qos }) => qos === 1) ? 1 : 0;
    const kept = message.retain === true && matching.some((each) => each.retainAsPublished);
    const { promise, resolve } = Promise.withResolvers<Delivery>();
    const offered = this.outbound.offer({
      message,
      qos: message.qos === 1 ? granted : 0,
      bytes: message.payload.length + message.topic.length,
      expiresAtMs: message.expiresAtMs,
      identifiers: matching.flatMap(({ identifier }) => identifier ?? []),
      retain: message.fromRetained === true || kept,
      settle: resolve,
    });
    if (!offered) return Promise.resolve('queue-full');
    this.connection?.pump();
    return promise;
  }

  disconnect(reasonCode: number): void {
    this.connection?.close(reasonCode);
  }

  end(): void {
    this.#ended = true;
    for (const entry of this.outbound.end()) entry.settle('session-ended');
  }
}

/** The packet of an entry; what is left of its time is told to the client. */
export function publishPacketOf(
  {
    entry,
    packetId,
    again,
  }: { entry: OutboundEntry; packetId: number | undefined; again: boolean },
  nowMs: number,
) {
  const { message, qos, retain, identifiers, expiresAtMs } = entry;
  return {
    cmd: 'publish' as const,
    topic: message.topic,
    payload: message.payload,
    qos,
    dup: again,
    retain,
    ...(packetId !== undefined && { messageId: packetId }),
    properties: {
      ...message.properties,
      ...(expiresAtMs !== undefined && {
        messageExpiryInterval: Math.max(1, Math.ceil((expiresAtMs - nowMs) / 1000)),
      }),
      ...(identifiers.length > 0 && { subscriptionIdentifier: [...identifiers] }),
    },
  };
}
