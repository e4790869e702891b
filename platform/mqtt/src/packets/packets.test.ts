import { generate, parser as createParser, type Packet } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { allFeatures, defaultLimits } from '../limits.ts';
import { seeded, seeds } from '../model/seeded.ts';
import { PacketFault } from '../packet-fault.ts';
import { reason } from '../reason-codes.ts';
import { encodeAck } from './acks.ts';
import { encodeConnack, encodeRefusal } from './connack.ts';
import { decodeConnect } from './connect.ts';
import { decodePacket } from './decode.ts';
import { encodeDisconnect } from './disconnect.ts';
import { PacketReader } from './packet-reader.ts';
import { PacketWriter } from './packet-writer.ts';
import { encodePublish } from './publish.ts';
import { encodeSuback } from './subscribe.ts';
import { encodeUnsuback } from './unsubscribe.ts';

/** What an independent reader makes of our bytes. */
function readBack(bytes: Buffer, protocolVersion: 4 | 5): Packet | undefined {
  const parser = createParser({ protocolVersion });
  let read: Packet | undefined;
  parser.on('packet', (packet) => (read = packet));
  parser.on('error', (error) => {
    throw error;
  });
  expect(parser.parse(bytes)).toBe(0);
  return read;
}

const v5 = { protocolVersion: 5 } as const;
const codeOf = (read: () => unknown): number | undefined => {
  try {
    read();
    return undefined;
  } catch (error) {
    return error instanceof PacketFault ? error.reasonCode : -1;
  }
};

test('a publish of another codec is read as it was meant', () => {
  const frame = generate(
    {
      cmd: 'publish',
      topic: 'a/ü/\u{FEFF}x',
      payload: Buffer.from([0, 1, 255]),
      qos: 2,
      dup: true,
      retain: true,
      messageId: 65_535,
      properties: {
        topicAlias: 3,
        messageExpiryInterval: 4_294_967_295,
        contentType: 'text/plain',
        responseTopic: 'r/s',
        correlationData: Buffer.from([0]),
        payloadFormatIndicator: false,
        userProperties: { a: ['1', ''], b: '2' },
      },
    },
    v5,
  );
  expect(decodePacket(frame, 5)).toEqual({
    type: 'publish',
    topic: 'a/ü/\u{FEFF}x',
    payload: Buffer.from([0, 1, 255]),
    qos: 2,
    dup: true,
    retain: true,
    packetId: 65_535,
    topicAlias: 3,
    expirySeconds: 4_294_967_295,
    properties: {
      contentType: 'text/plain',
      responseTopic: 'r/s',
      correlationData: Buffer.from([0]),
      payloadFormatIndicator: false,
      userProperties: [
        ['a', '1'],
        ['a', ''],
        ['b', '2'],
      ],
    },
  });
});

test('user properties keep their order, a name that comes again included', () => {
  const userProperties = [
    ['b', '1'],
    ['10', '2'],
    ['2', '3'],
    ['b', '4'],
    ['__proto__', '5'],
  ] as const;
  const written = encodePublish({ ...plain, properties: { userProperties } }, 5);
  expect(decodePacket(written, 5)).toMatchObject({ properties: { userProperties } });
});

const plain = {
  topic: 'a/b',
  topicAlias: undefined,
  payload: Buffer.from('x'),
  qos: 0,
  dup: false,
  retain: false,
  packetId: undefined,
  expirySeconds: undefined,
  identifiers: [],
  properties: undefined,
} as const;

test('our publish is read by another codec as it was meant', () => {
  const bytes = encodePublish(
    {
      ...plain,
      topicAlias: 7,
      qos: 1,
      dup: true,
      retain: true,
      packetId: 300,
      expirySeconds: 5,
      identifiers: [1, 268_435_455],
      properties: { contentType: 'c', payloadFormatIndicator: true, responseTopic: 'r' },
      payload: Buffer.alloc(20_000, 'y'),
    },
    5,
  );
  expect(readBack(bytes, 5)).toMatchObject({
    cmd: 'publish',
    topic: 'a/b',
    qos: 1,
    dup: true,
    retain: true,
    messageId: 300,
    payload: Buffer.alloc(20_000, 'y'),
    properties: {
      topicAlias: 7,
      messageExpiryInterval: 5,
      subscriptionIdentifier: [1, 268_435_455],
      contentType: 'c',
      payloadFormatIndicator: true,
      responseTopic: 'r',
    },
  });
  expect(readBack(encodePublish(plain, 4), 4)).toMatchObject({ topic: 'a/b', qos: 0 });
});

