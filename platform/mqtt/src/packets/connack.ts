import type { ConnectPacket } from '../client-packets.ts';
import type { MqttFeatures, MqttLimits } from '../limits.ts';
import { connectReturnCode, reason } from '../reason-codes.ts';
import { neverExpires } from './connect.ts';
import { PacketWriter } from './packet-writer.ts';
import { writeProperties } from './properties.ts';

export interface Accepted {
  readonly connect: ConnectPacket;
  readonly clientId: string;
  /** As granted. */
  readonly expirySeconds: number;
  readonly resumed: boolean;
  readonly serverKeepAliveSeconds: number | undefined;
}

const scratch = new PacketWriter();

/** CONNACK (section 3.2) for an accepted client, with what we keep to. */
export function encodeConnack(
  { connect, clientId, expirySeconds, resumed, serverKeepAliveSeconds }: Accepted,
  limits: MqttLimits,
  features: MqttFeatures,
): Buffer {
  scratch
    .clear()
    .byte(resumed ? 1 : 0)
    .byte(reason.success);
  if (connect.protocolVersion === 4) return scratch.packet(0x20);
  const isAsAsked = expirySeconds === (connect.sessionExpirySeconds ?? 0);
  writeProperties(scratch, {
    numbers: {
      sessionExpiryInterval: isAsAsked ? undefined : Math.min(expirySeconds, neverExpires),
      receiveMaximum: unless(limits.receiveMaximum, 65_535),
      maximumQoS: features.qosMax === 2 ? undefined : features.qosMax,
      retainAvailable: features.retain ? undefined : 0,
      maximumPacketSize: limits.packetBytesMax,
      topicAliasMaximum: unless(limits.topicAliasMax, 0),
      wildcardSubscriptionAvailable: features.wildcardSubscriptions ? undefined : 0,
      subscriptionIdentifiersAvailable: features.subscriptionIdentifiers ? undefined : 0,
      sharedSubscriptionAvailable: features.sharedSubscriptions ? undefined : 0,
      serverKeepAlive: serverKeepAliveSeconds,
    },
    texts: { assignedClientIdentifier: connect.clientId === '' ? clientId : undefined },
  });
  return scratch.packet(0x20);
}

/** What is the default of the standard need not be said. */
const unless = (value: number, byDefault: number) => (value === byDefault ? undefined : value);

/** A refused CONNECT, in the words of the client's version. */
export function encodeRefusal(
  reasonCode: number,
  protocolVersion: 4 | 5,
  reasonString?: string,
): Buffer {
  if (protocolVersion === 4) return Buffer.from([0x20, 2, 0, connectReturnCode(reasonCode)]);
  scratch.clear().byte(0).byte(reasonCode);
  return writeProperties(scratch, { texts: { reasonString } }).packet(0x20);
}
