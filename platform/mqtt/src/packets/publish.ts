import { isUtf8 } from 'node:buffer';
import type { PublishPacket } from '../client-packets.ts';
import type { MessageProperties } from '../owner.ts';
import { malformed, protocolError } from '../packet-fault.ts';
import { PacketReader, variableHeaderAt } from './packet-reader.ts';
import { PacketWriter } from './packet-writer.ts';
import { Properties, writeProperties } from './properties.ts';

const noProperties: MessageProperties = Object.freeze({});

/** PUBLISH (section 3.3), by position since it is nearly all that a broker reads. */
export function decodePublish(frame: Buffer, protocolVersion: 4 | 5): PublishPacket {
  const flags = frame[0] ?? 0;
  const header = variableHeaderAt(frame);
  const qos = (flags >> 1) & 3;
  const dup = (flags & 8) !== 0;
  if (qos > 2) throw malformed('The QoS is 3');
  if (qos === 0 && dup) throw malformed('DUP is set, and the QoS is 0');
  if (header + 2 > frame.length) throw malformed('The packet is cut off');
  const topicFrom = header + 2;
  const topicEnd = topicFrom + frame.readUInt16BE(header);
  const idBytes = qos === 0 ? 0 : 2;
  const propertiesAt = topicEnd + idBytes;
  const isShort = propertiesAt + (protocolVersion === 5 ? 1 : 0) > frame.length;
  if (isShort) throw malformed('The packet is cut off');
  const topic = frame.subarray(topicFrom, topicEnd);
  if (topic.includes(0) || !isUtf8(topic)) throw malformed('The topic is not well-formed UTF-8');
  const packetId = idBytes === 0 ? undefined : frame.readUInt16BE(topicEnd);
  if (packetId === 0) throw protocolError('The packet id is 0');
  const isPlain = protocolVersion === 4 || frame[propertiesAt] === 0;
  const rest = isPlain ? undefined : readRest(new PacketReader(frame, propertiesAt));
  const payloadAt = propertiesAt + (protocolVersion === 5 ? 1 : 0);
  return {
    type: 'publish',
    topic: topic.toString('utf8'),
    payload: rest ? rest.payload : frame.subarray(payloadAt),
    qos: qos === 0 ? 0 : qos === 1 ? 1 : 2,
    retain: (flags & 1) !== 0,
    dup,
    packetId,
    topicAlias: rest?.topicAlias,
    expirySeconds: rest?.expirySeconds,
    properties: rest ? rest.properties : noProperties,
  };
}

function readRest(reader: PacketReader) {
  const properties = Properties.read(reader, 'publish');
  return {
    topicAlias: properties.integer('topicAlias'),
    expirySeconds: properties.integer('messageExpiryInterval'),
    properties: properties.forwarded(),
    payload: reader.rest(),
  };
}

export interface PublishToClient {
  readonly topic: string;
  /** Told beside the topic, or instead of it if that is empty. */
  readonly topicAlias: number | undefined;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly dup: boolean;
  readonly retain: boolean;
  readonly packetId: number | undefined;
  /** Seconds that are left. */
  readonly expirySeconds: number | undefined;
  readonly identifiers: readonly number[];
  readonly properties: MessageProperties | undefined;
}

const scratch = new PacketWriter();

export function encodePublish(packet: PublishToClient, protocolVersion: 4 | 5): Buffer {
  const { topic, topicAlias, payload, qos, dup, retain, packetId } = packet;
  scratch.clear().text(topic);
  if (packetId !== undefined) scratch.u16(packetId);
  if (protocolVersion === 5) {
    writeProperties(scratch, {
      numbers: { messageExpiryInterval: packet.expirySeconds, topicAlias },
      message: packet.properties,
      subscriptionIdentifiers: packet.identifiers,
    });
  }
  scratch.raw(payload);
  return scratch.packet(0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0));
}
