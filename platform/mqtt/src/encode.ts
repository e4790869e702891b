import { generate, type Packet } from 'mqtt-packet';
import type { DisconnectDetails } from './owner.ts';
import { connectReturnCode } from './reason-codes.ts';

/** First bytes (MQTT 5, section 2.1.2). */
export const ackBytes = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const;

/** An ack with a reason code and no properties (MQTT 5, section 3.4). */
export function encodeReason(firstByte: number, packetId: number, reasonCode: number): Buffer {
  return Buffer.from([firstByte, 3, packetId >> 8, packetId & 0xff, reasonCode]);
}

export const encodedPingResponse = Buffer.from([0xd0, 0]);

export function encodeDisconnect(reasonCode: number, details: DisconnectDetails = {}): Buffer {
  return encode({ cmd: 'disconnect', reasonCode, properties: { ...details } }, 5);
}

export function encodeUnsuback(
  packetId: number,
  codes: readonly number[],
  protocolVersion: 4 | 5,
): Buffer {
  return encode({ cmd: 'unsuback', messageId: packetId, granted: [...codes] }, protocolVersion);
}

/** A refused CONNECT, in the words of the client's version; unknown versions get those of 3.1.1. */
export function encodeRefusal(reasonCode: number, protocolVersion: number | undefined): Buffer {
  return protocolVersion === 5
    ? Buffer.from([0x20, 3, 0, reasonCode, 0])
    : Buffer.from([0x20, 2, 0, connectReturnCode(reasonCode)]);
}

export function encode(packet: Packet, protocolVersion: 4 | 5): Buffer {
  return generate(packet, { protocolVersion });
}
