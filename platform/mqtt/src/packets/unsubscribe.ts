import type { UnsubscribePacket } from '../client-packets.ts';
import { protocolError } from '../packet-fault.ts';
import { packetIdOf } from './acks.ts';
import type { PacketReader } from './packet-reader.ts';
import { PacketWriter } from './packet-writer.ts';
import { Properties } from './properties.ts';

/** UNSUBSCRIBE (section 3.10). */
export function readUnsubscribe(reader: PacketReader, protocolVersion: 4 | 5): UnsubscribePacket {
  const packetId = packetIdOf(reader);
  if (protocolVersion === 5) Properties.read(reader, 'unsubscribe');
  const filters: string[] = [];
  while (reader.left > 0) filters.push(reader.text());
  if (filters.length === 0) throw protocolError('An UNSUBSCRIBE of nothing');
  return { type: 'unsubscribe', packetId, filters };
}

const scratch = new PacketWriter();

/** UNSUBACK (section 3.11), which has no codes in 3.1.1. */
export function encodeUnsuback(
  packetId: number,
  codes: readonly number[],
  protocolVersion: 4 | 5,
): Buffer {
  scratch.clear().u16(packetId);
  if (protocolVersion === 5) {
    scratch.byte(0);
    for (const code of codes) scratch.byte(code);
  }
  return scratch.packet(0xb0);
}
