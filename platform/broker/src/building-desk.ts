import type { BuildingId } from '@domicile/core/identities.ts';
import { filterMatches, type Topic } from '@domicile/core/topics.ts';
import { devicesPerBuildingMax } from '@domicile/core/values.ts';
import type { Delivery, OutboundMessage } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import type { BrokerSession } from './admission/identity.ts';
import type { BrokerEvents } from './events.ts';
import type { PendingCommand } from './model/command-book.ts';
import { publishableTopic } from './model/publication.ts';
import { type RetainedStatus, RetainedStatuses } from './model/retained-statuses.ts';

/** Topics that a building has published to lately and that are therefore known to be right. */
const knownTopicsMax = 20_000;

/** What the broker holds of one building: its sessions and its statuses. */
export class BuildingDesk {
  readonly statuses = new RetainedStatuses(devicesPerBuildingMax + 1);
  readonly sessions = new Set<BrokerSession>();
  readonly #events: BrokerEvents;
  /** Commands that a session has queued or in flight, so that none goes out twice at once. */
  readonly #sending = new WeakMap<BrokerSession, Set<string>>();
  /** What goes to a session a few at a time ends with this. */
  readonly #inTurn = new WeakMap<BrokerSession, Promise<void>>();
  readonly #topics = new Map<string, Topic>();
  readonly #building: BuildingId;

  constructor(events: BrokerEvents, building: BuildingId) {
    this.#building = building;
    this.#events = events;
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

  /** What is retained under the filter of a subscription, a few at a time: there may be thousands. */
  sendStatuses(session: BrokerSession, filter: string): void {
    const wanted = [...this.statuses.all()].filter(({ topic }) => filterMatches(filter, topic));
    // As it is when its turn comes: a newer one may have reached the subscriber, and must be its last word.
    const deliver = async ({ device }: RetainedStatus): Promise<Delivery> => {
      const status = this.statuses.get(device);
      if (!status) return 'not-subscribed';
      const { topic, payload } = status;
      return this.#deliver(session, { topic, payload, qos: 1, fromRetained: true }, 'status');
    };
    this.#sendInTurn(
      session,
      wanted.map((status) => () => deliver(status)),
    );
  }

  sendCommands(session: BrokerSession, commands: readonly PendingCommand[]): void {
    this.#sendInTurn(
      session,
      commands.map((command) => () => this.sendCommand(session, command)),
    );
  }

  async sendCommand(
    session: BrokerSession,
    { record, expiresAtMs }: PendingCommand,
  ): Promise<Delivery> {
    const { id, building, device, set, expiresAt, acceptedAtMs } = record;
    const topic = `v1/${building}/${device}/commands/${id}`;
    const sending = this.#sending.get(session) ?? new Set();
    if (sending.has(id) || !session.wants(topic)) return 'not-subscribed';
    this.#sending.set(session, sending.add(id));
    const payload = Buffer.from(JSON.stringify({ id, set, expiresAt, acceptedAt: acceptedAtMs }));
    try {
      return await this.#deliver(session, { topic, payload, qos: 1, expiresAtMs }, 'command');
    } finally {
      sending.delete(id);
    }
  }

  #sendInTurn(session: BrokerSession, sends: readonly (() => Promise<Delivery>)[]): void {
    if (sends.length === 0) return;
    const before = this.#inTurn.get(session) ?? Promise.resolve();
    this.#inTurn.set(session, sendAfter(before, sends));
  }

  async #deliver(
    session: BrokerSession,
    message: OutboundMessage,
    kind: 'command' | 'status',
  ): Promise<Delivery> {
    const delivery = await session.deliver(message);
    this.#events.delivered(kind, delivery);
    // Its gaps would be silent: it is told, and commands and statuses come again when it is back.
    if (delivery === 'queue-full') session.disconnect(reason.quotaExceeded);
    return delivery;
  }
}

/** At a time to one session, of what is retained or pending; far below what its queue takes. */
const inTurnMax = 50;

async function sendAfter(
  before: Promise<void>,
  sends: readonly (() => Promise<Delivery>)[],
): Promise<void> {
  await before;
  for (let from = 0; from < sends.length; from += inTurnMax) {
    const batch = sends.slice(from, from + inTurnMax);
    const deliveries = await Promise.all(batch.map((send) => send()));
    if (deliveries.includes('session-ended') || deliveries.includes('queue-full')) return;
  }
}
