import { generate, type Packet } from 'mqtt-packet';
import { connectReturnCode, reason } from './reason-codes.ts';

const ackTypes = { puback: 0x40, pubrec: 0x50, pubcomp: 0x70 } as const;

/** By hand, as it is what is sent most (MQTT 5, section 3.4). */
export function encodeAck(
  type: keyof typeof ackTypes,
  packetId: number,
  reasonCode: number,
  protocolVersion: 4 | 5,
): Buffer {
  const low = packetId & 0xff;
  const high = packetId >> 8;
  return protocolVersion === 5 && reasonCode !== reason.success
    ? Buffer.from([ackTypes[type], 3, high, low, reasonCode])
    : Buffer.from([ackTypes[type], 2, high, low]);
}

export const encodedPingResponse = Buffer.from([0xd0, 0]);

export function encodeDisconnect(reasonCode: number): Buffer {
  return Buffer.from([0xe0, 2, reasonCode, 0]);
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
