import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { seeded } from './model/seeded.ts';
import { reason } from './reason-codes.ts';
import { eventually, TestServer } from './test-server.ts';

test.each([4, 5] as const)(
  'an oversize packet of version %d is refused by its header',
  async (protocolVersion) => {
    await using house = await TestServer.open();
    using client = await house.raw();
    await client.connect({ protocolVersion });
    // A hundred megabytes announced, ten of them sent.
    client.socket.write(Buffer.from([0x32, 0x80, 0x80, 0x80, 0x32]));
    const before = process.memoryUsage().rss;
    for (let each = 0; each < 10; each += 1) client.socket.write(Buffer.alloc(1_000_000));
    expect(await client.disconnected()).toBe(
      protocolVersion === 5 ? reason.packetTooLarge : undefined,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(60_000_000);
    expect(house.closings).toMatchObject([{ clean: false, reasonCode: reason.packetTooLarge }]);
  },
);

test('a packet of exactly the maximum is taken, one byte more is not', async () => {
  await using house = await TestServer.open();
  const overhead =
    generate({
      cmd: 'publish',
      topic: 'a',
      payload: Buffer.alloc(200_000),
      qos: 0,
      dup: false,
      retain: false,
    }).length - 200_000;
  using client = await house.raw();
  await client.connect({ protocolVersion: 4 });
  const payload = Buffer.alloc(262_144 - overhead);
  client.publish(1, { payload, qos: 0 });
  await eventually(() => house.messages.length === 1);
  client.publish(1, { payload: Buffer.alloc(payload.length + 1), qos: 0 });
  await client.closed;
  expect(house.messages).toHaveLength(1);
});

test('before its CONNECT was accepted a client may say little', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  client.socket.write(Buffer.from([0x10, 0x80, 0x80, 0x08]));
  client.socket.resume();
  await client.closed;
  expect(house.refusals).toEqual([reason.packetTooLarge]);
});

const malformed: [string, number[], number][] = [
  ['QoS 3', [0x36, 5, 0, 1, 97, 0, 1], reason.malformedPacket],
  ['DUP with QoS 0', [0x38, 4, 0, 1, 97, 0], reason.malformedPacket],
  ['packet id 0', [0x32, 6, 0, 1, 97, 0, 0, 0], reason.protocolError],
  ['a publish without a packet id', [0x32, 3, 0, 1, 97], reason.malformedPacket],
  ['an empty publish', [0x30, 0], reason.malformedPacket],
  ['a topic longer than the packet', [0x30, 3, 0, 200, 97], reason.malformedPacket],
  ['a topic that is no UTF-8', [0x30, 4, 0, 1, 0xff, 0], reason.malformedPacket],
  ['a wildcard in a topic', [0x30, 4, 0, 1, 0x23, 0], reason.topicNameInvalid],
  ['an unknown property', [0x30, 6, 0, 1, 97, 2, 0x7f, 1], reason.malformedPacket],
  ['a property of another packet', [0x30, 9, 0, 1, 97, 5, 0x11, 0, 0, 0, 1], reason.protocolError],
  ['a property twice', [0x30, 10, 0, 1, 97, 6, 0x23, 0, 1, 0x23, 0, 1], reason.protocolError],
  ['no topic and no alias', [0x30, 3, 0, 0, 0], reason.protocolError],
  [
    'a second CONNECT',
    [0x10, 13, 0, 4, 77, 81, 84, 84, 5, 2, 0, 60, 0, 0, 0],
    reason.protocolError,
  ],
  ['a CONNACK', [0x20, 3, 0, 0, 0], reason.protocolError],
  ['a SUBACK', [0x90, 4, 0, 1, 0, 0], reason.protocolError],
  ['an AUTH', [0xf0, 0], reason.protocolError],
  ['packet type 0', [0x00, 0], reason.malformedPacket],
  ['SUBSCRIBE with wrong flags', [0x80, 7, 0, 1, 0, 0, 1, 97, 0], reason.malformedPacket],
  ['SUBSCRIBE of nothing', [0x82, 3, 0, 1, 0], reason.protocolError],
  ['SUBSCRIBE with QoS 3', [0x82, 7, 0, 1, 0, 0, 1, 97, 3], reason.malformedPacket],
  ['UNSUBSCRIBE of nothing', [0xa2, 3, 0, 1, 0], reason.protocolError],
  ['PINGREQ with a body', [0xc0, 1, 0], reason.malformedPacket],
  ['a PUBACK that is cut', [0x40, 1, 0], reason.malformedPacket],
  ['a length without end', [0x30, 0xff, 0xff, 0xff, 0xff], reason.malformedPacket],
];

test.each(malformed)('%s', async (_name, bytes, code) => {
  await using house = await TestServer.open();
  const other = await house.client({ clientId: 'other' });
  using client = await house.raw();
  await client.connect();
  client.socket.write(Buffer.from(bytes));
  expect(await client.disconnected()).toBe(code);
  await other.publishAsync('a', 'fine', { qos: 1 });
  expect(house.payloads).toEqual(['fine']);
  await other.endAsync();
});

test('a second CONNECT of another version does not change how others are read', async () => {
  await using house = await TestServer.open();
  using hostile = await house.raw();
  await hostile.connect({ clientId: 'hostile' });
  hostile.socket.write(
    generate({ cmd: 'connect', clientId: 'hostile', protocolVersion: 4, clean: true }),
  );
  await hostile.closed;
  const client = await house.client({ clientId: 'other', protocolVersion: 5 });
  const properties = { contentType: 'application/json' };
  await client.publishAsync('a', 'fine', { qos: 1, properties });
  expect(house.messages[0]).toMatchObject({ payload: Buffer.from('fine'), properties });
  await client.endAsync();
});

test('noise of any kind ends its own connection at most, while others lose nothing', async () => {
  await using house = await TestServer.open();
  const other = await house.client({ clientId: 'other', protocolVersion: 5 });
  const dice = seeded(20_261_124);
  for (let round = 0; round < 150; round += 1) {
    using client = await house.raw();
    const version = dice(2) === 0 ? 4 : 5;
    const known = generate(
      {
        cmd: 'publish',
        topic: 'a/b',
        payload: 'x',
        qos: 1,
        dup: false,
        retain: false,
        messageId: 7,
        properties: { contentType: 'c', userProperties: { a: 'b' } },
      },
      { protocolVersion: version },
    );
    if (dice(4) > 0) await client.connect({ clientId: `noise-${round}`, protocolVersion: version });
    else client.socket.resume();
    // A packet with some of its bytes changed, or bytes at all.
    const bytes = dice(2) === 0 ? Buffer.from(known) : Buffer.alloc(1 + dice(60));
    const changes = bytes.length > 20 ? 1 + dice(4) : bytes.length;
    for (let change = 0; change < changes; change += 1) bytes[dice(bytes.length)] = dice(256);
    client.socket.end(bytes);
    await other.publishAsync('good', `${round}`, { qos: 1 });
  }
  await eventually(() => house.server.connections === 1);
  const good = house.messages.filter(({ topic }) => topic === 'good');
  expect(good.map(({ payload }) => payload.toString())).toEqual(
    Array.from({ length: 150 }, (_, index) => `${index}`),
  );
  await other.endAsync();
});
