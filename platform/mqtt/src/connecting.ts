import { randomUUID } from 'node:crypto';
import type { ConnectPacket } from './client-packets.ts';
import type { Client, PartsHost } from './connection-parts.ts';
import type { MqttFeatures, MqttLimits } from './limits.ts';
import type { SessionLink } from './live-session.ts';
import type { ConnectRequest } from './owner.ts';
import { encodeConnack } from './packets/connack.ts';
import { reason } from './reason-codes.ts';
import type { Attached, SessionStore } from './session-store.ts';
import { isTopicName } from './topic-filters.ts';

/** Who may read and keep sessions for a CONNECT. */
interface AdmittingHost<Identity, Peer> extends PartsHost<Identity, Peer> {
  readonly store: SessionStore<Identity, Peer>;
}

/** Finds the session for a CONNECT, as its owner decides, or gives the code that refuses it. Never rejects. */
export async function admit<Identity, Peer>(
  host: AdmittingHost<Identity, Peer>,
  link: SessionLink,
  {
    connect,
    peer,
    accept,
  }: {
    readonly connect: ConnectPacket;
    readonly peer: Peer;
    readonly accept: (attached: Attached<Identity>) => void;
  },
): Promise<number | undefined> {
  const fault = connectFault(connect, host);
  if (fault !== undefined) return fault;
  const clientId = connect.clientId === '' ? randomUUID() : connect.clientId;
  try {
    const admission = await host.owner.authenticate(requestOf(connect, clientId), peer);
    if (link.gone) return reason.unspecified;
    if (!admission.admitted) return admission.reasonCode;
    const { key, identity } = admission;
    return await host.store.attach(link, { connect, key, clientId, identity }, accept);
  } catch {
    return reason.serverUnavailable;
  }
}

/** Why a CONNECT is refused before anybody is asked. */
function connectFault<Identity, Peer>(
  connect: ConnectPacket,
  { limits, features }: PartsHost<Identity, Peer>,
): number | undefined {
  const { clientId, cleanStart, protocolVersion, will, authenticationMethod } = connect;
  if (authenticationMethod !== undefined) return reason.badAuthenticationMethod;
  if (clientId === '' && !cleanStart && protocolVersion === 4) return reason.clientIdInvalid;
  if (Buffer.byteLength(clientId) > limits.clientIdBytesMax) return reason.clientIdInvalid;
  if (!takesConnack(connect, { limits, features })) return reason.packetTooLarge;
  if (!will) return undefined;
  if (!isTopicName(will.topic, limits.topicLevelsMax)) return reason.topicNameInvalid;
  if (will.qos > features.qosMax) return reason.qosNotSupported;
  return will.retain && !features.retain ? reason.retainNotSupported : undefined;
}

/** Whether the CONNACK is within the client's maximum packet size (section 3.1.2.11.4). */
function takesConnack(
  connect: ConnectPacket,
  { limits, features }: { readonly limits: MqttLimits; readonly features: MqttFeatures },
): boolean {
  const { packetBytesMax = Infinity } = connect;
  if (packetBytesMax >= connackBytesMax) return true;
  const connack = encodeConnack(
    {
      connect,
      clientId: randomUUID(),
      expirySeconds: Math.min(connect.sessionExpirySeconds ?? 0, limits.sessionExpirySecondsMax),
      resumed: true,
      serverKeepAliveSeconds: serverKeepAliveOf(connect, limits),
    },
    limits,
    features,
  );
  return connack.length <= packetBytesMax;
}

/** With all that it may hold. */
const connackBytesMax = 128;

/** What the owner is asked. */
function requestOf(connect: ConnectPacket, clientId: string): ConnectRequest {
  const { protocolVersion, cleanStart, userName, password, will } = connect;
  return {
    clientId,
    protocolVersion,
    cleanStart,
    userName,
    password,
    will: will && { ...will, dup: false, packetId: undefined },
  };
}

/** Seconds that an MQTT 5 client is told to use instead of its own (section 3.2.2.3.14). */
export function serverKeepAliveOf(
  { protocolVersion, keepAliveSeconds }: ConnectPacket,
  { keepAliveSecondsMax }: { readonly keepAliveSecondsMax: number },
): number | undefined {
  const tooLong = keepAliveSeconds === 0 || keepAliveSeconds > keepAliveSecondsMax;
  return protocolVersion === 5 && tooLong ? keepAliveSecondsMax : undefined;
}

/** What is kept of it; the rest would hold the memory of its packet. */
export function clientOf(connect: ConnectPacket): Client {
  const { protocolVersion, receiveMaximum, packetBytesMax = Infinity, topicAliasMax } = connect;
  const endsWithConnection = protocolVersion === 5 && !connect.sessionExpirySeconds;
  return { protocolVersion, receiveMaximum, packetBytesMax, topicAliasMax, endsWithConnection };
}

/** Who has not said anything yet. */
export const stranger: Client = {
  protocolVersion: 4,
  receiveMaximum: 65_535,
  packetBytesMax: Infinity,
  topicAliasMax: 0,
  endsWithConnection: true,
};
