import type { DeviceStatusRecord } from '@domicile/core/device-status.ts';
import type { BuildingId } from '@domicile/core/identities.ts';
import { filterStaysIn } from '@domicile/core/topics.ts';
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
import type { Gatekeeper } from './admission/gatekeeper.ts';
import type { BrokerSession, ClientIdentity, Peer } from './admission/identity.ts';
import { BuildingDesk } from './building-desk.ts';
import type { BrokerEvents } from './events.ts';
import { gapTopic, type MessageFeed } from './messages/feed.ts';
import type { CommandBook, PendingCommand } from './model/command-book.ts';
import { publicationOf, type Publication, publicationTo } from './model/publication.ts';
import type { RegistryView } from './model/registry-view.ts';
import type { SessionKeeper, WillOrigin } from './sessions/session-keeper.ts';
import type { StreamWriter } from './stream-writer.ts';

export interface BrokerOptions {
  readonly gatekeeper: Gatekeeper;
  readonly registry: RegistryView;
  readonly commands: CommandBook;
  readonly sessions: SessionKeeper;
  readonly feed: MessageFeed<ClientIdentity>;
  readonly writer: Pick<StreamWriter, 'write'>;
  readonly events: BrokerEvents;
  /** A deliberate fault: acks before Kafka has the message. */
  readonly acksEarly: boolean;
}

const failureFrom = 0x80;

/** Decides for the MQTT server: who may connect, what a message becomes, and when it is kept. */
export class Broker implements MqttOwner<ClientIdentity, Peer> {
  readonly #options: BrokerOptions;
  readonly #desks = new Map<string, BuildingDesk>();

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  async authenticate(request: ConnectRequest, peer: Peer): Promise<Admission<ClientIdentity>> {
    const admission = await this.#options.gatekeeper.authenticate(request, peer);
    if (!admission.admitted) return admission;
    const { building } = admission.identity;
    const { will } = request;
    const willed = will ? publicationOf(will, building, Date.now()) : 0;
    return typeof willed === 'number' && willed >= failureFrom
      ? { admitted: false, reasonCode: willed }
      : admission;
  }

  open(request: OpenRequest<ClientIdentity>): Promise<OpenedSession | number> {
    return this.#options.sessions.open(request);
  }

  save(session: BrokerSession): Promise<void> {
    return this.#options.sessions.save(session);
  }

