import type { Duplex } from 'node:stream';
import type { ConnectPacket, DisconnectPacket, WillPacket } from './client-packets.ts';
import { admit, clientOf, serverKeepAliveOf, stranger } from './connecting.ts';
import type { Client, ConnectionParts, PartsHost } from './connection-parts.ts';
import { Dialogue } from './dialogue.ts';
import type { SessionLink } from './live-session.ts';
import type { Ticket } from './model/ack-queue.ts';
import type { Waiting } from './model/deadlines.ts';
import { type DisconnectDetails, MqttDisconnect } from './owner.ts';
import { type PacketFault, protocolError } from './packet-fault.ts';
import { encodeConnack, encodeRefusal } from './packets/connack.ts';
import { ConnectFault, decodeConnect } from './packets/connect.ts';
import { decodePacket } from './packets/decode.ts';
import { encodeDisconnect } from './packets/disconnect.ts';
import { Reading, type ReadingOwner } from './reading.ts';
import { failureFrom, reason } from './reason-codes.ts';
import type { Attached, SessionStore } from './session-store.ts';
import { SocketWriter, type WriterOwner } from './socket-writer.ts';

/** What a connection needs of its server. */
export interface ConnectionHost<Identity, Peer> extends PartsHost<Identity, Peer> {
  readonly store: SessionStore<Identity, Peer>;
  /** `tick` is to be called then, in place of what was said before. */
  wake(connection: Connection<Identity, Peer>, atMs: number): void;
  /** It is looked after at every tick, as long as `look` says so. */
  watch(connection: Connection<Identity, Peer>): void;
  /** The socket is gone. */
  forget(connection: Connection<Identity, Peer>): void;
}

