/**
 * MQTT packets as bytes, for tests alone. It shares nothing with the server, and it writes what is illegal too: every
 * part of a packet can be given as it should not be.
 */

export type Version = 4 | 5;

export const packetType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;

/** MQTT 5, section 2.2.2.2: the identifier of a property and the kind of its value. */
export const propertyKinds = {
  payloadFormat: [0x01, 'byte'],
  messageExpiry: [0x02, 'u32'],
  contentType: [0x03, 'text'],
  responseTopic: [0x08, 'text'],
  correlationData: [0x09, 'bytes'],
  subscriptionIdentifier: [0x0b, 'varint'],
  sessionExpiry: [0x11, 'u32'],
  assignedClientId: [0x12, 'text'],
  serverKeepAlive: [0x13, 'u16'],
  authMethod: [0x15, 'text'],
  authData: [0x16, 'bytes'],
  requestProblem: [0x17, 'byte'],
  willDelay: [0x18, 'u32'],
  requestResponse: [0x19, 'byte'],
  responseInformation: [0x1a, 'text'],
  serverReference: [0x1c, 'text'],
  reasonString: [0x1f, 'text'],
  receiveMaximum: [0x21, 'u16'],
  topicAliasMaximum: [0x22, 'u16'],
  topicAlias: [0x23, 'u16'],
  maximumQos: [0x24, 'byte'],
  retainAvailable: [0x25, 'byte'],
  userProperty: [0x26, 'pair'],
  maximumPacketSize: [0x27, 'u32'],
  wildcardAvailable: [0x28, 'byte'],
  identifiersAvailable: [0x29, 'byte'],
  sharedAvailable: [0x2a, 'byte'],
} as const;

export type PropertyName = keyof typeof propertyKinds;
export type PropertyValue = number | string | Buffer | readonly [string | Buffer, string | Buffer];
/** In their order, repeats and all. */
export type Properties = readonly (readonly [PropertyName, PropertyValue])[];

export function byte(value: number): Buffer {
  return Buffer.from([value & 0xff]);
}

export function u16(value: number): Buffer {
  return Buffer.from([(value >> 8) & 0xff, value & 0xff]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** Length-prefixed, as a UTF-8 string or binary data. */
export function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(bytes.length), bytes]);
}

export function property([name, value]: Properties[number]): Buffer {
  const [identifier, kind] = propertyKinds[name];
  const numbers = { byte, u16, u32, varint };
  if (kind !== 'text' && kind !== 'bytes' && kind !== 'pair') {
    return Buffer.concat([byte(identifier), numbers[kind](Number(value))]);
  }
  if (typeof value === 'number') throw new TypeError(`${name} is no number`);
  if (typeof value === 'string' || Buffer.isBuffer(value)) {
    return Buffer.concat([byte(identifier), text(value)]);
  }
  return Buffer.concat([byte(identifier), text(value[0]), text(value[1])]);
}

export function propertyBlock(properties: Properties = []): Buffer {
  const bytes = Buffer.concat(properties.map(property));
  return Buffer.concat([varint(bytes.length), bytes]);
}

/** A whole packet: `firstByte` is type and flags. */
export function packet(firstByte: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([byte(firstByte), varint(body.length), body]);
}

function blockOf(version: Version, properties: Properties | undefined): Buffer {
  return version === 5 ? propertyBlock(properties) : Buffer.alloc(0);
}

export interface Will {
  readonly topic: string | Buffer;
  readonly payload: string | Buffer;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly properties?: Properties;
}

export interface Connect {
  readonly clientId?: string | Buffer;
  readonly clean?: boolean;
  readonly keepAlive?: number;
  readonly properties?: Properties;
  readonly will?: Will;
  readonly userName?: string | Buffer;
  readonly password?: string | Buffer;
  readonly protocolName?: string | Buffer;
  readonly level?: number;
  /** Instead of those that follow from the rest. */
  readonly flags?: number;
  readonly headerFlags?: number;
}

export function connectPacket(version: Version, of: Connect): Buffer {
  const { will, userName, password } = of;
  const flags =
    (of.clean === false ? 0 : 0x02) |
    (will ? 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0) : 0) |
    (password === undefined ? 0 : 0x40) |
    (userName === undefined ? 0 : 0x80);
  return packet(
    0x10 | (of.headerFlags ?? 0),
    text(of.protocolName ?? 'MQTT'),
    byte(of.level ?? version),
    byte(of.flags ?? flags),
    u16(of.keepAlive ?? 0),
    blockOf(version, of.properties),
    text(of.clientId ?? ''),
    ...(will ? [blockOf(version, will.properties), text(will.topic), text(will.payload)] : []),
    ...(userName === undefined ? [] : [text(userName)]),
    ...(password === undefined ? [] : [text(password)]),
  );
}

export interface Publish {
  readonly topic: string | Buffer;
  readonly payload?: string | Buffer;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  /** 0 is sent as it is with QoS above 0. */
  readonly id?: number;
  readonly properties?: Properties;
}

export function publishPacket(version: Version, of: Publish): Buffer {
  const qos = of.qos ?? 0;
  const flags = (of.dup === true ? 8 : 0) | (qos << 1) | (of.retain === true ? 1 : 0);
  return packet(
    0x30 | flags,
    text(of.topic),
    qos === 0 ? Buffer.alloc(0) : u16(of.id ?? 0),
    blockOf(version, of.properties),
    Buffer.from(of.payload ?? ''),
  );
}

export interface Ack {
  readonly type: number;
  readonly id: number;
  /** Left out: the short form, which both versions have. */
  readonly code?: number;
  readonly properties?: Properties;
  readonly flags?: number;
}

export function ackPacket({ type, id, code, properties, flags }: Ack): Buffer {
  const rest = code === undefined ? [] : [byte(code)];
  const block = properties === undefined ? [] : [propertyBlock(properties)];
  const first = (type << 4) | (flags ?? (type === packetType.pubrel ? 2 : 0));
  return packet(first, u16(id), ...rest, ...block);
}

export type Filter = readonly [filter: string | Buffer, options: number];

export interface Subscribe {
  readonly id: number;
  readonly filters: readonly Filter[];
  readonly properties?: Properties;
  readonly flags?: number;
}

export function subscribePacket(version: Version, of: Subscribe): Buffer {
  return packet(
    0x80 | (of.flags ?? 2),
    u16(of.id),
    blockOf(version, of.properties),
    ...of.filters.flatMap(([filter, options]) => [text(filter), byte(options)]),
  );
}

export interface Unsubscribe {
  readonly id: number;
  readonly filters: readonly (string | Buffer)[];
  readonly properties?: Properties;
  readonly flags?: number;
}

export function unsubscribePacket(version: Version, of: Unsubscribe): Buffer {
  return packet(
    0xa0 | (of.flags ?? 2),
    u16(of.id),
    blockOf(version, of.properties),
    ...of.filters.map((filter) => text(filter)),
  );
}

export const pingPacket = packet(0xc0);

export function disconnectPacket(code?: number, properties?: Properties): Buffer {
  if (code === undefined) return packet(0xe0);
  return packet(0xe0, byte(code), ...(properties ? [propertyBlock(properties)] : []));
}
