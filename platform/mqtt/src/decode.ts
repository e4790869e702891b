import {
  type IConnectPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  type ISubscribePacket,
  type Packet,
  type Parser,
  parser as createParser,
} from 'mqtt-packet';
import type {
  ClientPacket,
  ConnectPacket,
  PacketMessage,
  PublishPacket,
  WillPacket,
} from './client-packets.ts';
import { decodePlainPublish, variableHeaderAt } from './decode-publish.ts';
import { PacketFault } from './packet-fault.ts';
import { PacketProperties } from './packet-properties.ts';
import { reason } from './reason-codes.ts';

/** One parser a version serves all connections: it is given whole packets only and keeps nothing between them. */
const parsers: Record<4 | 5, Parser> = { 4: listening(4), 5: listening(5) };
let parsed: Packet | undefined;
let consumedBytes: unknown;
let fault = false;

function listening(protocolVersion: 4 | 5): Parser {
  const parser = createParser({ protocolVersion });
  parser.on('packet', (packet) => {
    parsed = packet;
    consumedBytes = Reflect.get(parser, '_pos');
  });
  parser.on('error', () => {
    fault = true;
  });
  return parser;
}

/** A whole packet of an accepted client. Throws `PacketFault`. */
export function decodePacket(frame: Buffer, protocolVersion: 4 | 5): ClientPacket {
  return guarded(() => readPacket(frame, protocolVersion));
}

function readPacket(frame: Buffer, protocolVersion: 4 | 5): ClientPacket {
  if (((frame[0] ?? 0) & 0xf0) === 0x30) {
    const plain = decodePlainPublish(frame, variableHeaderAt(frame), protocolVersion);
    if (plain) return plain;
  }
  const packet = parse(frame, protocolVersion);
  switch (packet.cmd) {
    case 'publish':
      return readPublish(packet);
    case 'puback':
      whole(packet, frame);
      return {
        type: 'puback',
        packetId: packetIdOf(packet),
        reasonCode: packet.reasonCode ?? reason.success,
      };
    case 'pubrec':
      whole(packet, frame);
      return {
        type: 'pubrec',
        packetId: packetIdOf(packet),
        reasonCode: packet.reasonCode ?? reason.success,
      };
    case 'pubrel':
    case 'pubcomp':
      whole(packet, frame);
      return { type: packet.cmd, packetId: packetIdOf(packet) };
    case 'subscribe':
      return readSubscribe(packet);
    case 'unsubscribe':
      if (packet.unsubscriptions.length === 0) throw new PacketFault(reason.protocolError);
      packet.unsubscriptions.forEach(text);
      return {
        type: 'unsubscribe',
        packetId: packetIdOf(packet),
        filters: packet.unsubscriptions,
      };
    case 'pingreq':
      if (frame.length !== 2) throw new PacketFault(reason.malformedPacket);
      return { type: 'pingreq' };
    case 'disconnect':
      return readDisconnect(packet, frame);
    case 'auth':
    case 'connack':
    case 'connect':
    case 'pingresp':
    case 'suback':
    case 'unsuback':
      break;
  }
  // A second CONNECT, and what only a server sends.
  throw new PacketFault(reason.protocolError);
}

/** The first packet of a connection. Throws `PacketFault`; its code goes into a CONNACK if it is a CONNECT. */
export function decodeConnect(frame: Buffer): ConnectPacket {
  if (!isConnect(frame)) throw new PacketFault(reason.protocolError);
  if (!hasKnownVersion(frame)) throw new PacketFault(reason.unsupportedProtocolVersion);
  // A parser of its own: the codec takes the version of the CONNECT for everything after it.
  let packet: Packet | undefined;
  let failed = false;
  let consumed: unknown;
  const parser = createParser({});
  parser.on('error', () => {
    failed = true;
  });
  parser.on('packet', (read) => {
    packet = read;
    consumed = Reflect.get(parser, '_pos');
  });
  return guarded(() => {
    parser.parse(frame);
    if (failed || packet?.cmd !== 'connect' || consumed !== packet.length) {
      throw new PacketFault(reason.malformedPacket);
    }
    return readConnect(packet);
  });
}

export const isConnect = (frame: Buffer): boolean => frame[0] === 0x10;

/** The version that a refusal has to speak: the level byte follows the protocol's name (section 3.1.2.2). */
export function connectVersion(frame: Buffer): number | undefined {
  const name = frame.indexOf('\0\x04MQTT', 2, 'latin1');
  return name >= 2 && name <= 5 ? frame[name + 6] : undefined;
}

function hasKnownVersion(frame: Buffer): boolean {
  const version = connectVersion(frame);
  return version === 4 || version === 5;
}

