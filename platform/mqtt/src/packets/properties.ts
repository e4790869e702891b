import type { MessageProperties } from '../owner.ts';
import { malformed, protocolError } from '../packet-fault.ts';
import type { PacketReader } from './packet-reader.ts';
import { PacketWriter } from './packet-writer.ts';

type Kind = 'byte' | 'u16' | 'u32' | 'varint' | 'text' | 'binary' | 'pair';

/** MQTT 5, section 2.2.2.2. */
const table = {
  payloadFormatIndicator: [0x01, 'byte'],
  messageExpiryInterval: [0x02, 'u32'],
  contentType: [0x03, 'text'],
  responseTopic: [0x08, 'text'],
  correlationData: [0x09, 'binary'],
  subscriptionIdentifier: [0x0b, 'varint'],
  sessionExpiryInterval: [0x11, 'u32'],
  assignedClientIdentifier: [0x12, 'text'],
  serverKeepAlive: [0x13, 'u16'],
  authenticationMethod: [0x15, 'text'],
  authenticationData: [0x16, 'binary'],
  requestProblemInformation: [0x17, 'byte'],
  willDelayInterval: [0x18, 'u32'],
  requestResponseInformation: [0x19, 'byte'],
  responseInformation: [0x1a, 'text'],
  serverReference: [0x1c, 'text'],
  reasonString: [0x1f, 'text'],
  receiveMaximum: [0x21, 'u16'],
  topicAliasMaximum: [0x22, 'u16'],
  topicAlias: [0x23, 'u16'],
  maximumQoS: [0x24, 'byte'],
  retainAvailable: [0x25, 'byte'],
  userProperty: [0x26, 'pair'],
  maximumPacketSize: [0x27, 'u32'],
  wildcardSubscriptionAvailable: [0x28, 'byte'],
  subscriptionIdentifiersAvailable: [0x29, 'byte'],
  sharedSubscriptionAvailable: [0x2a, 'byte'],
} as const satisfies Record<string, readonly [number, Kind]>;

export type PropertyName = keyof typeof table;

const byId = new Map<number, readonly [name: string, kind: Kind]>(
  Object.entries(table).map(([name, [id, kind]]) => [id, [name, kind]]),
);

const ofMessages = [
  'payloadFormatIndicator',
  'messageExpiryInterval',
  'contentType',
  'responseTopic',
  'correlationData',
];

/** Which packet of a client may hold which. User properties may stand in all. */
const allowed = {
  connect: new Set([
    'sessionExpiryInterval',
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'authenticationMethod',
    'authenticationData',
  ]),
  will: new Set([...ofMessages, 'willDelayInterval']),
  publish: new Set([...ofMessages, 'topicAlias']),
  ack: new Set(['reasonString']),
  subscribe: new Set(['subscriptionIdentifier']),
  unsubscribe: new Set<string>(),
  disconnect: new Set(['sessionExpiryInterval', 'reasonString', 'serverReference']),
  auth: new Set(['authenticationMethod', 'authenticationData', 'reasonString']),
};

/** The properties of a packet: each once, and of those that it may hold. */
export class Properties {
  #values: Map<string, number | string | Buffer> | undefined;
  #pairs: (readonly [string, string])[] | undefined;

  static read(reader: PacketReader, packet: keyof typeof allowed): Properties {
    const length = reader.varint();
    if (length === 0) return none;
    const properties = new Properties();
    const part = reader.part(length);
    while (part.left > 0) properties.#read(part, packet);
    return properties;
  }

  #read(reader: PacketReader, packet: keyof typeof allowed): void {
    const [name, kind] = byId.get(reader.varint()) ?? [];
    if (!name || !kind) throw malformed('It holds a property that MQTT 5 does not know');
    if (kind === 'pair') {
      this.#pairs ??= [];
      this.#pairs.push([reader.text(), reader.text()]);
      return;
    }
    if (!allowed[packet].has(name)) throw protocolError(`This packet may not hold ${name}`);
    this.#values ??= new Map();
    if (this.#values.has(name)) throw protocolError(`It holds ${name} twice`);
    this.#values.set(name, reader[kind]());
  }

