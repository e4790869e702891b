import type { PublishPacket } from './client-packets.ts';
import type { ConnectionParts } from './connection-parts.ts';
import type { LiveSession } from './live-session.ts';
import { AckQueue, type Ticket } from './model/ack-queue.ts';
import { TopicAliases } from './model/topic-aliases.ts';
import { type InboundMessage, MqttDisconnect } from './owner.ts';
import { PacketFault, protocolError } from './packet-fault.ts';
import { ackBytes, encodeAck } from './packets/acks.ts';
import { failureFrom, reason } from './reason-codes.ts';
import { isTopicName } from './topic-filters.ts';

/** What an unsettled message takes beside its payload, about. */
const messageOverheadBytes = 512;

/** What a client publishes: handed to the owner, counted against the bounds, acked in order. */
export class Inbound<Identity, Peer> {
  readonly #parts: ConnectionParts<Identity, Peer>;
  readonly #acks = new AckQueue();
  readonly #awaitingRelease = new Set<number>();
  readonly #aliases: TopicAliases;
  /** The topic of the message before, mostly the same again, and right. */
  #rightTopic: string | undefined;
  #pending = 0;
  #pendingBytes = 0;

  constructor(parts: ConnectionParts<Identity, Peer>) {
    this.#parts = parts;
    this.#aliases = new TopicAliases(parts.host.limits.topicAliasMax);
  }

  /** Messages that the owner has not settled. */
  get pending(): number {
    return this.#pending;
  }

  /** Nothing more is read before some of it is settled. */
  get isFull(): boolean {
    const { inFlightMax, inFlightBytesMax } = this.#parts.host.limits;
    return (
      this.#pendingBytes >= inFlightBytesMax ||
      this.#pending >= inFlightMax ||
      this.#acks.size >= inFlightMax
    );
  }

  publish(session: LiveSession<Identity>, packet: PublishPacket): void {
    const { limits, owner } = this.#parts.host;
    this.#check(packet);
    const topic = this.#topicOf(packet);
    const message: InboundMessage = topic === packet.topic ? packet : { ...packet, topic };
    const ticket = this.#ticketOf(packet);
    if (packet.qos === 2 && ticket) {
      if (session.inbox.size >= limits.qosTwoIdsMax) {
        throw new PacketFault(reason.quotaExceeded, 'Too many QoS 2 packet ids are in use');
      }
      const arrived = session.inbox.arrive(ticket);
      if (arrived === 'received') this.settled(ticket, reason.success);
      if (arrived !== 'publish') return;
    }
    if (this.#isRight(topic)) void this.#hand(session, message, ticket);
    else this.#settle(session, ticket, reason.topicNameInvalid);
    const holdMs = owner.holdMs?.(session, packet.payload.length) ?? 0;
    if (holdMs > 0) this.#parts.hold(holdMs);
  }

  #check({ qos, retain }: PublishPacket): void {
    const { limits, features } = this.#parts.host;
    if (qos > features.qosMax) {
      throw new PacketFault(reason.qosNotSupported, `The highest QoS is ${features.qosMax}`);
    }
    if (retain && !features.retain) {
      throw new PacketFault(reason.retainNotSupported, 'Retained messages are not served');
    }
    if (this.#parts.client.protocolVersion === 4 || qos === 0) return;
    if (this.#acks.size + this.#awaitingRelease.size >= limits.receiveMaximum) {
      const why = `More than ${limits.receiveMaximum} messages are in flight`;
      throw new PacketFault(reason.receiveMaximumExceeded, why);
    }
  }

  #topicOf({ topic: given, topicAlias }: PublishPacket): string {
    const topic = this.#aliases.resolve(given, topicAlias);
    if (typeof topic === 'number') throw new PacketFault(topic, 'The topic alias is not known');
    if (topic !== this.#rightTopic && (topic === '' || /[+#]/.test(topic))) {
      throw new PacketFault(reason.topicNameInvalid, 'The topic is empty or holds a wildcard');
    }
    return topic;
  }