function parse(frame: Buffer, protocolVersion: 4 | 5): Packet {
  parsed = undefined;
  fault = false;
  const parser = parsers[protocolVersion];
  // A CONNECT would set the version of the parser, which serves others too.
  const left = frame[0] === 0x10 ? -1 : parser.parse(frame);
  if (left !== 0 || fault || !parsed) {
    parsers[protocolVersion] = listening(protocolVersion);
    throw new PacketFault(left === -1 ? reason.protocolError : reason.malformedPacket);
  }
  return parsed;
}

/** The codec reads past ends in a few places; what that throws is a malformed packet. */
function guarded<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw error instanceof PacketFault ? error : new PacketFault(reason.malformedPacket);
  }
}

function whole(packet: Packet, frame: Buffer): void {
  if (
    packet.length === undefined ||
    packet.length > frame.length ||
    consumedBytes !== packet.length
  ) {
    throw new PacketFault(reason.malformedPacket);
  }
}

function packetIdOf(packet: Packet): number {
  const id = packet.messageId;
  // The codec says -1 for an id that is cut off.
  if (id === undefined || id < 0) throw new PacketFault(reason.malformedPacket);
  if (id === 0) throw new PacketFault(reason.protocolError);
  return id;
}

/** Ill-formed UTF-8 reads as U+FFFD, which none of these texts may hold. */
function text(value: unknown): string {
  if (typeof value !== 'string' || value.includes('\0') || value.includes('\u{FFFD}')) {
    throw new PacketFault(reason.malformedPacket);
  }
  return value;
}

function bytes(value: string | Buffer): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value;
}

/** With properties, so of MQTT 5; the rest of it was checked before. */
function readPublish(packet: IPublishPacket): PublishPacket {
  const properties = new PacketProperties('publish', packet.properties);
  return {
    type: 'publish',
    ...readMessage(packet, properties),
    dup: packet.dup,
    packetId: packet.qos === 0 ? undefined : packetIdOf(packet),
    topicAlias: properties.integer('topicAlias'),
  };
}

function readMessage(
  packet: { topic: string; payload: string | Buffer; qos?: 0 | 1 | 2; retain?: boolean },
  properties: PacketProperties,
): PacketMessage {
  return {
    topic: packet.topic,
    payload: bytes(packet.payload),
    qos: packet.qos ?? 0,
    retain: packet.retain ?? false,
    expirySeconds: properties.integer('messageExpiryInterval'),
    properties: properties.forwarded(),
  };
}

function readConnect(packet: IConnectPacket): ConnectPacket {
  const protocolVersion = packet.protocolVersion === 5 ? 5 : 4;
  const properties = new PacketProperties('connect', packet.properties);
  const { will } = packet;
  if (packet.password && packet.username === undefined && protocolVersion === 4) {
    throw new PacketFault(reason.malformedPacket);
  }
  return {
    type: 'connect',
    protocolVersion,
    clientId: text(packet.clientId),
    cleanStart: packet.clean ?? false,
    keepAliveSeconds: packet.keepalive ?? 0,
    userName: packet.username === undefined ? undefined : text(packet.username),
    password: packet.password,
    will: will ? readWill(will) : undefined,
    sessionExpirySeconds: properties.integer('sessionExpiryInterval'),
    receiveMaximum: properties.positive('receiveMaximum') ?? 65_535,
    packetBytesMax: properties.positive('maximumPacketSize'),
    authenticationMethod: properties.text('authenticationMethod'),
  };
}

function readWill(will: NonNullable<IConnectPacket['will']> & { retain?: boolean }): WillPacket {
  text(will.topic);
  if (will.qos === undefined || will.qos > 2) throw new PacketFault(reason.malformedPacket);
  const properties = new PacketProperties('will', will.properties);
  return {
    ...readMessage(will, properties),
    delaySeconds: properties.integer('willDelayInterval') ?? 0,
  };
}

function readSubscribe(packet: ISubscribePacket): ClientPacket {
  const packetId = packetIdOf(packet);
  if (packet.subscriptions.length === 0) throw new PacketFault(reason.protocolError);
  const properties = new PacketProperties('subscribe', packet.properties);
  return {
    type: 'subscribe',
    packetId,
    identifier: properties.positive('subscriptionIdentifier'),
    subscriptions: packet.subscriptions.map((asked) => ({
      filter: text(asked.topic),
      qos: asked.qos,
      noLocal: asked.nl ?? false,
      retainAsPublished: asked.rap ?? false,
      retainHandling: asked.rh ?? 0,
    })),
  };
}

function readDisconnect(packet: IDisconnectPacket, frame: Buffer): ClientPacket {
  const properties = new PacketProperties('disconnect', packet.properties);
  const empty = frame.length === 2;
  return {
    type: 'disconnect',
    reasonCode: empty ? reason.success : (packet.reasonCode ?? reason.success),
    sessionExpirySeconds: properties.integer('sessionExpiryInterval'),
  };
}
