import assert from 'node:assert/strict';
import type { Bench, Case } from '../bench.ts';
import { numberOf } from '../heard.ts';
import {
  ackPacket,
  byte,
  disconnectPacket,
  packet,
  packetType,
  pingPacket,
  property,
  publishPacket,
  subscribePacket,
  text,
  u16,
  varint,
} from '../wire.ts';

/** Each of these ends the connection of an accepted client. */
async function refusesAll(bench: Bench, bytes: readonly Buffer[], codes: readonly number[]) {
  await bench.each(bytes, async (client, each) => {
    client.send(each);
    await client.isClosed(...codes);
  });
}

const hex = (bytes: string): Buffer => Buffer.from(bytes, 'hex');
const malformed = [0x81, 0x82];

export const endingCases: readonly Case[] = [
  {
    v5: '3.12.4-1',
    v3: '3.12.4-1',
    says: 'PINGREQ is answered with PINGRESP',
    run: async (bench) => {
      const client = await bench.client();
      client.send(pingPacket, pingPacket);
      for (const _each of [1, 2]) {
        assert.equal((await client.next()).type, packetType.pingresp);
      }
    },
  },
  {
    v5: '3.14.4-2 3.14.4-1',
    v3: '3.14.4-1 3.14.4-2',
    says: 'after DISCONNECT nothing is handled, and the server closes what the client leaves open',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe(bench.topic('a'));
      const client = await bench.client();
      const late = publishPacket(bench.version, { topic: bench.topic('a'), payload: 'late' });
      client.send(disconnectPacket(), late, pingPacket);
      assert.equal(await client.closing(), undefined);
      await watcher.hearsNothing();
    },
  },
  {
    v5: '3.14.1-1',
    v3: '3.14.1-1',
    says: 'DISCONNECT with flags is malformed, and leaves the will to be published',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe(bench.topic('will'));
      const client = await bench.client({ will: { topic: bench.topic('will'), payload: 'gone' } });
      client.send(hex('e100'));
      await client.isClosed(0x81);
      assert.deepEqual(await watcher.payloads(1), ['gone']);
    },
  },
  {
    v5: '§3.14.2.2.2',
    says: 'DISCONNECT can shorten the session, and cannot bring one to life that had no expiry',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.leave(0, [['sessionExpiry', 0]]);
      const after = await bench.open(kept.clientId);
      assert.equal((await after.connect(kept)).sessionPresent, false);
      const client = await bench.client();
      client.send(disconnectPacket(0, [['sessionExpiry', 5]]));
      await client.isClosed(0x82);
    },
  },
  {
    v5: '§3.14.2.2.2 3.1.2-23',
    says: 'DISCONNECT can prolong a session that had an expiry',
    run: async (bench) => {
      const id = bench.clientId();
      const properties = [['sessionExpiry', 1]] as const;
      const before = await bench.client({ clientId: id, clean: false, properties });
      await before.leave(0, [['sessionExpiry', 60]]);
      await (await bench.client()).hearsNothing();
      const after = await bench.open(id);
      assert.equal((await after.connect({ clean: false, properties })).sessionPresent, true);
    },
  },
  {
    v5: '3.14.2-1 3.14.2-2 4.13.1-1 4.13.2-1',
    v3: '4.8.0-1',
    says: 'an error ends its own connection, in MQTT 5 with a DISCONNECT, and no other',
    run: async (bench) => {
      const other = await bench.client();
      await refusesAll(bench, [packet(0x20, byte(0), byte(0), byte(0))], malformed);
      await other.ping();
    },
  },
  {
    v5: '§2.1.2',
    v3: '4.8.0-1',
    says: 'packets of type 0, and those that only a server sends, end the connection',
    run: (bench) =>
      refusesAll(
        bench,
        [
          packet(0x00),
          packet(0x20, byte(0), byte(0), ...(bench.is5 ? [byte(0)] : [])),
          packet(0x90, u16(1), ...(bench.is5 ? [byte(0)] : []), byte(0)),
          packet(0xb0, u16(1), ...(bench.is5 ? [byte(0), byte(0)] : [])),
          packet(0xd0),
        ],
        malformed,
      ),
  },
  {
    v5: '4.12.0-7 3.15.1-1',
    v3: '4.8.0-1 2.2.2-1',
    says: 'AUTH without an authentication method, or with flags, ends the connection',
    run: (bench) =>
      refusesAll(
        bench,
        [packet(0xf0), packet(0xf0, byte(0x19), byte(0)), packet(0xf2, byte(0x18), byte(0))],
        malformed,
      ),
  },
  {
    v5: '2.1.3-1 3.6.1-1',
    v3: '2.2.2-1 2.2.2-2 3.6.1-1',
    says: 'reserved flags of every packet type must be what the standard lists',
    run: async (bench) => {
      const ids = [packetType.puback, packetType.pubrec, packetType.pubcomp];
      await refusesAll(
        bench,
        [
          ...ids.map((type) => ackPacket({ type, id: 1, flags: 1 })),
          ...[0, 1, 3, 6].map((flags) => ackPacket({ type: packetType.pubrel, id: 1, flags })),
          hex('c100'),
          hex('c800'),
          hex('e800'),
        ],
        [0x81],
      );
    },
  },
  {
    v5: '1.5.5-1 §2.1.4',
    v3: '§2.2.3',
    says: 'a remaining length of five bytes ends the connection',
    run: (bench) => refusesAll(bench, [hex('c080808080'), hex('c0ffffffff7f')], [0x81, 0x95]),
  },
  {
    v5: '1.5.5-1',
    says: 'a length or property length that is not the shortest is malformed',
    run: (bench) => refusesAll(bench, [hex('c08000'), hex('3085000001618000')], malformed),
  },
  {
    v5: '2.2.2-1 §2.2.2.1',
    says: 'a property length that is missing, too long or cuts a property is malformed',
    run: (bench) =>
      refusesAll(
        bench,
        [
          packet(0x30, text('a')),
          packet(0x30, text('a'), byte(5), property(['payloadFormat', 1])),
          packet(0x30, text('a'), byte(1), property(['payloadFormat', 1])),
          packet(0x30, text('a'), byte(2), byte(0x7f), byte(1)),
          packet(0x82, u16(1), byte(9), text('a'), byte(0)),
        ],
        malformed,
      ),
  },
  {
    v5: '4.13.1-1',
    v3: '4.8.0-1',
    says: 'packets that end too early or too late for what they hold are malformed',
    run: (bench) =>
      refusesAll(
        bench,
        [
          packet(0x30),
          packet(0x30, byte(0)),
          packet(0x30, u16(200), byte(0x61)),
          packet(0x32, text('a')),
          packet(0x32, text('a'), byte(0)),
          packet(0x40),
          packet(0x40, byte(0)),
          packet(0x50, byte(1)),
          packet(0x62, byte(1)),
          packet(0x70, byte(1)),
          packet(0x82, u16(1)),
          packet(0x82, u16(1), ...(bench.is5 ? [byte(0)] : []), text('a')),
          packet(0xa2, u16(1)),
          packet(0xc0, byte(0)),
          ...(bench.is5 ? [] : [packet(0x40, u16(1), byte(0)), packet(0xe0, byte(0))]),
        ],
        malformed,
      ),
  },
  {
    v5: '§2.2.2.2',
    says: 'acks and DISCONNECT with properties that are not theirs, or cut, are malformed',
    run: (bench) =>
      refusesAll(
        bench,
        [
          packet(0x40, u16(1), byte(0), byte(2), property(['payloadFormat', 1])),
          packet(0x50, u16(1), byte(0), byte(9)),
          packet(0x62, u16(1), byte(0), byte(1), byte(0x1f)),
          packet(0xe0, byte(0), byte(3), property(['topicAlias', 1])),
          packet(0x82, u16(1), byte(3), property(['topicAlias', 1]), text('a'), byte(0)),
        ],
        malformed,
      ),
  },
  {
    v5: '1.5.4-3 1.5.7-1',
    v3: '1.5.3-3',
    says: 'U+FEFF at the head of a text stays where it is',
    run: async (bench) => {
      const client = await bench.client();
      const topic = bench.topic('\ufeffa');
      client.send(subscribePacket(bench.version, { id: 1, filters: [[topic, 0]] }));
      await client.take(packetType.suback);
      const pair = ['\ufeffk', '\ufeffv'] as const;
      await client.publish(topic, '\ufeffx', { properties: [['userProperty', pair]] });
      const heard = await client.receive();
      assert.deepEqual([heard.topic, heard.payload.toString()], [topic, '\ufeffx']);
      assert.deepEqual(heard.properties, bench.is5 ? [['userProperty', pair]] : []);
    },
  },
  {
    v5: '3.4.2-1 3.5.2-1 3.6.2-1 3.7.2-1 3.14.2-1',
    says: 'codes that are not in the list of their packet end the connection',
    run: (bench) =>
      refusesAll(
        bench,
        [
          ackPacket({ type: packetType.puback, id: 1, code: 0x03 }),
          ackPacket({ type: packetType.pubrec, id: 1, code: 0x92 }),
          ackPacket({ type: packetType.pubrel, id: 1, code: 0x80 }),
          ackPacket({ type: packetType.pubcomp, id: 1, code: 0x10 }),
          disconnectPacket(0x03),
        ],
        malformed,
      ),
  },
  {
    v5: '§3.2.2.3.6',
    says: 'a packet above the maximum that the server named ends the connection, with 0x95',
    run: async (bench) => {
      const client = await bench.open();
      const most = numberOf(await client.connect(), 'maximumPacketSize', 268_435_460);
      client.send(byte(0x30), varint(Math.min(most, 268_435_455)));
      if (most < 268_435_455) await client.isClosed(0x95);
      else await client.ping();
    },
  },
];
