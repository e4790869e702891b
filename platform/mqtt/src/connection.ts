import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { ClientPacket, ConnectPacket, PublishPacket, WillPacket } from './client-packets.ts';
import { connectFault, encodeConnack, requestOf, serverKeepAliveOf } from './connect.ts';
import { connectVersion, decodeConnect, decodePacket, isConnect } from './decode.ts';
import {
  encode,
  ackBytes,
  encodeReason,
  encodeDisconnect,
  encodedPingResponse,
  encodeRefusal,
} from './encode.ts';
import type { MqttLimits } from './limits.ts';
import {
  type LiveSession,
  type OutboundEntry,
  publishPacketOf,
  type SessionLink,
} from './live-session.ts';
import { AckQueue, type Ticket } from './model/ack-queue.ts';
import { FrameReader } from './model/frame-reader.ts';
import { TopicAliases } from './model/topic-aliases.ts';
import { isTopicName } from './model/topic-filters.ts';
import { MqttDisconnect, type InboundMessage, type MqttOwner } from './owner.ts';
import { PacketFault } from './packet-fault.ts';
import { failureFrom, reason } from './reason-codes.ts';
import { SocketWriter } from './socket-writer.ts';
import { subscribe, unsubscribe } from './subscribe.ts';

/** What a connection needs of its server. */
export interface ConnectionHost<Identity, Peer> {
  readonly owner: MqttOwner<Identity, Peer>;
  readonly limits: MqttLimits;
  readonly clock: () => number;
  /** Of all connections, as each adds and takes off its own. */
  pendingBytes: number;
  /** Connections that wait for others' bytes to be settled, the longest first. */
  readonly starved: Set<{ goOn(): void }>;
  /** The session of an accepted CONNECT, or the reason why there is none. */
  attach(
    connection: SessionLink,
    connect: ConnectPacket,
    admitted: { readonly key: string; readonly clientId: string; readonly identity: Identity },
  ): { readonly session: LiveSession<Identity>; readonly resumed: boolean } | number;
  /** This connection serves its session no longer; the will, if one is due. */
  detach(session: LiveSession<Identity>, will: WillPacket | undefined): void;
  /** The socket is gone. */
  forget(connection: Connection<Identity, Peer>): void;
}

/** What an unsettled message takes beside its payload, about. */
const messageOverheadBytes = 512;

/** How long a closed connection may still take our last words, and how long we hear it out. */
const lingerMs = 2000;

export class Connection<Identity, Peer> implements SessionLink {
  readonly #host: ConnectionHost<Identity, Peer>;
  readonly #socket: Duplex;
  readonly #peer: Peer;
  readonly #frames = new FrameReader();
  readonly #writer: SocketWriter;
  readonly #acks = new AckQueue();
  readonly #awaitingRelease = new Set<number>();
  readonly #aliases: TopicAliases;
  #state: 'connecting' | 'authenticating' | 'open' | 'closed' = 'connecting';
  #connect: ConnectPacket | undefined;
  #session: LiveSession<Identity> | undefined;
  #pending = 0;
  #pendingBytes = 0;
  #processing = false;
  /** The socket is paused, and something has to ask whether it may go on. */
  #held = false;
  #draining = false;
  #holdUntilMs = 0;
  #keepAliveMs = 0;
  #startedMs: number;
  #heardMs: number;
  #stalledMs: number | undefined;