/** One client's socket: from its bytes to packets, from packets to who handles them, and its end. */
export class Connection<Identity, Peer>
  implements SessionLink, ConnectionParts<Identity, Peer>, ReadingOwner, WriterOwner, Waiting
{
  readonly host: ConnectionHost<Identity, Peer>;
  readonly writer: SocketWriter;
  bucket: number | undefined;
  client: Client = stranger;
  readonly #socket: Duplex;
  readonly #peer: Peer;
  readonly #reading: Reading;
  #dialogue: Dialogue<Identity, Peer> | undefined;
  #state: 'connecting' | 'authenticating' | 'open' | 'closed' = 'connecting';
  #will: WillPacket | undefined;
  #keepAliveMs = 0;
  #heardMs: number;
  #stalledMs: number | undefined;

  constructor(host: ConnectionHost<Identity, Peer>, socket: Duplex, peer: Peer) {
    this.host = host;
    this.#socket = socket;
    this.#peer = peer;
    this.writer = new SocketWriter(socket, host.limits.writeBufferBytesMax, this);
    this.#reading = new Reading(socket, this, host.steadyMs);
    this.#heardMs = host.steadyMs();
  }

  get gone(): boolean {
    return this.#state === 'closed';
  }

  get pendingMessages(): number {
    return this.#dialogue?.pending ?? 0;
  }

  start(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      if (!this.gone) this.#reading.push(chunk);
    });
    this.#socket.on('drain', () => this.freed());
    // A stream over WebSocket says no more than this when its peer is lost.
    this.#socket.on('end', () => this.#reading.end());
    // What is wrong with a socket ends in 'close'.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#reading.end();
      if (this.gone) this.host.forget(this);
    });
    this.host.wake(this, this.#heardMs + this.host.limits.connectTimeoutMs);
  }

  readAll(): void {
    this.#ended(reason.unspecified, false);
    this.writer.end();
  }

  stopReading(): void {
    this.#reading.stop();
  }

  /** The time has come that was asked for by `wake`. */
  tick(nowMs: number): void {
    if (this.gone) return;
    if (this.#state === 'authenticating') {
      this.#refuse(reason.serverUnavailable, this.client.protocolVersion);
      return;
    }
    if (this.#state === 'connecting') {
      this.#ended(reason.keepAliveTimeout, false);
      this.destroy();
      return;
    }
    if (this.#keepAliveMs === 0) return;
    // Who is not listened to is not silent.
    if (this.#reading.isHeld) this.#heardMs = nowMs;
    const silentAtMs = this.#heardMs + this.#keepAliveMs * 1.5;
    if (nowMs < silentAtMs) this.host.wake(this, silentAtMs);
    else this.close(reason.keepAliveTimeout);
  }

  /** Whether it has to be looked after again. */
  look(nowMs: number): boolean {
    if (this.gone) return false;
    if (this.writer.stalled) {
      this.#stalledMs ??= nowMs;
      if (nowMs - this.#stalledMs > this.host.limits.writeStallTimeoutMs) this.destroy();
    }
    if (this.#reading.isHeld) {
      this.#heardMs = nowMs;
      this.goOn();
    }
    const partMs = this.#reading.partMs(nowMs);
    if (partMs !== undefined && partMs > this.host.limits.packetTimeoutMs) {
      this.close(reason.keepAliveTimeout, { reasonString: 'A packet took too long to be whole' });
    }
    return this.#reading.isHeld || this.writer.stalled || partMs !== undefined;
  }

  waits(): void {
    this.host.watch(this);
  }

  freed(): void {
    this.#stalledMs = undefined;
    this.pump();
    this.#reading.run();
  }

  settled(ticket: Ticket, reasonCode: number): void {
    this.#dialogue?.settled(ticket, reasonCode);
  }

  pump(): void {
    if (this.#state === 'open') this.#dialogue?.pump();
  }

  goOn(): void {
    this.#reading.goOn();
  }

  hold(milliseconds: number): void {
    this.#reading.hold(milliseconds);
  }

  notSaved(error: unknown): void {
    this.close(error instanceof MqttDisconnect ? error.reasonCode : reason.unspecified);
  }

  /** Says why, where the version has words for it, and closes. */
  close(reasonCode: number, details?: DisconnectDetails): void {
    if (this.gone) return;
    const { protocolVersion, packetBytesMax } = this.client;
    if (this.#state === 'open' && protocolVersion === 5 && reasonCode >= failureFrom) {
      this.writer.write(encodeDisconnect(reasonCode, details, packetBytesMax));
    }
    this.#ended(reasonCode, false);
    this.writer.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get isFull(): boolean {
    return (
      this.#state === 'authenticating' ||
      (this.#dialogue?.isFull ?? false) ||
      this.#isStarved() ||
      this.writer.stalled
    );
  }

  #isStarved(): boolean {
    const { pendingBytes, limits, starved } = this.host;
    if (this.#state !== 'open' || pendingBytes < limits.totalInFlightBytesMax) return false;
    starved.add(this);
    return true;
  }

  get packetsPerTurnMax(): number {
    return this.host.limits.packetsPerTurnMax;
  }

  get packetBytesMax(): number {
    const { packetBytesMax, connectBytesMax } = this.host.limits;
    return this.#state === 'open' ? packetBytesMax : Math.min(connectBytesMax, packetBytesMax);
  }

  take(frame: Buffer): void {
    // A whole packet counts, not the bytes of one that never ends (section 3.1.2.10).
    this.#heardMs = this.host.steadyMs();
    if (!this.#dialogue) {
      this.#connect(decodeConnect(frame));
      return;
    }
    this.#dialogue.handle(decodePacket(frame, this.client.protocolVersion), frame.length);
  }

  faulted(fault: PacketFault): void {
    const answerIn = fault instanceof ConnectFault ? fault.answerIn : undefined;
    if (this.#state === 'open') this.close(fault.reasonCode, { reasonString: fault.message });
    else this.#refuse(fault.reasonCode, answerIn, fault.message);
  }

  #connect(connect: ConnectPacket): void {
    this.#state = 'authenticating';
    this.client = clientOf(connect);
    void this.#admit(connect);
  }

  async #admit(connect: ConnectPacket): Promise<void> {
    const { host } = this;
    const accept = (attached: Attached<Identity>): void => this.#open(connect, attached);
    const refusal = await admit(host, this, { connect, peer: this.#peer, accept });
    // What was opened for a client that has left is closed again by now.
    if (refusal === undefined || this.#state !== 'authenticating') return;
    this.#refuse(refusal, connect.protocolVersion);
  }

  #open(connect: ConnectPacket, { session, resumed }: Attached<Identity>): void {
    const { limits, features, owner, steadyMs } = this.host;
    this.#state = 'open';
    this.#dialogue = new Dialogue(this, session);
    this.#will = connect.will;
    const serverKeepAliveSeconds = serverKeepAliveOf(connect, limits);
    this.#keepAliveMs = (serverKeepAliveSeconds ?? connect.keepAliveSeconds) * 1000;
    this.#heardMs = steadyMs();
    const { clientId, expirySeconds } = session;
    const accepted = { connect, clientId, expirySeconds, resumed, serverKeepAliveSeconds };
    this.writer.write(encodeConnack(accepted, limits, features));
    const silentAtMs = this.#heardMs + this.#keepAliveMs * 1.5;
    this.host.wake(this, this.#keepAliveMs > 0 ? silentAtMs : Infinity);
    owner.opened?.(session, resumed);
    this.pump();
    this.#reading.run();
  }

  disconnected({ reasonCode, sessionExpirySeconds }: DisconnectPacket): void {
    const session = this.#dialogue?.session;
    if (session && sessionExpirySeconds !== undefined) {
      if (this.client.endsWithConnection && sessionExpirySeconds > 0) {
        throw protocolError('A session that ends with its connection cannot be kept any more');
      }
      const max = this.host.limits.sessionExpirySecondsMax;
      session.expirySeconds = Math.min(sessionExpirySeconds, max);
    }
    // Any other word than "normal" leaves the will standing (section 3.14.4).
    this.#ended(reasonCode, reasonCode === reason.success);
    this.writer.end();
  }

  #refuse(reasonCode: number, answerIn: 4 | 5 | undefined, why?: string): void {
    if (answerIn !== undefined) {
      // Who speaks another version may not be able to read more than the code.
      const words = reasonCode === reason.unsupportedProtocolVersion ? undefined : why;
      this.writer.write(encodeRefusal(reasonCode, answerIn, words));
    }
    this.#ended(reasonCode, false);
    this.writer.end();
  }

  /** The client is served no longer, whatever its socket still does. */
  #ended(reasonCode: number, clean: boolean): void {
    if (this.gone) return;
    this.#state = 'closed';
    this.#reading.clear();
    if (this.#socket.closed) this.host.forget(this);
    const session = this.#dialogue?.session;
    if (!session) {
      this.host.owner.refused?.(reasonCode);
      return;
    }
    const { expirySeconds } = session;
    this.host.owner.closed?.(session, { clean, reasonCode, expirySeconds });
    if (session.connection === this)
      this.host.store.detach(session, clean ? undefined : this.#will);
  }
}
