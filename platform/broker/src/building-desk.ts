import type { BuildingId } from '@domicile/core/identities.ts';
import { devicesPerBuildingMax } from '@domicile/core/values.ts';
import type { OutboundMessage, Session } from '@domicile/mqtt/owner.ts';
import type { BrokerEvents } from './events.ts';
import type { PendingCommand } from './model/command-book.ts';
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

/** What the broker holds of one building: its sessions, its rate, its statuses. */
export class BuildingDesk {
  readonly statuses = new RetainedStatuses(devicesPerBuildingMax + 1);
  readonly sessions = new Set<BrokerSession>();
  readonly #bucket: TokenBucket;
  readonly #events: BrokerEvents;
  /** Commands that a session has queued or in flight, so that none goes out twice at once. */
  readonly #sending = new WeakMap<BrokerSession, Set<string>>();
  connections = 0;

  constructor(events: BrokerEvents, { messagesPerSecond }: { messagesPerSecond: number }) {
    this.#events = events;
    this.#bucket = new TokenBucket({
      perSecond: messagesPerSecond,
      burst: 2 * messagesPerSecond,
      nowMs: Date.now(),
    });
  }

  /** Milliseconds to wait before this building is read from again. */
  holdMs(): number {
    const holdMs = this.#bucket.take(Date.now());
    if (holdMs > 0) this.#events.buildingHeld();
    return holdMs;
  }

  /** To all sessions that want the topic, but not to who sent it if it asked so. */
  spread(message: OutboundMessage, kind: 'status' | 'message', from?: BrokerSession): void {
    for (const session of this.sessions) {
      if (session === from && hasNoLocal(session)) continue;
      if (session.wants(message.topic)) void this.#deliver(session, message, kind);
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
    this.#events.delivered(kind, await session.deliver(message));
  }
}

function hasNoLocal(session: BrokerSession): boolean {
  return session.subscriptions.values().some(({ noLocal }) => noLocal);
}