  async publish(session: BrokerSession, message: InboundMessage): Promise<number> {
    const { events, acksEarly, gatekeeper, sessions } = this.#options;
    const fromMs = performance.now();
    const receivedAtMs = Date.now();
    const { building } = session.identity;
    const publication = this.#publicationOf(session, message, receivedAtMs);
    const isRefused = typeof publication === 'number';
    gatekeeper.took(session, {
      device: isRefused ? session.clientId : publication.device,
      bytes: message.payload.length,
      qos: message.qos,
    });
    if (isRefused) {
      events.messageRefused(building, publication);
      return publication;
    }
    if (acksEarly) {
      this.#write(session, publication, receivedAtMs).catch((error: unknown) =>
        events.messageNotKept(building, error),
      );
      return reason.success;
    }
    if (!sessions.isCurrent(session)) {
      throw new MqttDisconnect(reason.sessionTakenOver, 'Another replica has the session');
    }
    const bytes = message.payload.length;
    gatekeeper.began(session, bytes);
    let offset: bigint;
    try {
      const written = this.#write(session, publication, receivedAtMs);
      ({ offset } = await sessions.tracked(session, written));
    } catch (error) {
      events.messageNotKept(building, error);
      throw new MqttDisconnect(reason.serverBusy, 'Kafka did not take it', { cause: error });
    } finally {
      gatekeeper.settled(session, bytes);
    }
    events.messageAcked(publication.stream, (performance.now() - fromMs) / 1000);
    if (publication.status) this.statusKept(publication.status, offset);
    return reason.success;
  }

  will(session: BrokerSession, message: InboundMessage): void {
    const published = this.publishWill(session, message);
    this.#options.sessions.willTaken(session, published);
    // It stays with the session, and is published when the session's next owner finds it.
    published.catch(() => undefined);
  }

  /** Resolves when it is kept, or refused for good. */
  async publishWill(origin: WillOrigin, message: InboundMessage): Promise<void> {
    const { events } = this.#options;
    const receivedAtMs = Date.now();
    const { building } = origin.identity;
    const publication = this.#publicationOf(origin, message, receivedAtMs);
    if (typeof publication === 'number') {
      events.messageRefused(building, publication);
      return;
    }
    let offset: bigint;
    try {
      ({ offset } = await this.#write(origin, publication, receivedAtMs));
    } catch (error) {
      events.messageNotKept(building, error);
      throw error;
    }
    if (publication.status) this.statusKept(publication.status, offset);
  }

  async subscribe(session: BrokerSession, asked: Subscription): Promise<number> {
    const { feed, gatekeeper, events } = this.#options;
    const { building } = session.identity;
    const refused = gatekeeper.subscribing(session, asked);
    if (refused !== undefined) return refused;
    if (!filterStaysIn(asked.filter, building) && asked.name !== gapTopic)
      return reason.notAuthorized;
    try {
      await feed.subscribe(session, asked);
      return asked.qos;
    } catch (error) {
      events.subscriptionFailed(building, error);
      return reason.unspecified;
    }
  }

  subscribed(session: BrokerSession, subscription: Subscription, isNew: boolean): void {
    const { share, filter, retainHandling } = subscription;
    const desk = this.#desk(session.identity.building);
    const wantsRetained = retainHandling === 0 || (retainHandling === 1 && isNew);
    if (share === undefined && wantsRetained) desk.sendStatuses(session, filter);
    this.#options.feed.subscribed(session, subscription, isNew);
    this.#sendCommands(session);
  }

  unsubscribed(session: BrokerSession, subscription: Subscription): void {
    this.#options.feed.unsubscribed(session, subscription);
  }

  room(session: BrokerSession): void {
    this.#options.feed.room(session);
  }

  opened(session: BrokerSession, resumed: boolean): void {
    const { building } = session.identity;
    const desk = this.#desk(building);
    this.#options.sessions.opened(session);
    this.#options.feed.opened(session);
    desk.sessions.add(session);
    this.#options.events.clientOpened(building, session.clientId, resumed);
    this.#options.gatekeeper.opened(session);
    if (resumed) this.#sendCommands(session);
  }

  closed(session: BrokerSession, why: Closing): void {
    const { building } = session.identity;
    this.#options.events.clientClosed(building, session.clientId, why.reasonCode);
    this.#options.gatekeeper.closed(session);
    this.#options.feed.closed(session);
    this.#options.sessions.closed(session, why);
  }

  ended(session: BrokerSession): void {
    this.#desk(session.identity.building).sessions.delete(session);
    this.#options.gatekeeper.ended(session);
    this.#options.sessions.ended(session);
    this.#options.feed.ended(session);
  }

  holdMs(session: BrokerSession, bytes: number): number {
    return this.#options.gatekeeper.holdMs(session, bytes);
  }

  refused(reasonCode: number): void {
    this.#options.events.clientRefused(reasonCode);
  }

  commandAccepted(command: PendingCommand): void {
    const desk = this.#desks.get(command.record.building);
    for (const session of desk?.sessions ?? []) void desk?.sendCommand(session, command);
  }

  /** A status stands in its stream at `offset`, written here or by another. */
  statusKept(record: DeviceStatusRecord, offset: bigint): void {
    const registered = this.#options.registry.active(record.building);
    if (!registered) return;
    this.#desk(registered.id).statuses.note(record, offset);
  }

  #sendCommands(session: BrokerSession): void {
    const { building } = session.identity;
    const commands = this.#options.commands.pendingOf(building, Date.now());
    this.#desk(building).sendCommands(session, commands);
  }

  #publicationOf(
    { identity }: WillOrigin,
    message: InboundMessage,
    receivedAtMs: number,
  ): Publication | number {
    const desk = this.#desk(identity.building);
    const topic = desk.topicOf(message.topic);
    if (typeof topic === 'number') return topic;
    return publicationTo(topic, message.payload, receivedAtMs);
  }

  #write(
    { identity, clientId }: WillOrigin,
    publication: Publication,
    receivedAtMs: number,
  ): Promise<{ readonly offset: bigint }> {
    const { registry, writer } = this.#options;
    const registered = registry.active(identity.building);
    if (!registered) return Promise.reject(new MqttDisconnect(reason.notAuthorized, 'Offboarded'));
    const { offset: registryOffset } = registered;
    const origin = { key: identity.key, client: clientId, registryOffset, receivedAtMs };
    return writer.write(publication, origin);
  }

  #desk(building: BuildingId): BuildingDesk {
    const known = this.#desks.get(building);
    if (known) return known;
    const desk = new BuildingDesk(this.#options.events, building);
    this.#desks.set(building, desk);
    return desk;
  }
}
