import type { ClientPacket } from '../client-packets.ts';
import { malformed, protocolError } from '../packet-fault.ts';
import { readAck } from './acks.ts';
import { readDisconnect } from './disconnect.ts';
import { PacketReader } from './packet-reader.ts';
import { Properties } from './properties.ts';
import { decodePublish } from './publish.ts';
import { readSubscribe } from './subscribe.ts';
import { readUnsubscribe } from './unsubscribe.ts';

export const encodedPingResponse = Buffer.from([0xd0, 0]);

const typeMask = 0xf0;

/** A whole packet of an accepted client (section 2.1). Throws `PacketFault`. */
export function decodePacket(frame: Buffer, version: 4 | 5): ClientPacket {
  const firstByte = frame[0] ?? 0;
  if ((firstByte & typeMask) === 0x30) return decodePublish(frame, version);
  const reader = new PacketReader(frame);
  // With its flags: any others than these are malformed (section 2.1.3).
  switch (firstByte) {
    case 0x40:
      return readAck(reader, 'puback', version);
    case 0x50:
      return readAck(reader, 'pubrec', version);
    case 0x62:
      return readAck(reader, 'pubrel', version);
    case 0x70:
      return readAck(reader, 'pubcomp', version);
    case 0x82:
      return readSubscribe(reader, version);
    case 0xa2:
      return readUnsubscribe(reader, version);
    case 0xc0:
      reader.ends();
      return { type: 'pingreq' };
    case 0xe0:
      return readDisconnect(reader, version);
    case 0xf0:
      return readAuth(reader, version);
    case 0x10:
      throw protocolError('A second CONNECT');
    case 0x20:
    case 0x90:
    case 0xb0:
    case 0xd0:
      throw protocolError('This packet is sent by servers only');
    default:
      throw malformed('The type or the flags of the packet are wrong');
  }
}

/** AUTH (section 3.15). */
function readAuth(reader: PacketReader, version: 4 | 5): ClientPacket {
  if (version === 4) throw malformed('MQTT 3.1.1 has no AUTH');
  if (reader.left > 0) {
    const reasonCode = reader.byte();
    if (![0x00, 0x18, 0x19].includes(reasonCode)) {
      throw protocolError(`An AUTH may not say ${reasonCode}`);
    }
    if (reader.left > 0) Properties.read(reader, 'auth');
  }
  reader.ends();
  return { type: 'auth' };
}