  constructor({
    host,
    socket,
    peer,
  }: {
    host: ConnectionHost<Identity, Peer>;
    socket: Duplex;
    peer: Peer;
  }) {
    this.#host = host;
    this.#socket = socket;
    this.#peer = peer;
    this.#writer = new SocketWriter(socket, host.limits.writeBufferBytesMax, () => {
      this.#stalledMs = undefined;
      this.pump();
      this.#process();
    });
    this.#aliases = new TopicAliases(host.limits.topicAliasMax);
    this.#startedMs = host.clock();
    this.#heardMs = this.#startedMs;
  }

  get pendingMessages(): number {
    return this.#pending;
  }

  start(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      if (this.#state === 'closed') return;
      this.#heardMs = this.#host.clock();
      this.#frames.push(chunk);
      this.#process();
    });
    // What is wrong with a socket ends in 'close'.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#ended(reason.unspecified, false);
      this.#host.forget(this);
    });
  }

  stopReading(): void {
    this.#draining = true;
    this.#socket.pause();
  }

  tick(nowMs: number): void {
    const { limits } = this.#host;
    if (this.#state === 'closed') return;
    if (this.#state !== 'open') {
      if (nowMs - this.#startedMs > limits.connectTimeoutMs) this.destroy();
      return;
    }
    if (this.#writer.stalled) {
      this.#stalledMs ??= nowMs;
      if (nowMs - this.#stalledMs > limits.writeStallTimeoutMs) this.destroy();
    }
    if (this.#isHeld(nowMs)) {
      // We do not listen, so silence is not the client's.
      this.#heardMs = nowMs;
    } else if (this.#held) {
      this.goOn();
    } else if (this.#keepAliveMs > 0 && nowMs - this.#heardMs > this.#keepAliveMs * 1.5) {
      this.close(reason.keepAliveTimeout);
    }
  }

  settled(ticket: Ticket, reasonCode: number): void {
    if (ticket.queue !== this.#acks || this.#state === 'closed') return;
    for (const { packetId, qos, reasonCode: code = 0 } of this.#acks.settle(ticket, reasonCode)) {
      if (qos === 2 && code < failureFrom) this.#awaitingRelease.add(packetId);
      this.#ack(qos === 1 ? ackBytes.puback : ackBytes.pubrec, packetId, code);
    }
  }

  pump(): void {
    const session = this.#session;
    const connect = this.#connect;
    if (this.#state !== 'open' || !session || !connect) return;
    const window = Math.min(connect.receiveMaximum, this.#host.limits.outboundInFlightMax);
    while (!this.#writer.stalled) {
      const step = session.outbound.next(this.#host.clock(), window);
      if (!step) return;
      if (step.do === 'drop') step.entry.settle('expired');
      else this.#send(session, step);
    }
  }

  /** What held the reading back may be over. */
  goOn(): void {
    if (this.#held) this.#process();
  }

  /** Says why, where the version has words for it, and closes. */
  close(reasonCode: number): void {
    if (this.#state === 'closed') return;
    const speaks5 = this.#connect?.protocolVersion === 5;
    if (this.#state === 'open' && speaks5 && reasonCode >= failureFrom) {
      this.#writer.write(encodeDisconnect(reasonCode));
    }
    this.#ended(reasonCode, false);
    this.#finish();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #ack(firstByte: number, packetId: number, reasonCode: number): void {
    const plain = reasonCode === reason.success || this.#connect?.protocolVersion !== 5;
    if (plain) this.#writer.writeAck(firstByte, packetId);
    else this.#writer.write(encodeReason(firstByte, packetId, reasonCode));
  }

  #isHeld(nowMs: number): boolean {
    const { inFlightMax, inFlightBytesMax, totalInFlightBytesMax } = this.#host.limits;
    return (
      this.#state === 'authenticating' ||
      this.#draining ||
      this.#pendingBytes >= inFlightBytesMax ||
      this.#isStarved(totalInFlightBytesMax) ||
      this.#holdUntilMs > nowMs ||
      this.#pending >= inFlightMax ||
      this.#acks.size >= inFlightMax ||
      this.#writer.stalled
    );
  }

  #isStarved(bytesMax: number): boolean {
    if (this.#state !== 'open' || this.#host.pendingBytes < bytesMax) return false;
    this.#host.starved.add(this);
    return true;
  }

  /** Takes packet after packet until there is none or something holds us; then the socket waits. */
  #process(): void {
    if (this.#processing) return;
    this.#processing = true;
    try {
      while (this.#state !== 'closed') {
        if (this.#isHeld(this.#host.clock())) {
          this.#held = true;
          this.#socket.pause();
          return;
        }
        const frame = this.#frames.next(this.#packetBytesMax());
        if (frame === undefined) break;
        if (typeof frame === 'string') throw new PacketFault(frameFaults[frame]);
        this.#take(frame);
      }
      if (this.#held) this.#socket.resume();
      this.#held = false;
    } catch (error) {
      if (!(error instanceof PacketFault)) throw error;
      this.#refuseOrClose(error.reasonCode);
    } finally {
      this.#processing = false;
    }
  }

  #packetBytesMax(): number {
    const { packetBytesMax, connectBytesMax } = this.#host.limits;
    return this.#state === 'open' ? packetBytesMax : Math.min(connectBytesMax, packetBytesMax);
  }

  #take(frame: Buffer): void {
    if (this.#state === 'open' && this.#connect) {
      this.#handle(decodePacket(frame, this.#connect.protocolVersion));
      return;
    }
    let connect: ConnectPacket;
    try {
      connect = decodeConnect(frame);
    } catch (error) {
      if (!(error instanceof PacketFault)) throw error;
      if (isConnect(frame)) this.#refuse(error.reasonCode, connectVersion(frame));
      else this.#refuse(error.reasonCode);
      return;
    }
    this.#connect = connect;
    this.#state = 'authenticating';
    void this.#authenticate(connect);
  }

  async #authenticate(connect: ConnectPacket): Promise<void> {
    const { owner, limits } = this.#host;
    const clientId = connect.clientId === '' ? randomUUID() : connect.clientId;
    const fault = connectFault(connect, limits);
    if (fault !== undefined) {
      this.#refuse(fault, connect.protocolVersion);
      return;
    }
    const admission = await owner
      .authenticate(requestOf(connect, clientId), this.#peer)
      .catch(() => ({ admitted: false as const, reasonCode: reason.serverUnavailable }));
    if (this.#state !== 'authenticating') return;
    if (!admission.admitted) {
      this.#refuse(admission.reasonCode, connect.protocolVersion);
      return;
    }
    const { key, identity } = admission;
    const attached = this.#host.attach(this, connect, { key, clientId, identity });
    if (typeof attached === 'number') {
      this.#refuse(attached, connect.protocolVersion);
      return;
    }
    this.#open(connect, attached.session, attached.resumed);
  }

  #open(connect: ConnectPacket, session: LiveSession<Identity>, resumed: boolean): void {
    const { limits, owner, clock } = this.#host;
    this.#state = 'open';
    this.#session = session;
    const serverKeepAlive = serverKeepAliveOf(connect, limits);
    this.#keepAliveMs = (serverKeepAlive ?? connect.keepAliveSeconds) * 1000;
    this.#heardMs = clock();
    this.#writer.write(encodeConnack({ connect, session, resumed, serverKeepAlive, limits }));
    owner.opened?.(session, resumed);
    this.pump();
    this.#process();
  }

  #handle(packet: ClientPacket): void {
    const session = this.#session;
    if (!session) return;
    switch (packet.type) {
      case 'publish':
        this.#publish(session, packet);
        return;
      case 'puback': {
        const entry = session.outbound.acked(packet.packetId);
        entry?.settle(packet.reasonCode < failureFrom ? 'acked' : 'refused');
        this.pump();
        return;
      }
      case 'pubrel': {
        const released = session.inbox.release(packet.packetId);
        if (released === 'pending') throw new PacketFault(reason.protocolError);
        this.#awaitingRelease.delete(packet.packetId);
        const code = released === 'released' ? reason.success : reason.packetIdNotFound;
        this.#ack(ackBytes.pubcomp, packet.packetId, code);
        return;
      }
      case 'subscribe':
        subscribe(this.#host, session, packet, (bytes) => this.#writer.write(bytes));
        return;
      case 'unsubscribe':
        this.#writer.write(unsubscribe(session, packet.packetId, packet.filters));
        return;
      case 'pingreq':
        this.#writer.write(encodedPingResponse);
        return;
      case 'disconnect':
        this.#disconnected(session, packet.reasonCode, packet.sessionExpirySeconds);
        return;
      case 'connect':
        throw new PacketFault(reason.protocolError);
    }
  }

  #publish(session: LiveSession<Identity>, packet: PublishPacket): void {
    const { limits, owner, clock } = this.#host;
    const version5 = this.#connect?.protocolVersion === 5;
    const unacked = this.#acks.size + this.#awaitingRelease.size;
    if (version5 && packet.qos > 0 && unacked >= limits.receiveMaximum) {
      throw new PacketFault(reason.receiveMaximumExceeded);
    }
    const topic = this.#aliases.resolve(packet.topic, version5 ? packet.topicAlias : undefined);
    if (typeof topic === 'number') throw new PacketFault(topic);
    const named = isTopicName(topic, limits.topicLevelsMax);
    const message: InboundMessage = topic === packet.topic ? packet : { ...packet, topic };
    const ticket = this.#ticketOf(packet);
    if (packet.qos === 2 && ticket) {
      if (session.inbox.size >= limits.qosTwoIdsMax) throw new PacketFault(reason.quotaExceeded);
      const arrived = session.inbox.arrive(ticket);
      if (arrived === 'received') this.settled(ticket, reason.success);
      if (arrived !== 'publish') return;
    }
    if (named) void this.#hand(session, message, ticket);
    else this.#settle(session, ticket, reason.topicNameInvalid);
    const holdMs = owner.holdMs?.(session, packet.payload.length) ?? 0;
    if (holdMs <= 0) return;
    this.#holdUntilMs = clock() + holdMs;
    setTimeout(() => this.#process(), holdMs + 1).unref();
  }

  #ticketOf({ qos, packetId }: PublishPacket): Ticket | undefined {
    return qos === 0 || packetId === undefined ? undefined : this.#acks.arrive(packetId, qos);
  }

  async #hand(
    session: LiveSession<Identity>,
    message: InboundMessage,
    ticket: Ticket | undefined,
  ): Promise<void> {
    const bytes = message.payload.length + messageOverheadBytes;
    this.#pending += 1;
    this.#pendingBytes += bytes;
    this.#host.pendingBytes += bytes;
    try {
      const reasonCode = await this.#host.owner.publish(session, message);
      this.#settle(session, ticket, reasonCode ?? reason.success);
    } catch (error) {
      this.#fail(session, ticket, error);
    } finally {
      this.#pending -= 1;
      this.#pendingBytes -= bytes;
      this.#host.pendingBytes -= bytes;
    }
    const [starved] = this.#host.starved;
    if (starved) {
      this.#host.starved.delete(starved);
      starved.goOn();
    }
    this.goOn();
  }

  #settle(session: LiveSession<Identity>, ticket: Ticket | undefined, reasonCode: number): void {
    if (!ticket) {
      if (reasonCode >= failureFrom) this.close(reasonCode);
      return;
    }
    // MQTT 3.1.1 has no word for a refused message but the end of the connection (section 3.3.5).
    const silent = reasonCode >= failureFrom && session.protocolVersion === 4;
    const tickets =
      ticket.qos === 1 ? [ticket] : session.inbox.settle(ticket.packetId, reasonCode < failureFrom);
    for (const each of tickets) {
      if (each.queue === this.#acks) {
        if (silent) this.close(reasonCode);
        else this.settled(each, reasonCode);
      } else if (silent) session.connection?.close(reasonCode);
      else session.connection?.settled(each, reasonCode);
    }
  }

  #fail(session: LiveSession<Identity>, ticket: Ticket | undefined, error: unknown): void {
    const code = error instanceof MqttDisconnect ? error.reasonCode : reason.unspecified;
    const waiting = ticket?.qos === 2 ? session.inbox.settle(ticket.packetId, false) : [];
    this.close(code);
    if (waiting.some(({ queue }) => queue !== this.#acks)) session.connection?.close(code);
  }

  #send(
    session: LiveSession<Identity>,
    step: { entry: OutboundEntry; packetId: number | undefined; again: boolean },
  ): void {
    const { entry, packetId } = step;
    const bytes = encode(publishPacketOf(step, this.#host.clock()), session.protocolVersion);
    if (bytes.length > (this.#connect?.packetBytesMax ?? Infinity)) {
      if (packetId !== undefined) session.outbound.acked(packetId);
      entry.settle('too-large');
      return;
    }
    this.#writer.write(bytes);
    if (packetId === undefined) entry.settle('sent');
  }

  #disconnected(
    session: LiveSession<Identity>,
    reasonCode: number,
    sessionExpirySeconds: number | undefined,
  ): void {
    if (sessionExpirySeconds !== undefined) {
      if (session.expirySeconds === 0 && sessionExpirySeconds > 0) {
        throw new PacketFault(reason.protocolError);
      }
      session.expirySeconds = Math.min(
        sessionExpirySeconds,
        this.#host.limits.sessionExpirySecondsMax,
      );
    }
    // Any other word than "normal" leaves the will standing (section 3.14.4).
    this.#ended(reasonCode, reasonCode === reason.success);
    this.#finish();
  }

  #refuseOrClose(reasonCode: number): void {
    if (this.#state === 'open') this.close(reasonCode);
    else this.#refuse(reasonCode);
  }

  #refuse(reasonCode: number, ...version: readonly (number | undefined)[]): void {
    if (version.length > 0) this.#writer.write(encodeRefusal(reasonCode, version[0]));
    this.#ended(reasonCode, false);
    this.#finish();
  }

  /** The client is served no longer, whatever its socket still does. */
  #ended(reasonCode: number, clean: boolean): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#frames.clear();
    const session = this.#session;
    if (!session) {
      this.#host.owner.refused?.(reasonCode);
      return;
    }
    this.#host.owner.closed?.(session, { clean, reasonCode });
    if (session.connection === this) {
      this.#host.detach(session, clean ? undefined : this.#connect?.will);
    }
  }

  /** Unread bytes in a closing socket would reset it and take our last words with it: hear them out. */
  #finish(): void {
    this.#writer.flush();
    this.#socket.end();
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }
}

const frameFaults = {
  malformed: reason.malformedPacket,
  'too-large': reason.packetTooLarge,
} as const;
