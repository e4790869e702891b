import { packetType, propertyKinds, type PropertyName, type Version } from './wire.ts';

/**
 * A packet that the server sent. What its type does not have is 0, empty or false. Reading throws where the server
 * broke the format: such a test has found something.
 */
export interface Heard {
  readonly type: number;
  readonly flags: number;
  /** Of the whole packet. */
  readonly bytes: number;
  readonly id: number;
  /** Of CONNACK, acks, DISCONNECT and AUTH. */
  readonly code: number;
  /** Of SUBACK and UNSUBACK. */
  readonly codes: readonly number[];
  readonly sessionPresent: boolean;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly dup: boolean;
  readonly retain: boolean;
  readonly properties: readonly HeardProperty[];
}

export type HeardValue = number | string | Buffer | readonly [string, string];
export type HeardProperty = readonly [PropertyName, HeardValue];

/** The bytes of the first whole packet, if there is one. */
export function firstPacketBytes(bytes: Buffer): number | undefined {
  let length = 0;
  for (let at = 1; at <= 4; at += 1) {
    const each = bytes[at];
    if (each === undefined) return undefined;
    length += (each & 0x7f) * 128 ** (at - 1);
    if (each < 0x80) {
      if (at > 1 && each === 0)
        throw new Error('The server sent a length that is not the shortest');
      const end = at + 1 + length;
      return bytes.length >= end ? end : undefined;
    }
  }
  throw new Error('The server sent a length of five bytes');
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number): Buffer {
    if (this.left < count) throw new Error('The server sent a packet that is cut');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  number(count: number): number {
    return this.take(count).readUIntBE(0, count);
  }

  varint(): number {
    let value = 0;
    for (let at = 0; at < 4; at += 1) {
      const each = this.number(1);
      value += (each & 0x7f) * 128 ** at;
      if (each < 0x80) return value;
    }
    throw new Error('The server sent an integer of five bytes');
  }

  text(): string {
    const found = utf8.decode(this.take(this.number(2)));
    if (found.includes('\0')) throw new Error('The server sent U+0000');
    return found;
  }

  value(kind: 'byte' | 'u16' | 'u32' | 'varint' | 'text' | 'bytes' | 'pair'): HeardValue {
    if (kind === 'byte') return this.number(1);
    if (kind === 'u16') return this.number(2);
    if (kind === 'u32') return this.number(4);
    if (kind === 'varint') return this.varint();
    if (kind === 'text') return this.text();
    return kind === 'bytes' ? this.take(this.number(2)) : [this.text(), this.text()];
  }

  block(): Reader {
    return new Reader(this.take(this.varint()));
  }
}

const repeatable = new Set<PropertyName>(['userProperty', 'subscriptionIdentifier']);

/** MQTT 5, table 2-4, as far as a server sends it. */
const allowed: Readonly<Record<number, readonly PropertyName[]>> = {
  [packetType.connack]: [
    'sessionExpiry',
    'assignedClientId',
    'serverKeepAlive',
    'authMethod',
    'authData',
    'responseInformation',
    'serverReference',
    'reasonString',
    'receiveMaximum',
    'topicAliasMaximum',
    'maximumQos',
    'retainAvailable',
    'userProperty',
    'maximumPacketSize',
    'wildcardAvailable',
    'identifiersAvailable',
    'sharedAvailable',
  ],
  [packetType.publish]: [
    'payloadFormat',
    'messageExpiry',
    'contentType',
    'responseTopic',
    'correlationData',
    'subscriptionIdentifier',
    'topicAlias',
    'userProperty',
  ],
  [packetType.disconnect]: ['serverReference', 'reasonString', 'userProperty'],
  [packetType.auth]: ['authMethod', 'authData', 'reasonString', 'userProperty'],
};

function propertiesOf(reader: Reader, type: number): HeardProperty[] {
  const block = reader.block();
  const found: HeardProperty[] = [];
  while (block.left > 0) {
    const [name, value] = propertyOf(block);
    const again = found.some(([known]) => known === name) && !repeatable.has(name);
    if (again) throw new Error(`The server sent ${name} twice`);
    if (!(allowed[type] ?? ['reasonString', 'userProperty']).includes(name)) {
      throw new Error(`The server sent ${name} in a packet of type ${type}`);
    }
    found.push([name, value]);
  }
  return found;
}

