import type { AckPacket } from './client-packets.ts';
import type { ConnectionParts } from './connection-parts.ts';
import type { LiveSession, OutboundEntry } from './live-session.ts';
import { OutboundAliases } from './model/outbound-aliases.ts';
import type { AckFault, OutboundStep } from './model/outbound-flow.ts';
import { protocolError } from './packet-fault.ts';
import { ackBytes, encodeAck } from './packets/acks.ts';
import { encodePublish } from './packets/publish.ts';
import { failureFrom, reason } from './reason-codes.ts';

type SendStep = Extract<OutboundStep<OutboundEntry>, { do: 'send' }>;

/** What goes to a client: sent as its receive maximum, its packet size and its socket allow, and its acks. */
export class Outbound<Identity, Peer> {
  readonly #parts: ConnectionParts<Identity, Peer>;
  #aliases: OutboundAliases | undefined;

  constructor(parts: ConnectionParts<Identity, Peer>) {
    this.#parts = parts;
  }

  pump(session: LiveSession<Identity>): void {
    const { outbound } = session;
    if (!outbound) return;
    const { host, client, writer } = this.#parts;
    const receiveMaximum = Math.min(client.receiveMaximum, host.limits.outboundInFlightMax);
    while (!writer.stalled && !this.#parts.gone) {
      const { durable } = session;
      const step = outbound.next({ nowMs: host.clock(), receiveMaximum, durable });
      if (!step) break;
      this.#do(session, step);
    }
    session.tellRoom();
  }

  #do(session: LiveSession<Identity>, step: OutboundStep<OutboundEntry>): void {
    switch (step.do) {
      case 'drop':
        step.entry.settle('expired');
        return;
      case 'send':
        this.#send(session, step);
        return;
      case 'release':
        this.#parts.writer.writeAck(ackBytes.pubrel, step.packetId);
        return;
      case 'save':
        session.keep(
          () => {
            session.outbound?.saved(step.flights);
            session.connection?.pump();
          },
          (error) => this.#parts.notSaved(error),
        );
    }
  }

  #send(session: LiveSession<Identity>, { entry, packetId, again }: SendStep): void {
    const { client, host, writer } = this.#parts;
    const { message, qos, retain, identifiers, expiresAtMs } = entry;
    const named = this.#named(message.topic);
    const bytes = encodePublish(
      {
        topic: named.topic,
        topicAlias: named.alias,
        payload: message.payload,
        qos,
        dup: again,
        retain,
        packetId,
        identifiers,
        expirySeconds:
          expiresAtMs === undefined
            ? undefined
            : Math.max(1, Math.ceil((expiresAtMs - host.clock()) / 1000)),
        properties: message.properties,
      },
      client.protocolVersion,
    );
    if (bytes.length > client.packetBytesMax) {
      this.#aliases?.forget(message.topic);
      if (packetId !== undefined) session.outbound?.dropped(packetId);
      entry.settle('too-large');
      return;
    }
    writer.write(bytes);
    if (packetId === undefined) entry.settle('sent');
  }

  #named(topic: string): { readonly topic: string; readonly alias: number | undefined } {
    const max = Math.min(this.#parts.client.topicAliasMax, this.#parts.host.limits.topicAliasMax);
    if (max === 0) return { topic, alias: undefined };
    this.#aliases ??= new OutboundAliases(max);
    return this.#aliases.of(topic);
  }

  /** PUBACK, PUBREC and PUBCOMP of the client. */
  acked(session: LiveSession<Identity>, { type, packetId, reasonCode }: AckPacket): void {
    const { outbound } = session;
    if (type === 'puback') this.#ended(session, outbound?.acked(packetId), reasonCode);
    else if (type === 'pubcomp') {
      this.#ended(session, outbound?.completed(packetId), reason.success);
    } else if (reasonCode >= failureFrom) {
      this.#ended(session, outbound?.refused(packetId), reasonCode);
    } else this.#received(session, packetId);
  }

  #received(session: LiveSession<Identity>, packetId: number): void {
    const { client, writer } = this.#parts;
    const received = session.outbound?.received(packetId) ?? 'unknown';
    if (received === 'wrong') throw protocolError('A PUBREC for what was sent with QoS 1');
    if (received === 'received') this.pump(session);
    else if (client.protocolVersion === 4) writer.writeAck(ackBytes.pubrel, packetId);
    else writer.write(encodeAck(ackBytes.pubrel, packetId, reason.packetIdNotFound));
  }

  #ended(
    session: LiveSession<Identity>,
    entry: OutboundEntry | AckFault | undefined,
    reasonCode: number,
  ): void {
    if (entry === 'wrong') throw protocolError('An ack of another kind than the message has');
    // Of a message that was completed before: nothing has to be said to it.
    if (entry === undefined || entry === 'unknown') return;
    entry.settle(reasonCode < failureFrom ? 'acked' : 'refused');
    this.pump(session);
  }
}
