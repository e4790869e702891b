import type { DisconnectPacket } from './client-packets.ts';
import type { MqttFeatures, MqttLimits } from './limits.ts';
import type { DisconnectDetails, MqttOwner } from './owner.ts';
import type { PacketFault } from './packet-fault.ts';
import type { SocketWriter } from './socket-writer.ts';

/** What the parts of a connection need of its server. */
export interface PartsHost<Identity, Peer> {
  readonly owner: MqttOwner<Identity, Peer>;
  readonly limits: MqttLimits;
  readonly features: MqttFeatures;
  /** Milliseconds since 1970, for when messages expire. */
  readonly clock: () => number;
  /** Milliseconds that only go forward, for all that waits. */
  readonly steadyMs: () => number;
  /** Of all connections, as each adds and takes off its own. */
  pendingBytes: number;
  /** Connections that wait for others' bytes to be settled, the longest first. */
  readonly starved: Set<{ goOn(): void }>;
}

/** What is kept of an accepted CONNECT. */
export interface Client {
  readonly protocolVersion: 4 | 5;
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly topicAliasMax: number;
  /** Whether the session was to end with its connection: then a DISCONNECT may not change it (section 3.14.2.2.2). */
  readonly endsWithConnection: boolean;
}

/** What the parts of a connection, who each handle packets of a kind, need of the whole. */
export interface ConnectionParts<Identity, Peer> {
  readonly host: PartsHost<Identity, Peer>;
  readonly client: Client;
  readonly writer: SocketWriter;
  /** The client is served no longer. */
  readonly gone: boolean;
  close(reasonCode: number, details?: DisconnectDetails): void;
  /** The client broke the standard. */
  faulted(fault: PacketFault): void;
  /** The client says good-bye. */
  disconnected(packet: DisconnectPacket): void;
  /** What has to be saved was not: nothing that depends on it is told. */
  notSaved(error: unknown): void;
  /** Reads nothing for a while. */
  hold(milliseconds: number): void;
  /** What held the reading back may be over. */
  goOn(): void;
}
