import { isUtf8 } from 'node:buffer';
import type { PublishPacket } from './client-packets.ts';
import { PacketFault } from './packet-fault.ts';
import { reason } from './reason-codes.ts';

const noProperties = Object.freeze({});

/**
 * PUBLISH without properties (MQTT 5, section 3.3), read by hand since it is nearly all that a broker reads.
 * `undefined`: it has properties, which the codec reads. `header` is where its topic begins.
 */
export function decodePlainPublish(
  frame: Buffer,
  header: number,
  protocolVersion: 4 | 5,
): PublishPacket | undefined {
  const flags = frame[0] ?? 0;
  const qos = (flags >> 1) & 3;
  const dup = (flags & 8) !== 0;
  if (qos > 2 || (qos === 0 && dup) || header + 2 > frame.length) {
    throw new PacketFault(reason.malformedPacket);
  }
  const topicFrom = header + 2;
  const topicEnd = topicFrom + frame.readUInt16BE(header);
  const idBytes = qos === 0 ? 0 : 2;
  const propertiesAt = topicEnd + idBytes;
  const payloadAt = propertiesAt + (protocolVersion === 5 ? 1 : 0);
  if (payloadAt > frame.length) throw new PacketFault(reason.malformedPacket);
  if (!isUtf8(frame.subarray(topicFrom, topicEnd))) throw new PacketFault(reason.malformedPacket);
  if (protocolVersion === 5 && frame[propertiesAt] !== 0) return undefined;
  const packetId = idBytes === 0 ? undefined : frame.readUInt16BE(topicEnd);
  if (packetId === 0) throw new PacketFault(reason.protocolError);
  return {
    type: 'publish',
    topic: frame.toString('utf8', topicFrom, topicEnd),
    payload: frame.subarray(payloadAt),
    qos: qos === 0 ? 0 : qos === 1 ? 1 : 2,
    retain: (flags & 1) !== 0,
    dup,
    packetId,
    topicAlias: undefined,
    expirySeconds: undefined,
    properties: noProperties,
  };
}

/** Where the variable header begins: behind the type and a length of one to four bytes. */
export function variableHeaderAt(frame: Buffer): number {
  let at = 1;
  while (at < 4 && (frame[at] ?? 0) >= 0x80) at += 1;
  return at + 1;
}