  integer(name: PropertyName): number | undefined {
    const value = this.#values?.get(name);
    return typeof value === 'number' ? value : undefined;
  }

  /** Zero is a protocol error. */
  positive(name: PropertyName): number | undefined {
    const value = this.integer(name);
    if (value === 0) throw protocolError(`${name} may not be 0`);
    return value;
  }

  /** Anything but 0 and 1 is a protocol error. */
  flag(name: PropertyName): boolean | undefined {
    const value = this.integer(name);
    if (value !== undefined && value > 1) throw protocolError(`${name} must be 0 or 1`);
    return value === undefined ? undefined : value === 1;
  }

  text(name: PropertyName): string | undefined {
    const value = this.#values?.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  binary(name: PropertyName): Buffer | undefined {
    const value = this.#values?.get(name);
    return Buffer.isBuffer(value) ? value : undefined;
  }

  /** What goes on to subscribers unchanged (section 3.3.2.3). */
  forwarded(): MessageProperties {
    const format = this.flag('payloadFormatIndicator');
    const contentType = this.text('contentType');
    const responseTopic = this.text('responseTopic');
    const correlationData = this.binary('correlationData');
    if (responseTopic !== undefined && (responseTopic === '' || /[+#]/.test(responseTopic))) {
      throw protocolError('A response topic holds a wildcard or is empty');
    }
    return {
      ...(format !== undefined && { payloadFormatIndicator: format }),
      ...(contentType !== undefined && { contentType }),
      ...(responseTopic !== undefined && { responseTopic }),
      ...(correlationData !== undefined && { correlationData }),
      ...(this.#pairs && { userProperties: this.#pairs }),
    };
  }
}

const none = new Properties();

export interface WrittenProperties {
  readonly numbers?: Partial<Record<PropertyName, number | undefined>>;
  readonly texts?: Partial<Record<PropertyName, string | undefined>>;
  readonly message?: MessageProperties | undefined;
  readonly subscriptionIdentifiers?: readonly number[];
}

const scratch = new PacketWriter();

/** Writes them with their length before them. */
export function writeProperties(to: PacketWriter, properties: WrittenProperties): PacketWriter {
  scratch.clear();
  const { numbers = {}, texts = {}, message, subscriptionIdentifiers = [] } = properties;
  for (const [name, value] of Object.entries(numbers)) writeNumber(name, value);
  for (const [name, value] of Object.entries(texts)) writeText(name, value);
  if (message) writeMessageProperties(message);
  for (const identifier of subscriptionIdentifiers) {
    scratch.byte(table.subscriptionIdentifier[0]).varint(identifier);
  }
  return to.varint(scratch.length).raw(scratch.written);
}

function writeMessageProperties(message: MessageProperties): void {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData } = message;
  if (payloadFormatIndicator !== undefined) {
    writeNumber('payloadFormatIndicator', payloadFormatIndicator ? 1 : 0);
  }
  writeText('contentType', contentType);
  writeText('responseTopic', responseTopic);
  if (correlationData) scratch.byte(table.correlationData[0]).binary(correlationData);
  for (const [name, value] of message.userProperties ?? []) {
    scratch.byte(table.userProperty[0]).text(name).text(value);
  }
}

function isName(name: string): name is PropertyName {
  return Object.hasOwn(table, name);
}

function writeNumber(name: string, value: number | undefined): void {
  if (value === undefined || !isName(name)) return;
  const [id, kind] = table[name];
  scratch.byte(id);
  if (kind === 'byte') scratch.byte(value);
  else if (kind === 'u16') scratch.u16(value);
  else if (kind === 'u32') scratch.u32(value);
  else scratch.varint(value);
}

function writeText(name: string, value: string | undefined): void {
  if (value !== undefined && isName(name)) scratch.byte(table[name][0]).text(value);
}