test('acks, SUBACK, UNSUBACK and DISCONNECT are read by another codec as they were meant', () => {
  const ack = readBack(encodeAck(0x50, 9, reason.quotaExceeded), 5);
  expect(ack).toMatchObject({ cmd: 'pubrec', messageId: 9, reasonCode: 0x97 });
  expect(readBack(encodeSuback(3, [0, 2, 0x87], 5), 5)).toMatchObject({ granted: [0, 2, 0x87] });
  expect(readBack(encodeSuback(3, [1, 0x87], 4), 4)).toMatchObject({ granted: [1, 0x80] });
  expect(readBack(encodeUnsuback(4, [0, 0x11], 5), 5)).toMatchObject({ granted: [0, 0x11] });
  expect(encodeUnsuback(4, [0, 0x11], 4)).toEqual(Buffer.from([0xb0, 2, 0, 4]));
  const moved = { reasonString: 'maintenance', serverReference: 'other:1883' };
  expect(readBack(encodeDisconnect(0x9c, moved), 5)).toMatchObject({
    reasonCode: 0x9c,
    properties: moved,
  });
});

test('a DISCONNECT leaves its words out before it breaks the maximum packet size', () => {
  const details = { reasonString: 'x'.repeat(100), serverReference: 'other:1883' };
  const sizes = [200, 100, 20, 5, 3].map((max) => encodeDisconnect(0x9c, details, max).length);
  expect(sizes).toEqual([120, 17, 17, 4, 3]);
});

test('CONNACK says what is not served, and nothing that is the default', () => {
  const connect = decodeConnect(generate({ cmd: 'connect', clientId: '', ...v5, clean: true }));
  const accepted = {
    connect,
    clientId: 'given',
    expirySeconds: 0,
    resumed: false,
    serverKeepAliveSeconds: 300,
  };
  const all = readBack(encodeConnack(accepted, defaultLimits, allFeatures), 5);
  expect(all?.cmd === 'connack' && all.properties).toEqual({
    assignedClientIdentifier: 'given',
    maximumPacketSize: 262_144,
    topicAliasMaximum: 32,
    serverKeepAlive: 300,
  });
  const few = {
    qosMax: 1,
    retain: false,
    wildcardSubscriptions: false,
    sharedSubscriptions: false,
    subscriptionIdentifiers: false,
  } as const;
  const kept = { ...accepted, expirySeconds: Infinity, resumed: true };
  expect(readBack(encodeConnack(kept, defaultLimits, few), 5)).toMatchObject({
    sessionPresent: true,
    properties: {
      sessionExpiryInterval: 0xff_ff_ff_ff,
      maximumQoS: 1,
      retainAvailable: false,
      wildcardSubscriptionAvailable: false,
      sharedSubscriptionAvailable: false,
      subscriptionIdentifiersAvailable: false,
    },
  });
  expect(encodeRefusal(reason.notAuthorized, 4)).toEqual(Buffer.from([0x20, 2, 0, 5]));
});

test('CONNECT with everything in it', () => {
  const frame = generate({
    cmd: 'connect',
    clientId: 'c',
    protocolVersion: 5,
    clean: false,
    keepalive: 7,
    username: 'u',
    password: Buffer.from('p'),
    properties: {
      sessionExpiryInterval: 0xff_ff_ff_ff,
      receiveMaximum: 3,
      maximumPacketSize: 100,
      topicAliasMaximum: 4,
      requestProblemInformation: false,
      requestResponseInformation: true,
      userProperties: { a: 'b' },
    },
    will: {
      topic: 'w',
      payload: Buffer.from('bye'),
      qos: 2,
      retain: true,
      properties: { willDelayInterval: 5, messageExpiryInterval: 6, contentType: 't' },
    },
  });
  expect(decodeConnect(frame)).toEqual({
    type: 'connect',
    protocolVersion: 5,
    clientId: 'c',
    cleanStart: false,
    keepAliveSeconds: 7,
    userName: 'u',
    password: Buffer.from('p'),
    sessionExpirySeconds: Infinity,
    receiveMaximum: 3,
    packetBytesMax: 100,
    topicAliasMax: 4,
    authenticationMethod: undefined,
    will: {
      topic: 'w',
      payload: Buffer.from('bye'),
      qos: 2,
      retain: true,
      delaySeconds: 5,
      expirySeconds: 6,
      properties: { contentType: 't' },
    },
  });
});

