import {
  ackPacket,
  byte,
  connectPacket,
  disconnectPacket,
  packet,
  packetType,
  pingPacket,
  type Properties,
  property,
  propertyBlock,
  publishPacket,
  subscribePacket,
  text,
  u16,
  unsubscribePacket,
  varint,
  type Version,
} from './wire.ts';

export type Dice = (below: number) => number;

const messageProperties: Properties = [
  ['payloadFormat', 1],
  ['messageExpiry', 60],
  ['contentType', 'text/plain'],
  ['responseTopic', 'fuzz/answer'],
  ['correlationData', Buffer.from([1, 2, 3])],
  ['userProperty', ['k', 'v']],
  ['userProperty', ['k', 'w']],
];

const connectProperties: Properties = [
  ['sessionExpiry', 1],
  ['receiveMaximum', 5],
  ['maximumPacketSize', 1000],
  ['topicAliasMaximum', 5],
  ['requestResponse', 1],
  ['requestProblem', 1],
  ['userProperty', ['k', 'v']],
];

/** Valid packets of every type that clients send, and of those that only servers do. */
export function corpusOf(version: Version): readonly Buffer[] {
  const { puback, pubrec, pubrel, pubcomp } = packetType;
  const properties = version === 5 ? messageProperties : [];
  const will = { topic: 'fuzz/will', payload: 'gone', qos: 1, retain: true, properties };
  const base = { clientId: 'fuzz', keepAlive: 10, properties: connectProperties };
  const publish = { topic: 'fuzz/a/b', payload: 'payload', properties };
  return [
    connectPacket(version, base),
    connectPacket(version, { ...base, clean: false, will, userName: 'user', password: 'word' }),
    publishPacket(version, publish),
    publishPacket(version, { ...publish, qos: 1, id: 7, retain: true }),
    publishPacket(version, { ...publish, qos: 2, id: 8, payload: Buffer.alloc(300, 7) }),
    publishPacket(version, { topic: 'fuzz/c', qos: 1, id: 9, properties: [['topicAlias', 3]] }),
    publishPacket(version, { topic: '', qos: 0, properties: [['topicAlias', 3]] }),
    ...[puback, pubrec, pubrel, pubcomp].flatMap((type) => [
      ackPacket({ type, id: 1 }),
      ackPacket({ type, id: 1, code: 0x83, properties: [['reasonString', 'why']] }),
    ]),
    subscribePacket(version, {
      id: 3,
      filters: [
        ['fuzz/#', 2],
        ['fuzz/+/b', version === 5 ? 0x2d : 1],
        ['$share/group/fuzz/#', 1],
      ],
      properties: [['subscriptionIdentifier', 300]],
    }),
    unsubscribePacket(version, { id: 4, filters: ['fuzz/#', 'fuzz/+/b'] }),
    pingPacket,
    disconnectPacket(),
    disconnectPacket(4, [
      ['sessionExpiry', 1],
      ['reasonString', 'why'],
    ]),
    packet(0xf0, byte(0x18), propertyBlock([['authMethod', 'x']])),
    packet(0x20, byte(1), byte(0), propertyBlock([['receiveMaximum', 5]])),
    packet(0x90, u16(3), byte(0), byte(1)),
    packet(0xb0, u16(4), byte(0), byte(0x11)),
    packet(0xd0),
  ];
}

const odd = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x23, 0x2b, 0x2f, 0x24, 0xed, 0xc0];

/** A place in the bytes, and those on both sides of it. */
function cut(bytes: Buffer, dice: Dice): readonly [Buffer, Buffer] {
  const at = dice(bytes.length + 1);
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

function flipBits(bytes: Buffer, dice: Dice): Buffer {
  const changed = Buffer.from(bytes);
  for (let count = 1 + dice(4); count > 0; count -= 1) {
    const at = dice(changed.length);
    changed[at] = (changed[at] ?? 0) ^ (1 << dice(8));
  }
  return changed;
}

function setBytes(bytes: Buffer, dice: Dice): Buffer {
  const changed = Buffer.from(bytes);
  for (let count = 1 + dice(3); count > 0; count -= 1) {
    changed[dice(changed.length)] = odd[dice(odd.length)] ?? dice(256);
  }
  return changed;
}

/** Another remaining length: a little more or less, or as much as there can be. */
function lieLength(bytes: Buffer, dice: Dice): Buffer {
  const lies = [0, 1, bytes.length - 3, bytes.length - 1, bytes.length + 5, 65_535, 268_435_455];
  const lie = lies[dice(lies.length)] ?? 0;
  return Buffer.concat([bytes.subarray(0, 1), varint(Math.max(0, lie)), bytes.subarray(2)]);
}

/** Two bytes within become a length that is not there, or much too large. */
function lieWithin(bytes: Buffer, dice: Dice): Buffer {
  const changed = Buffer.from(bytes);
  const at = dice(changed.length);
  changed[at] = dice(2) === 0 ? 0xff : 0;
  changed[(at + 1) % changed.length] = dice(256);
  return changed;
}

/** Right on the outside: what is within has been changed, and the remaining length follows it. */
function reseal(bytes: Buffer): Buffer {
  return packet(bytes[0] ?? 0, bytes.subarray(2));
}

type Mutation = (bytes: Buffer, dice: Dice, other: Buffer) => Buffer;

const mutations: readonly Mutation[] = [
  flipBits,
  setBytes,
  lieLength,
  lieWithin,
  (bytes, dice) => Buffer.from(bytes.subarray(0, 1 + dice(bytes.length))),
  (bytes, dice) => reseal(flipBits(bytes, dice)),
  (bytes, dice) => reseal(bytes.subarray(0, 2 + dice(bytes.length))),
  (bytes, dice, other) => Buffer.concat([cut(bytes, dice)[0], cut(other, dice)[1]]),
  (bytes, dice, other) => reseal(Buffer.concat([cut(bytes, dice)[0], cut(other, dice)[1]])),
  (bytes, dice) => {
    const [head, tail] = cut(bytes, dice);
    return reseal(Buffer.concat([head, tail, tail, tail]));
  },
  (bytes, dice) => {
    const [head, tail] = cut(bytes, dice);
    const noise = Buffer.from(Array.from({ length: 1 + dice(20) }, () => dice(256)));
    return reseal(Buffer.concat([head, noise, tail]));
  },
  (bytes, dice) => {
    const [head, tail] = cut(bytes, dice);
    const more = [
      property(['userProperty', ['k', 'v']]),
      property(['topicAlias', dice(65_536)]),
      text(Buffer.from([0xed, 0xa0, 0x80])),
      varint(dice(268_435_456)),
    ];
    return reseal(Buffer.concat([head, more[dice(more.length)] ?? byte(0), tail]));
  },
];

/** A packet that was valid and is, most likely, no longer. One in four is changed twice. */
export function mutated(corpus: readonly Buffer[], dice: Dice): Buffer {
  const pick = (): Buffer => corpus[dice(corpus.length)] ?? pingPacket;
  let bytes = pick();
  for (let times = dice(4) === 0 ? 2 : 1; times > 0; times -= 1) {
    const mutation = mutations[dice(mutations.length)] ?? flipBits;
    bytes = bytes.length < 2 ? pick() : mutation(bytes, dice, pick());
  }
  return bytes;
}
