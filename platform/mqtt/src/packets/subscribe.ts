import type { SubscribePacket } from '../client-packets.ts';
import { malformed, protocolError } from '../packet-fault.ts';
import { failureFrom, reason } from '../reason-codes.ts';
import { packetIdOf } from './acks.ts';
import type { PacketReader } from './packet-reader.ts';
import { PacketWriter } from './packet-writer.ts';
import { Properties } from './properties.ts';

/** SUBSCRIBE (section 3.8). */
export function readSubscribe(reader: PacketReader, protocolVersion: 4 | 5): SubscribePacket {
  const packetId = packetIdOf(reader);
  const properties =
    protocolVersion === 5 ? Properties.read(reader, 'subscribe') : new Properties();
  const identifier = properties.positive('subscriptionIdentifier');
  const subscriptions: SubscribePacket['subscriptions'][number][] = [];
  while (reader.left > 0) {
    subscriptions.push({ filter: reader.text(), ...optionsOf(reader.byte(), protocolVersion) });
  }
  if (subscriptions.length === 0) throw protocolError('A SUBSCRIBE of nothing');
  return { type: 'subscribe', packetId, identifier, subscriptions };
}

/** Section 3.8.3.1. */
function optionsOf(bits: number, protocolVersion: 4 | 5) {
  const qos = bits & 3;
  const retainHandling = (bits >> 4) & 3;
  const reserved = protocolVersion === 5 ? 0xc0 : 0xfc;
  if (qos === 3) throw malformed('The QoS asked for is 3');
  if (bits & reserved) throw malformed('Reserved bits of a subscription are set');
  if (retainHandling === 3) throw protocolError('The retain handling asked for is 3');
  return {
    qos: qos === 0 ? (0 as const) : qos === 1 ? (1 as const) : (2 as const),
    noLocal: (bits & 0x04) !== 0,
    retainAsPublished: (bits & 0x08) !== 0,
    retainHandling,
  };
}

const scratch = new PacketWriter();

/** SUBACK (section 3.9); in 3.1.1 every failure is 0x80. */
export function encodeSuback(
  packetId: number,
  codes: readonly number[],
  protocolVersion: 4 | 5,
): Buffer {
  scratch.clear().u16(packetId);
  if (protocolVersion === 5) scratch.byte(0);
  for (const code of codes) {
    scratch.byte(protocolVersion === 4 && code >= failureFrom ? reason.unspecified : code);
  }
  return scratch.packet(0x90);
}