const text = (...bytes: number[]) => [bytes.length >> 8, bytes.length & 0xff, ...bytes];
const illFormed: [string, number[]][] = [
  ['U+0000', text(0x61, 0)],
  ['a surrogate', text(0xed, 0xa0, 0x80)],
  ['an overlong slash', text(0xc0, 0xaf)],
  ['a cut character', text(0xe2, 0x82)],
  ['above U+10FFFF', text(0xf4, 0x90, 0x80, 0x80)],
];

test.each(illFormed)('a text with %s is malformed, wherever it stands', (_name, bytes) => {
  const frames: [number[], 4 | 5][] = [
    [[0x30, bytes.length, ...bytes], 4],
    [[0x30, bytes.length + 1, ...bytes, 0], 5],
    [[0x82, bytes.length + 3, 0, 1, ...bytes, 0], 4],
    [[0xa2, bytes.length + 2, 0, 1, ...bytes], 4],
    [[0x30, bytes.length + 5, 0, 1, 0x61, bytes.length + 1, 0x03, ...bytes], 5],
    [[0x30, bytes.length + 8, 0, 1, 0x61, bytes.length + 4, 0x26, 0, 1, 0x61, ...bytes], 5],
  ];
  const codes = frames.map(([frame, version]) =>
    codeOf(() => decodePacket(Buffer.from(frame), version)),
  );
  expect(new Set(codes)).toEqual(new Set([reason.malformedPacket]));
});

const properties = { userProperties: { a: 'b' }, reasonString: 'x' };
const packets: readonly Packet[] = [
  {
    cmd: 'publish',
    topic: 'a/b',
    payload: 'x',
    qos: 1,
    dup: false,
    retain: false,
    messageId: 7,
    properties: { userProperties: { a: 'b' }, contentType: 'c', topicAlias: 1 },
  },
  { cmd: 'puback', messageId: 7, reasonCode: 0x10, properties },
  { cmd: 'subscribe', messageId: 7, subscriptions: [{ topic: 'a/+', qos: 1 }] },
  { cmd: 'unsubscribe', messageId: 7, unsubscriptions: ['a/+', 'b'] },
  { cmd: 'disconnect', reasonCode: 4, properties },
  {
    cmd: 'connect',
    clientId: 'c',
    keepalive: 7,
    username: 'u',
    password: Buffer.from('p'),
    will: { topic: 'w', payload: Buffer.from('x'), qos: 1 },
  },
];

test('any bytes at all are a packet or a fault, never anything else', () => {
  const dice = seeded(20_261_127);
  const frames = packets.flatMap((packet) =>
    ([4, 5] as const).map((protocolVersion) => generate(packet, { protocolVersion })),
  );
  const outcomes = new Set<number | undefined>();
  for (let round = 0; round < 20_000; round += 1) {
    const frame = Buffer.from(frames[dice(frames.length)] ?? '');
    for (let change = dice(5); change >= 0; change -= 1) frame[dice(frame.length)] = dice(256);
    const cut = frame.subarray(0, frame.length - (dice(4) === 0 ? dice(frame.length) : 0));
    outcomes.add(codeOf(() => decodePacket(cut, dice(2) === 0 ? 4 : 5)));
    outcomes.add(codeOf(() => decodeConnect(cut)));
  }
  expect(outcomes.has(-1)).toBe(false);
  expect(outcomes.size).toBeGreaterThan(2);
});

test.each(seeds)('what is written is read again (seed %d)', (seed) => {
  const dice = seeded(seed);
  const writer = new PacketWriter(1);
  const reads: ((reader: PacketReader) => unknown)[] = [];
  const wanted: unknown[] = [];
  for (let each = 0; each < 50; each += 1) {
    const number = dice(2) === 0 ? dice(300) : dice(268_435_456);
    const words = 'ü€𐍈a'.repeat(dice(5));
    const kind = dice(4);
    if (kind === 0) writer.varint(number);
    else if (kind === 1) writer.text(words);
    else if (kind === 2) writer.u32(number);
    else writer.binary(Buffer.from(words));
    wanted.push(kind === 1 ? words : kind === 3 ? Buffer.from(words) : number);
    const kinds = ['varint', 'text', 'u32', 'binary'] as const;
    const name = kinds[kind] ?? 'varint';
    reads.push((reader) => reader[name]());
  }
  const reader = new PacketReader(writer.packet(0x30));
  expect(reads.map((read) => read(reader))).toEqual(wanted);
  expect(reader.left).toBe(0);
});