function propertyOf(block: Reader): HeardProperty {
  const identifier = block.varint();
  const names = Object.keys(propertyKinds).filter(isPropertyName);
  const name = names.find((each) => propertyKinds[each][0] === identifier);
  if (name === undefined) throw new Error(`The server sent the unknown property ${identifier}`);
  return [name, block.value(propertyKinds[name][1])];
}

function isPropertyName(name: string): name is PropertyName {
  return name in propertyKinds;
}

const nothing = {
  id: 0,
  code: 0,
  codes: [],
  sessionPresent: false,
  topic: '',
  payload: Buffer.alloc(0),
  qos: 0,
  dup: false,
  retain: false,
  properties: [],
};

/** Reads one whole packet. */
export function readPacket(frame: Buffer, version: Version): Heard {
  const first = frame[0] ?? 0;
  let header = 1;
  while ((frame[header] ?? 0) >= 0x80) header += 1;
  const reader = new Reader(frame.subarray(header + 1));
  const base = { ...nothing, type: first >> 4, flags: first & 15, bytes: frame.length };
  const heard = { ...base, ...bodyOf(base.type, base.flags, { reader, version }) };
  if (reader.left > 0) throw new Error(`The server sent ${reader.left} bytes too much`);
  const flags = heard.type === packetType.pubrel ? 2 : 0;
  if (heard.type !== packetType.publish && heard.flags !== flags) {
    throw new Error(`The server sent a packet of type ${heard.type} with flags ${heard.flags}`);
  }
  return heard;
}

interface Body {
  readonly reader: Reader;
  readonly version: Version;
}

function bodyOf(type: number, flags: number, { reader, version }: Body): Partial<Heard> {
  const properties = (): HeardProperty[] => (version === 5 ? propertiesOf(reader, type) : []);
  switch (type) {
    case packetType.connack: {
      const acknowledge = reader.number(1);
      if (acknowledge > 1) throw new Error('The server set reserved flags of CONNACK');
      const code = reader.number(1);
      return { sessionPresent: acknowledge === 1, code, properties: properties() };
    }
    case packetType.publish:
      return publishOf(flags, { reader, version });
    case packetType.puback:
    case packetType.pubrec:
    case packetType.pubrel:
    case packetType.pubcomp: {
      const id = reader.number(2);
      const code = version === 5 && reader.left > 0 ? reader.number(1) : 0;
      return { id, code, properties: reader.left > 0 ? properties() : [] };
    }
    case packetType.suback:
    case packetType.unsuback: {
      const id = reader.number(2);
      const found = properties();
      return { id, properties: found, codes: [...reader.take(reader.left)] };
    }
    case packetType.pingresp:
      return {};
    case packetType.disconnect:
    case packetType.auth: {
      if (version === 4) throw new Error(`MQTT 3.1.1 has no packet of type ${type} from a server`);
      const code = reader.left > 0 ? reader.number(1) : 0;
      return { code, properties: reader.left > 0 ? properties() : [] };
    }
    default:
      throw new Error(`The server sent a packet of type ${type}`);
  }
}

function publishOf(flags: number, { reader, version }: Body): Partial<Heard> {
  const qos = (flags >> 1) & 3;
  const dup = (flags & 8) !== 0;
  if (qos === 3) throw new Error('The server sent QoS 3');
  if (qos === 0 && dup) throw new Error('The server sent DUP with QoS 0');
  const topic = reader.text();
  const id = qos === 0 ? 0 : reader.number(2);
  if (qos > 0 && id === 0) throw new Error('The server sent packet id 0');
  const properties = version === 5 ? propertiesOf(reader, packetType.publish) : [];
  return {
    qos,
    dup,
    retain: (flags & 1) !== 0,
    topic,
    id,
    properties,
    payload: Buffer.from(reader.take(reader.left)),
  };
}

/** The values of a property, in their order. */
export function valuesOf(heard: Heard, name: PropertyName): HeardValue[] {
  return heard.properties.filter(([each]) => each === name).map(([, value]) => value);
}

export function valueOf(heard: Heard, name: PropertyName): HeardValue | undefined {
  return valuesOf(heard, name)[0];
}

/** A numeric property, or what its absence means. */
export function numberOf(heard: Heard, name: PropertyName, absent: number): number {
  const value = valueOf(heard, name);
  return typeof value === 'number' ? value : absent;
}