  #isRight(topic: string): boolean {
    if (topic === this.#rightTopic) return true;
    if (!isTopicName(topic, this.#parts.host.limits.topicLevelsMax)) return false;
    this.#rightTopic = topic;
    return true;
  }

  #ticketOf({ qos, packetId }: PublishPacket): Ticket | undefined {
    return qos === 0 || packetId === undefined ? undefined : this.#acks.arrive(packetId, qos);
  }

  async #hand(
    session: LiveSession<Identity>,
    message: InboundMessage,
    ticket: Ticket | undefined,
  ): Promise<void> {
    const { host } = this.#parts;
    const bytes = message.payload.length + messageOverheadBytes;
    this.#pending += 1;
    this.#pendingBytes += bytes;
    host.pendingBytes += bytes;
    try {
      const reasonCode = await host.owner.publish(session, message);
      this.#settle(session, ticket, reasonCode ?? reason.success);
    } catch (error) {
      this.#fail(session, ticket, error);
    } finally {
      this.#pending -= 1;
      this.#pendingBytes -= bytes;
      host.pendingBytes -= bytes;
    }
    const [starved] = host.starved;
    if (starved) {
      host.starved.delete(starved);
      starved.goOn();
    }
    this.#parts.goOn();
  }

  /** A message is accepted or refused; what has no ack for a refusal ends the connection. */
  #settle(session: LiveSession<Identity>, ticket: Ticket | undefined, reasonCode: number): void {
    const refused = reasonCode >= failureFrom;
    if (!ticket) {
      if (refused) this.#parts.close(reasonCode);
      return;
    }
    const silent = refused && this.#parts.client.protocolVersion === 4;
    const tickets = ticket.qos === 1 ? [ticket] : session.inbox.settle(ticket.packetId, !refused);
    for (const each of tickets) {
      const link = each.queue === this.#acks ? this : session.connection;
      if (!silent) link?.settled(each, reasonCode);
      else if (link === this) this.#parts.close(reasonCode);
      else session.connection?.close(reasonCode);
    }
  }

  #fail(session: LiveSession<Identity>, ticket: Ticket | undefined, error: unknown): void {
    const code = error instanceof MqttDisconnect ? error.reasonCode : reason.unspecified;
    const waiting = ticket?.qos === 2 ? session.inbox.settle(ticket.packetId, false) : [];
    this.#parts.close(code);
    if (waiting.some(({ queue }) => queue !== this.#acks)) session.connection?.close(code);
  }

  settled(ticket: Ticket, reasonCode: number): void {
    if (ticket.queue !== this.#acks || this.#parts.gone) return;
    for (const { packetId, qos, reasonCode: code = 0 } of this.#acks.settle(ticket, reasonCode)) {
      if (qos === 2 && code < failureFrom) this.#awaitingRelease.add(packetId);
      this.#ack(qos === 1 ? ackBytes.puback : ackBytes.pubrec, packetId, code);
    }
  }

  /** PUBREL. */
  release(session: LiveSession<Identity>, packetId: number): void {
    const { inbox } = session;
    const released = inbox.release(packetId);
    if (released === 'pending') throw protocolError('A PUBREL before its PUBREC');
    if (released === 'unknown') {
      this.#ack(ackBytes.pubcomp, packetId, reason.packetIdNotFound);
      return;
    }
    session.keep(
      () => {
        inbox.released(packetId);
        this.#awaitingRelease.delete(packetId);
        if (!this.#parts.gone) this.#ack(ackBytes.pubcomp, packetId, reason.success);
      },
      (error) => {
        inbox.keep(packetId);
        this.#parts.notSaved(error);
      },
    );
  }

  #ack(firstByte: number, packetId: number, reasonCode: number): void {
    const { writer, client } = this.#parts;
    const isPlain = reasonCode === reason.success || client.protocolVersion === 4;
    if (isPlain) writer.writeAck(firstByte, packetId);
    else writer.write(encodeAck(firstByte, packetId, reasonCode));
  }
}
