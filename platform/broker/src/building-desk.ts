import type { BuildingId } from '@domicile/core/identities.ts';
import type { Topic } from '@domicile/core/topics.ts';
import { devicesPerBuildingMax } from '@domicile/core/values.ts';
import type { OutboundMessage, Session } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import type { BrokerEvents } from './events.ts';
import type { PendingCommand } from './model/command-book.ts';
import { publishableTopic } from './model/publication.ts';
import { RetainedStatuses } from './model/retained-statuses.ts';
import { TokenBucket } from './model/token-bucket.ts';

/** Who is connected: the building, and the gateway of its certificate if it has one. */
export interface ClientIdentity {
  readonly building: BuildingId;
  readonly gateway: string | undefined;
  /** The building's id as bytes, which is the key of what it sends. */
  readonly key: Buffer;
}

export type BrokerSession = Session<ClientIdentity>;

/** Topics that a building has published to lately and that are therefore known to be right. */
const knownTopicsMax = 20_000;

/** What the broker holds of one building: its sessions, its rate, its statuses. */
export class BuildingDesk {
  readonly statuses = new RetainedStatuses(devicesPerBuildingMax + 1);
  readonly sessions = new Set<BrokerSession>();
  readonly #bucket: TokenBucket;
  readonly #events: BrokerEvents;
  /** Commands that a session has queued or in flight, so that none goes out twice at once. */
  readonly #sending = new WeakMap<BrokerSession, Set<string>>();
  readonly #topics = new Map<string, Topic>();
  readonly #building: BuildingId;
  connections = 0;

  constructor(
    building: BuildingId,
    events: BrokerEvents,
    { messagesPerSecond }: { messagesPerSecond: number },
  ) {
    this.#building = building;
    this.#events = events;
    this.#bucket = new TokenBucket({
      perSecond: messagesPerSecond,
      burst: 2 * messagesPerSecond,
      nowMs: Date.now(),
    });
  }

  /** A topic to which the building may publish, or the reason code that refuses it. */
  topicOf(text: string): Topic | number {
    const known = this.#topics.get(text);
    if (known) return known;
    const topic = publishableTopic(text, this.#building);
    if (typeof topic === 'number') return topic;
    if (this.#topics.size >= knownTopicsMax) this.#topics.clear();
    this.#topics.set(text, topic);
    return topic;
  }

  /** Milliseconds to wait before this building is read from again. */
  holdMs(): number {
    const holdMs = this.#bucket.take(Date.now());
    if (holdMs > 0) this.#events.buildingHeld();
    return holdMs;
  }

  wants(topic: string): boolean {
    for (const session of this.sessions) if (session.wants(topic)) return true;
    return false;
  }

  /** To all sessions that want the topic, but not to who sent it if it asked so. */
  spread(message: OutboundMessage, kind: 'status' | 'message', from?: BrokerSession): void {
    for (const session of this.sessions) {
      if (!session.wants(message.topic)) continue;
      if (session === from && hasNoLocal(session)) continue;
      void this.#deliver(session, message, kind);
    }
  }

  sendStatuses(session: BrokerSession): void {
    for (const { topic, payload } of this.statuses.all()) {
      const message = { topic, payload, qos: 1, fromRetained: true } as const;
      if (session.wants(topic)) void this.#deliver(session, message, 'status');
    }
  }

  sendCommand(session: BrokerSession, command: PendingCommand): void {
    const { id, building, device, set, expiresAt } = command.record;
    const topic = `v1/${building}/${device}/commands/${id}`;
    const sending = this.#sending.get(session) ?? new Set();
    if (sending.has(id) || !session.wants(topic)) return;
    this.#sending.set(session, sending.add(id));
    const message = {
      topic,
      payload: Buffer.from(JSON.stringify({ id, set, expiresAt })),
      qos: 1,
      expiresAtMs: command.expiresAtMs,
    } as const;
    void this.#deliver(session, message, 'command').then(() => sending.delete(id));
  }

  async #deliver(
    session: BrokerSession,
    message: OutboundMessage,
    kind: 'command' | 'status' | 'message',
  ): Promise<void> {
    const delivery = await session.deliver(message);
    this.#events.delivered(kind, delivery);
    // Its gaps would be silent: it is told, and commands and statuses come again when it is back.
    if (delivery === 'queue-full') session.disconnect(reason.quotaExceeded);
  }
}

function hasNoLocal(session: BrokerSession): boolean {
  return session.subscriptions.values().some(({ noLocal }) => noLocal);
}
