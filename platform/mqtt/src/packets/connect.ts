import type { ConnectPacket, WillPacket } from '../client-packets.ts';
import { malformed, PacketFault, protocolError } from '../packet-fault.ts';
import { reason } from '../reason-codes.ts';
import { PacketReader } from './packet-reader.ts';
import { Properties } from './properties.ts';

const firstByte = 0x10;

/** A CONNECT that cannot be served, and in whose words to say so; `undefined`: the connection just ends. */
export class ConnectFault extends PacketFault {
  readonly answerIn: 4 | 5 | undefined;

  constructor(fault: PacketFault, answerIn: 4 | 5 | undefined) {
    super(fault.reasonCode, fault.message);
    this.answerIn = answerIn;
  }
}

/** The first packet of a connection (section 3.1). Throws `ConnectFault`. */
export function decodeConnect(frame: Buffer): ConnectPacket {
  if (frame[0] !== firstByte) {
    throw new ConnectFault(protocolError('The first packet is not a CONNECT'), undefined);
  }
  const reader = faultsIn(undefined, () => new PacketReader(frame));
  const name = faultsIn(undefined, () => reader.text());
  const level = faultsIn(undefined, () => reader.byte());
  if (name === 'MQTT' && (level === 4 || level === 5)) {
    // MQTT 3.1.1 closes without a CONNACK what does not conform (MQTT-3.1.4-1).
    return faultsIn(level === 5 ? 5 : undefined, () => readConnect(reader, level));
  }
  if (name !== 'MQTT' && name !== 'MQIsdp') {
    throw new ConnectFault(protocolError('This is not MQTT'), undefined);
  }
  const fault = new PacketFault(
    reason.unsupportedProtocolVersion,
    `Version ${level} of MQTT is not served: use 4 (3.1.1) or 5`,
  );
  throw new ConnectFault(fault, layoutOf(frame));
}

function faultsIn<Value>(answerIn: 4 | 5 | undefined, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw error instanceof PacketFault ? new ConnectFault(error, answerIn) : error;
  }
}

/** A client of an unknown version is answered in the words of the known one whose layout its CONNECT has. */
function layoutOf(frame: Buffer): 4 | 5 {
  const reader = new PacketReader(frame);
  reader.text();
  reader.byte();
  try {
    readConnect(reader, 5);
    return 5;
  } catch (error) {
    if (error instanceof PacketFault) return 4;
    throw error;
  }
}

function readConnect(reader: PacketReader, protocolVersion: 4 | 5): ConnectPacket {
  const flags = flagsOf(reader.byte(), protocolVersion);
  const keepAliveSeconds = reader.u16();
  const properties = protocolVersion === 5 ? Properties.read(reader, 'connect') : new Properties();
  properties.flag('requestResponseInformation');
  properties.flag('requestProblemInformation');
  const authenticationMethod = properties.text('authenticationMethod');
  if (properties.binary('authenticationData') && authenticationMethod === undefined) {
    throw protocolError('Authentication data without a method');
  }
  const expiry = properties.integer('sessionExpiryInterval');
  const connect: ConnectPacket = {
    type: 'connect',
    protocolVersion,
    cleanStart: flags.cleanStart,
    keepAliveSeconds,
    sessionExpirySeconds: expiry === neverExpires ? Infinity : expiry,
    receiveMaximum: properties.positive('receiveMaximum') ?? 65_535,
    packetBytesMax: properties.positive('maximumPacketSize'),
    topicAliasMax: properties.integer('topicAliasMaximum') ?? 0,
    authenticationMethod,
    // In the order of the payload.
    clientId: reader.text(),
    will: flags.will ? readWill(reader, flags, protocolVersion) : undefined,
    userName: flags.userName ? reader.text() : undefined,
    password: flags.password ? reader.binary() : undefined,
  };
  reader.ends();
  return connect;
}

export const neverExpires = 0xff_ff_ff_ff;

interface Flags {
  readonly cleanStart: boolean;
  readonly will: boolean;
  readonly willQos: 0 | 1 | 2;
  readonly willRetain: boolean;
  readonly userName: boolean;
  readonly password: boolean;
}

/** Section 3.1.2.3. */
function flagsOf(bits: number, protocolVersion: 4 | 5): Flags {
  if (bits & 0x01) throw malformed('The reserved flag of CONNECT is set');
  const will = (bits & 0x04) !== 0;
  const willQos = (bits >> 3) & 3;
  const willRetain = (bits & 0x20) !== 0;
  const password = (bits & 0x40) !== 0;
  const userName = (bits & 0x80) !== 0;
  if (willQos === 3) throw malformed('The QoS of the will is 3');
  if (!will && (willQos > 0 || willRetain)) throw malformed('Flags of a will, and no will');
  if (protocolVersion === 4 && password && !userName) {
    throw malformed('A password without a user name');
  }
  const qos = willQos === 0 ? 0 : willQos === 1 ? 1 : 2;
  return { cleanStart: (bits & 0x02) !== 0, will, willQos: qos, willRetain, userName, password };
}

function readWill(reader: PacketReader, flags: Flags, protocolVersion: 4 | 5): WillPacket {
  const properties = protocolVersion === 5 ? Properties.read(reader, 'will') : new Properties();
  return {
    qos: flags.willQos,
    retain: flags.willRetain,
    expirySeconds: properties.integer('messageExpiryInterval'),
    delaySeconds: properties.integer('willDelayInterval') ?? 0,
    properties: properties.forwarded(),
    topic: reader.text(),
    // Kept as long as the connection: a view would keep all that was read with it.
    payload: Buffer.from(reader.binary()),
  };
}
