import type { ConnectPacket } from './client-packets.ts';
import { encode } from './encode.ts';
import type { MqttLimits } from './limits.ts';
import { isTopicName } from './model/topic-filters.ts';
import type { ConnectRequest } from './owner.ts';
import { reason } from './reason-codes.ts';

/** Why a CONNECT is refused before anybody is asked. */
export function connectFault(connect: ConnectPacket, limits: MqttLimits): number | undefined {
  if (connect.authenticationMethod !== undefined) return reason.badAuthenticationMethod;
  if (connect.clientId === '' && !connect.cleanStart && connect.protocolVersion === 4) {
    return reason.clientIdInvalid;
  }
  if (Buffer.byteLength(connect.clientId) > limits.clientIdBytesMax) return reason.clientIdInvalid;
  if (connect.will && !isTopicName(connect.will.topic, limits.topicLevelsMax)) {
    return reason.topicNameInvalid;
  }
  return undefined;
}

/** What the owner is asked. */
export function requestOf(connect: ConnectPacket, clientId: string): ConnectRequest {
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
export function serverKeepAliveOf(connect: ConnectPacket, limits: MqttLimits): number | undefined {
  const { protocolVersion, keepAliveSeconds } = connect;
  const tooLong = keepAliveSeconds === 0 || keepAliveSeconds > limits.keepAliveSecondsMax;
  return protocolVersion === 5 && tooLong ? limits.keepAliveSecondsMax : undefined;
}

/** CONNACK for an accepted client, with what we keep to. */
export function encodeConnack(of: {
  readonly connect: ConnectPacket;
  readonly session: { readonly clientId: string; readonly expirySeconds: number };
  readonly resumed: boolean;
  readonly serverKeepAlive: number | undefined;
  readonly limits: MqttLimits;
}): Buffer {
  const { connect, session, resumed, serverKeepAlive, limits } = of;
  if (connect.protocolVersion === 4) {
    return encode({ cmd: 'connack', returnCode: 0, sessionPresent: resumed }, 4);
  }
  const properties = {
    receiveMaximum: limits.receiveMaximum,
    maximumPacketSize: limits.packetBytesMax,
    topicAliasMaximum: limits.topicAliasMax,
    sessionExpiryInterval: session.expirySeconds,
    sharedSubscriptionAvailable: false,
    ...(connect.clientId === '' && { assignedClientIdentifier: session.clientId }),
    ...(serverKeepAlive !== undefined && { serverKeepAlive }),
  };
  return encode(
    { cmd: 'connack', reasonCode: reason.success, sessionPresent: resumed, properties },
    5,
  );
}
