import { type BuildingId } from '@domicile/core/identities.ts';
import type { OutputRecord } from '@domicile/kafka/records.ts';
import {
  type Admission,
  type Closing,
  type ConnectRequest,
  type InboundMessage,
  MqttDisconnect,
  type MqttOwner,
  type OpenedSession,
  type OpenRequest,
  type Subscription,
} from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import type { BrokerSession, ClientIdentity, Peer } from '../admission/identity.ts';
import type { SessionKeeper, WillOrigin } from '../sessions/session-keeper.ts';
import type { MessageFeed } from './feed.ts';
import { recordOf } from './message-record.ts';
import type { RetainedStore } from './retained-store.ts';
import type { SystemTopics } from './system-topics.ts';

/** Keeps sessions where every replica finds them. */
export type OpenSessions = Pick<
  SessionKeeper,
  'open' | 'opened' | 'save' | 'closed' | 'ended' | 'willTaken' | 'tracked' | 'isCurrent'
>;

/** Keeps a QoS 2 message and its packet id, both or neither. Resolves with the offset of each record. */
export interface QosTwoKeeper {
  write(
    session: BrokerSession,
    message: { readonly packetId: number; readonly records: readonly OutputRecord[] },
  ): Promise<readonly bigint[]>;
}

export interface OpenBrokerEvents {
  messageAcked(stream: string, sinceReceiptSeconds: number): void;
  messageRefused(building: string, reasonCode: number): void;
  messageNotKept(building: string, error: unknown): void;
  clientOpened(building: string, client: string, resumed: boolean): void;
  clientClosed(building: string, client: string, reasonCode: number): void;
  clientRefused(reasonCode: number): void;
}

export interface OpenBrokerOptions {
  readonly feed: MessageFeed<ClientIdentity>;
  readonly sessions: OpenSessions;
  readonly retained: RetainedStore;
  readonly system: SystemTopics;
  /** Kafka topic of the messages. */
  readonly kafkaTopic: string;
  readonly write: (record: OutputRecord) => Promise<{ readonly offset: bigint }>;
  /** Absent: a QoS 2 message is kept as others are. */
  readonly qosTwo?: QosTwoKeeper;
  readonly events: OpenBrokerEvents;
  /** Stands for the whole cell, as the building of its clients. */
  readonly cell: BuildingId;
}

/** Decides for the MQTT server where any client may use any topic of the cell. */
export class OpenBroker implements MqttOwner<ClientIdentity, Peer> {
  readonly #options: OpenBrokerOptions;
  readonly #identity: ClientIdentity;
  received = 0;

  constructor(options: OpenBrokerOptions) {
    this.#options = options;
    const { cell } = options;
    this.#identity = { building: cell, gateway: undefined, key: Buffer.from(cell) };
  }

  async authenticate({ clientId, will }: ConnectRequest): Promise<Admission<ClientIdentity>> {
    return will && refusalOf(will.topic) !== undefined
      ? { admitted: false, reasonCode: reason.topicNameInvalid }
      : { admitted: true, key: clientId, identity: this.#identity };
  }

  open(request: OpenRequest<ClientIdentity>): Promise<OpenedSession | number> {
    return this.#options.sessions.open(request);
  }

  save(session: BrokerSession): Promise<void> {
    return this.#options.sessions.save(session);
  }

  async publish(session: BrokerSession, message: InboundMessage): Promise<number> {
    this.received += 1;
    const { qosTwo } = this.#options;
    const { qos, packetId } = message;
    const write =
      qosTwo && qos === 2 && packetId !== undefined
        ? async (record: OutputRecord) => {
            const [offset = 0n] = await qosTwo.write(session, { packetId, records: [record] });
            return offset;
          }
        : (record: OutputRecord) => this.#write(record);
    const { sessions } = this.#options;
    if (!sessions.isCurrent(session)) {
      throw new MqttDisconnect(reason.sessionTakenOver, 'Another replica has the session');
    }
    return sessions.tracked(session, this.#publish(session, message, write));
  }

  will(session: BrokerSession, message: InboundMessage): void {
    const published = this.publishWill(session, message);
    this.#options.sessions.willTaken(session, published);
    // It stays with the session, and is published when the session's next owner finds it.
    published.catch(() => undefined);
  }

  /** Resolves when it is kept, or refused for good. */
  async publishWill(origin: WillOrigin, message: InboundMessage): Promise<void> {
    await this.#publish(origin, message, (record) => this.#write(record));
  }

  async subscribe(session: BrokerSession, asked: Subscription): Promise<number> {
    try {
      await this.#options.feed.subscribe(session, asked);
      return asked.qos;
    } catch (error) {
      this.#options.events.messageNotKept(session.identity.building, error);
      return reason.unspecified;
    }
  }

  subscribed(session: BrokerSession, subscription: Subscription, isNew: boolean): void {
    const { feed, system } = this.#options;
    system.deliver(session, subscription);
    feed.subscribed(session, subscription, isNew);
  }

  unsubscribed(session: BrokerSession, subscription: Subscription): void {
    this.#options.feed.unsubscribed(session, subscription);
  }

  room(session: BrokerSession): void {
    this.#options.feed.room(session);
  }

  opened(session: BrokerSession, resumed: boolean): void {
    const { feed, sessions, events } = this.#options;
    sessions.opened(session);
    feed.opened(session);
    events.clientOpened(session.identity.building, session.clientId, resumed);
  }

  closed(session: BrokerSession, why: Closing): void {
    const { feed, sessions, events, system } = this.#options;
    feed.closed(session);
    system.forget(session);
    sessions.closed(session, why);
    events.clientClosed(session.identity.building, session.clientId, why.reasonCode);
  }

  ended(session: BrokerSession): void {
    const { feed, sessions } = this.#options;
    sessions.ended(session);
    feed.ended(session);
  }

  refused(reasonCode: number): void {
    this.#options.events.clientRefused(reasonCode);
  }

  async #publish(
    { key, identity }: WillOrigin,
    message: InboundMessage,
    write: (record: OutputRecord) => Promise<bigint>,
  ): Promise<number> {
    const { events, kafkaTopic, retained } = this.#options;
    const fromMs = performance.now();
    const refusal =
      refusalOf(message.topic) ??
      (message.retain && !retained.takes(message.topic, message.payload)
        ? reason.quotaExceeded
        : undefined);
    if (refusal !== undefined) {
      events.messageRefused(identity.building, refusal);
      return refusal;
    }
    const record = recordOf(message, { kafkaTopic, publisher: key, receivedAtMs: Date.now() });
    try {
      const offset = await write(record);
      if (message.retain) await retained.write(record, offset);
    } catch (error) {
      events.messageNotKept(identity.building, error);
      throw new MqttDisconnect(reason.serverBusy, 'Kafka did not take it', { cause: error });
    }
    events.messageAcked('mqtt-messages', (performance.now() - fromMs) / 1000);
    return reason.success;
  }

  async #write(record: OutputRecord): Promise<bigint> {
    return (await this.#options.write(record)).offset;
  }
}

/** Topics that begin with `$` are the broker's own. */
function refusalOf(topic: string): number | undefined {
  return topic.startsWith('$') ? reason.topicNameInvalid : undefined;
}
