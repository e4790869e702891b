import type { AckPacket } from '../client-packets.ts';
import { protocolError } from '../packet-fault.ts';
import { reason } from '../reason-codes.ts';
import { type PacketReader } from './packet-reader.ts';
import { Properties } from './properties.ts';

/** First bytes (section 2.1.2). */
export const ackBytes = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const;

const ofPublish = new Set<number>([
  reason.success,
  reason.noMatchingSubscribers,
  reason.unspecified,
  reason.implementationSpecific,
  reason.notAuthorized,
  reason.topicNameInvalid,
  reason.packetIdInUse,
  reason.quotaExceeded,
  reason.payloadFormatInvalid,
]);
const ofRelease = new Set<number>([reason.success, reason.packetIdNotFound]);
const known = { puback: ofPublish, pubrec: ofPublish, pubrel: ofRelease, pubcomp: ofRelease };

/** PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7). */
export function readAck(
  reader: PacketReader,
  type: AckPacket['type'],
  protocolVersion: 4 | 5,
): AckPacket {
  const packetId = packetIdOf(reader);
  let reasonCode: number = reason.success;
  if (protocolVersion === 5 && reader.left > 0) {
    reasonCode = reader.byte();
    if (!known[type].has(reasonCode)) {
      throw protocolError(`A ${type} may not say ${reasonCode}`);
    }
    if (reader.left > 0) Properties.read(reader, 'ack');
  }
  reader.ends();
  return { type, packetId, reasonCode };
}

export function packetIdOf(reader: PacketReader): number {
  const packetId = reader.u16();
  if (packetId === 0) throw protocolError('The packet id is 0');
  return packetId;
}

/** An ack with a reason code and no properties (section 3.4). */
export function encodeAck(firstByte: number, packetId: number, reasonCode: number): Buffer {
  return Buffer.from([firstByte, 3, packetId >> 8, packetId & 0xff, reasonCode]);
}
