import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type {
  ClientPacket,
  ConnectPacket,
  PublishPacket,
  SubscribePacket,
} from './client-packets.ts';
import { connectFault, encodeConnack, requestOf, serverKeepAliveOf } from './connect.ts';
import { connectVersion, decodeConnect, decodePacket, isConnect } from './decode.ts';
import {
  encode,
  ackBytes,
  encodeReason,
  encodeDisconnect,
  encodedPingResponse,
  encodeRefusal,
  encodeUnsuback,
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
import type { AckFault } from './model/outbound-flow.ts';
import { TopicAliases } from './model/topic-aliases.ts';
import { isTopicName } from './model/topic-filters.ts';
import {
  type DisconnectDetails,
  type InboundMessage,
  MqttDisconnect,
  type MqttOwner,
} from './owner.ts';
import { PacketFault } from './packet-fault.ts';
import { failureFrom, reason } from './reason-codes.ts';
import type { SessionStore } from './session-store.ts';
import { SocketWriter } from './socket-writer.ts';
import { encodeSuback, subscribe } from './subscribe.ts';

/** What a connection needs of its server. */
export interface ConnectionHost<Identity, Peer> {
  readonly owner: MqttOwner<Identity, Peer>;
  readonly limits: MqttLimits;
  readonly clock: () => number;
  /** Of all connections, as each adds and takes off its own. */
  pendingBytes: number;
  /** Connections that wait for others' bytes to be settled, the longest first. */
  readonly starved: Set<{ goOn(): void }>;
  readonly store: SessionStore<Identity, Peer>;
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
  /** A SUBSCRIBE or UNSUBSCRIBE is being answered: nothing is read before. */
  #answering = false;
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

  get gone(): boolean {
    return this.#state === 'closed';
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
    const { outbound } = session;
    if (!outbound) return;
    const receiveMaximum = Math.min(connect.receiveMaximum, this.#host.limits.outboundInFlightMax);
    while (!this.#writer.stalled && !this.gone) {
      const nowMs = this.#host.clock();
      const step = outbound.next({ nowMs, receiveMaximum, durable: session.durable });
      if (!step) break;
      if (step.do === 'drop') step.entry.settle('expired');
      else if (step.do === 'send') this.#send(session, step);
      else if (step.do === 'release') this.#writer.writeAck(ackBytes.pubrel, step.packetId);
      else {
        session.keep(
          () => {
            outbound.saved(step.flights);
            session.connection?.pump();
          },
          (error) => this.#notSaved(error),
        );
      }
    }
    session.tellRoom();
  }

  #notSaved(error: unknown): void {
    this.close(error instanceof MqttDisconnect ? error.reasonCode : reason.unspecified);
  }

  /** What held the reading back may be over. */
  goOn(): void {
    if (this.#held) this.#process();
  }

  /** Says why, where the version has words for it, and closes. */
  close(reasonCode: number, details?: DisconnectDetails): void {
    if (this.#state === 'closed') return;
    const speaks5 = this.#connect?.protocolVersion === 5;
    if (this.#state === 'open' && speaks5 && reasonCode >= failureFrom) {
      this.#writer.write(encodeDisconnect(reasonCode, details));
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
      this.#answering ||
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
    const attached = await this.#host.store.attach(this, connect, { key, clientId, identity });
    // What was opened for a client that has left is closed again by now.
    if (this.#state !== 'authenticating') return;
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
      case 'puback':
        this.#completed(session.outbound?.acked(packet.packetId), packet.reasonCode);
        return;
      case 'pubcomp':
        this.#completed(session.outbound?.completed(packet.packetId), reason.success);
        return;
      case 'pubrec':
        this.#received(session, packet);
        return;
      case 'pubrel':
        this.#release(session, packet.packetId);
        return;
      case 'subscribe':
        void this.#answer(() => this.#subscribe(session, packet));
        return;
      case 'unsubscribe':
        void this.#answer(() => this.#unsubscribe(session, packet.packetId, packet.filters));
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

  #completed(ended: OutboundEntry | AckFault | undefined, reasonCode: number): void {
    if (ended === 'wrong') throw new PacketFault(reason.protocolError);
    if (ended === undefined || ended === 'unknown') return;
    ended.settle(reasonCode < failureFrom ? 'acked' : 'refused');
    this.pump();
  }

  #received(
    session: LiveSession<Identity>,
    { packetId, reasonCode }: { readonly packetId: number; readonly reasonCode: number },
  ): void {
    if (reasonCode >= failureFrom) {
      this.#completed(session.outbound?.refused(packetId), reasonCode);
      return;
    }
    const received = session.outbound?.received(packetId) ?? 'unknown';
    if (received === 'wrong') throw new PacketFault(reason.protocolError);
    if (received === 'unknown') this.#ack(ackBytes.pubrel, packetId, reason.packetIdNotFound);
    else this.pump();
  }

  #release(session: LiveSession<Identity>, packetId: number): void {
    const { inbox } = session;
    const released = inbox.release(packetId);
    if (released === 'pending') throw new PacketFault(reason.protocolError);
    if (released === 'unknown') {
      this.#ack(ackBytes.pubcomp, packetId, reason.packetIdNotFound);
      return;
    }
    session.keep(
      () => {
        inbox.released(packetId);
        this.#awaitingRelease.delete(packetId);
        if (!this.gone) this.#ack(ackBytes.pubcomp, packetId, reason.success);
      },
      (error) => {
        inbox.keep(packetId);
        this.#notSaved(error);
      },
    );
  }

  /** Nothing more of the client is handled before its answer. */
  async #answer(answer: () => Promise<void>): Promise<void> {
    this.#answering = true;
    try {
      await answer();
    } catch (error) {
      if (error instanceof PacketFault || error instanceof MqttDisconnect) {
        this.close(error.reasonCode);
      } else this.close(reason.unspecified);
    } finally {
      this.#answering = false;
    }
    this.goOn();
  }

  async #subscribe(session: LiveSession<Identity>, packet: SubscribePacket): Promise<void> {
    const { owner } = this.#host;
    const { codes, made } = await subscribe(this.#host, session, packet);
    if (made.length > 0) await session.kept();
    if (this.gone || session.ended) return;
    this.#writer.write(encodeSuback(packet.packetId, codes, session.protocolVersion));
    for (const { subscription, isNew } of made) owner.subscribed?.(session, subscription, isNew);
  }

  async #unsubscribe(
    session: LiveSession<Identity>,
    packetId: number,
    names: readonly string[],
  ): Promise<void> {
    const taken = names.map((name) => session.unsubscribe(name));
    for (const subscription of taken) {
      if (subscription) this.#host.owner.unsubscribed?.(session, subscription);
    }
    if (taken.some((each) => each)) await session.kept();
    if (this.gone) return;
    const codes = taken.map((each) => (each ? reason.success : reason.noSubscriptionExisted));
    this.#writer.write(encodeUnsuback(packetId, codes, session.protocolVersion));
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
      if (packetId !== undefined) session.outbound?.dropped(packetId);
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
      this.#host.store.detach(session, clean ? undefined : this.#connect?.will);
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
