import type { DisconnectPacket } from '../client-packets.ts';
import type { DisconnectDetails } from '../owner.ts';
import { protocolError } from '../packet-fault.ts';
import { disconnectCodes, reason, reasonWords } from '../reason-codes.ts';
import { neverExpires } from './connect.ts';
import type { PacketReader } from './packet-reader.ts';
import { PacketWriter } from './packet-writer.ts';
import { Properties, writeProperties } from './properties.ts';

/** DISCONNECT (section 3.14), which is empty in 3.1.1. */
export function readDisconnect(reader: PacketReader, protocolVersion: 4 | 5): DisconnectPacket {
  let reasonCode: number = reason.success;
  let properties = new Properties();
  if (protocolVersion === 5 && reader.left > 0) {
    reasonCode = reader.byte();
    if (!disconnectCodes.has(reasonCode)) {
      throw protocolError(`A DISCONNECT may not say ${reasonCode}`);
    }
    if (reader.left > 0) properties = Properties.read(reader, 'disconnect');
  }
  reader.ends();
  const expiry = properties.integer('sessionExpiryInterval');
  return {
    type: 'disconnect',
    reasonCode,
    sessionExpirySeconds: expiry === neverExpires ? Infinity : expiry,
  };
}

const scratch = new PacketWriter();

/**
 * With words: some clients read the code only where something follows it. What does not fit into the client's maximum packet size is left
 * unsaid, the reason string first.
 */
export function encodeDisconnect(
  reasonCode: number,
  { reasonString = reasonWords(reasonCode), serverReference }: DisconnectDetails = {},
  packetBytesMax = Infinity,
): Buffer {
  const tries = [{ reasonString, serverReference }, { serverReference }, {}];
  for (const texts of tries) {
    scratch.clear().byte(reasonCode);
    const packet = writeProperties(scratch, { texts }).packet(0xe0);
    if (packet.length <= packetBytesMax) return packet;
  }
  return Buffer.from([0xe0, 1, reasonCode]);
}
