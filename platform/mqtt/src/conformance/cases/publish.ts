import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Arriving, Bench, Case } from '../bench.ts';
import { type Heard, numberOf, valueOf, valuesOf } from '../heard.ts';
import { packetType, type Properties, publishPacket } from '../wire.ts';

/** What a subscriber hears of a message. */
async function forwarded(bench: Bench, properties: Properties, payload = 'x'): Promise<Heard> {
  const subscriber = await bench.client();
  const publisher = await bench.client();
  await subscriber.subscribe(bench.topic('a'));
  await publisher.publish(bench.topic('a'), payload, { qos: 1, properties });
  return subscriber.receive();
}

/** Each of these in a PUBLISH ends the connection. */
async function refusesProperties(bench: Bench, all: readonly Properties[], codes: number[]) {
  await bench.each(all, async (client, properties) => {
    await client.publish(bench.topic('a'), 'x', { properties });
    await client.isClosed(...codes);
  });
}

const aliasing: Arriving = { properties: [['topicAliasMaximum', 2]] };

export const publishCases: readonly Case[] = [
  {
    v5: '3.3.2-3 3.3.1-2 4.3.1-1 2.2.1-2',
    v3: '3.3.2-3 3.3.1-2 4.3.1-1 2.3.1-5',
    says: 'a QoS 0 message reaches the subscriber as it is, without DUP and packet id',
    run: async (bench) => {
      const subscriber = await bench.client();
      const publisher = await bench.client();
      await subscriber.subscribe(bench.topic('a/+'));
      const payload = Buffer.from([0, 1, 2, 255, 254]);
      await publisher.publish(bench.topic('a/b'), payload);
      const heard = await subscriber.next();
      assert.deepEqual(
        [heard.type, heard.flags, heard.topic],
        [packetType.publish, 0, bench.topic('a/b')],
      );
      assert.deepEqual(heard.payload, payload);
    },
  },
  {
    v5: '3.3.2-1 §3.3.3',
    v3: '3.3.2-1',
    says: 'empty and large payloads arrive whole',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      for (const size of [0, 1, 127, 128, 16_383, 16_384, 100_000]) {
        const payload = Buffer.alloc(size, size % 251);
        await client.publish(bench.topic('a'), payload, { qos: 1 });
        assert.deepEqual((await client.receive()).payload, payload);
      }
    },
  },
  {
    v5: '3.3.1-2',
    v3: '3.3.1-2',
    says: 'DUP with QoS 0 is malformed',
    run: async (bench) => {
      const client = await bench.client();
      await client.publish(bench.topic('a'), 'x', { dup: true });
      await client.isClosed(0x81, 0x82);
    },
  },
  {
    v5: '3.3.1-3',
    v3: '3.3.1-3',
    says: 'DUP of a publisher is not carried on',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      for (const qos of [1, 2]) {
        await client.publish(bench.topic('a'), 'x', { qos, dup: true });
        assert.equal((await client.receive()).dup, false);
      }
    },
  },
  {
    v5: '3.3.1-4',
    v3: '3.3.1-4',
    says: 'QoS 3 is malformed',
    run: async (bench) => {
      const client = await bench.client();
      await client.publish(bench.topic('a'), 'x', { qos: 3, id: 1, only: true });
      await client.isClosed(0x81);
    },
  },
  {
    v5: '2.2.1-3',
    v3: '2.3.1-1',
    says: 'a PUBLISH of QoS 1 or 2 with packet id 0 ends the connection',
    run: (bench) =>
      bench.each([1, 2], async (client, qos) => {
        await client.publish(bench.topic('a'), 'x', { qos, id: 0, only: true });
        await client.isClosed(0x81, 0x82);
      }),
  },
  {
    v5: '3.3.2-2 4.7.0-1',
    v3: '3.3.2-2 4.7.1-1',
    says: 'a topic name with a wildcard is refused and reaches nobody',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe(`${bench.prefix}/#`);
      await bench.each(['#', '+', 'a/#', 'a+', '#a'], async (client, name) => {
        await client.publish(bench.topic(name), 'x');
        await client.isClosed(0x81, 0x82, 0x90);
      });
      await watcher.hearsNothing();
    },
  },
  {
    v5: '3.3.2-1 1.5.4-1 1.5.4-2 4.7.3-2',
    v3: '3.3.2-1 1.5.3-1 1.5.3-2 4.7.3-2',
    says: 'a topic name that is no UTF-8, or holds U+0000, ends the connection',
    run: async (bench) => {
      const bad = ['61ff', '6100', 'eda080', 'c080', 'f4908080', 'e282'];
      await bench.each(bad, async (client, hex) => {
        client.send(publishPacket(bench.version, { topic: Buffer.from(hex, 'hex') }));
        await client.isClosed(0x81, 0x82, 0x90);
      });
    },
  },
  {
    v5: '4.7.3-1 3.3.2-1',
    v3: '4.7.3-1',
    says: 'an empty topic name ends the connection',
    run: async (bench) => {
      const client = await bench.client();
      await client.publish('', 'x');
      await client.isClosed(0x81, 0x82, 0x90);
    },
  },
  {
    v5: '3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-20',
    says: 'format, response topic, correlation data and content type reach the subscriber unaltered',
    run: async (bench) => {
      const correlation = Buffer.from([0, 255, 1]);
      const heard = await forwarded(bench, [
        ['payloadFormat', 1],
        ['contentType', 'text/plain; charset=utf-8'],
        ['responseTopic', 'answers/ö'],
        ['correlationData', correlation],
      ]);
      assert.equal(valueOf(heard, 'payloadFormat'), 1);
      assert.equal(valueOf(heard, 'contentType'), 'text/plain; charset=utf-8');
      assert.equal(valueOf(heard, 'responseTopic'), 'answers/ö');
      assert.deepEqual(valueOf(heard, 'correlationData'), correlation);
    },
  },
  {
    v5: '3.3.2-17 3.3.2-18',
    says: 'all user properties reach the subscriber in their order, repeats and odd names included',
    run: async (bench) => {
      const pairs = [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
        ['10', '4'],
        ['2', '5'],
        ['', ''],
        ['__proto__', '6'],
        ['constructor', '7'],
        ['ü', '\u{1f600}'],
      ] as const;
      const heard = await forwarded(
        bench,
        pairs.map((pair) => ['userProperty', pair] as const),
      );
      assert.deepEqual(valuesOf(heard, 'userProperty'), pairs);
    },
  },
  {
    v5: '§3.3.2.3.2 §3.3.2.3.3',
    says: 'what the publisher leaves out the subscriber does not get',
    run: async (bench) => {
      assert.deepEqual((await forwarded(bench, [])).properties, []);
    },
  },
  {
    v5: '3.3.2-6',
    says: 'a message that waited is sent with what is left of its expiry',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe(bench.topic('a'));
      await before.leave();
      const publisher = await bench.client();
      const properties = [['messageExpiry', 100]] as const;
      await publisher.publish(bench.topic('a'), 'x', { qos: 1, properties });
      await wait(2100);
      const left = numberOf(await (await bench.client(kept)).receive(), 'messageExpiry', -1);
      assert.ok(left >= 85 && left <= 98, `${left}`);
    },
  },
  {
    v5: '3.3.2-5',
    says: 'a message whose expiry has passed before it was sent is not sent, and others are',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe(bench.topic('a'));
      await before.leave();
      const publisher = await bench.client();
      for (const [expiry, payload] of [
        [1, 'short'],
        [100, 'long'],
        [1, 'short'],
      ] as const) {
        const properties = [['messageExpiry', expiry]] as const;
        await publisher.publish(bench.topic('a'), payload, { qos: 1, properties });
      }
      await wait(2500);
      const after = await bench.client(kept);
      assert.deepEqual(await after.payloads(1), ['long']);
      await after.hearsNothing();
    },
  },
  {
    v5: '4.3.3-7 4.3.3-13',
    says: 'a message that was sent once is completed even after its expiry',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe(bench.topic('a'));
      const properties = [['messageExpiry', 3]] as const;
      await before.publish(bench.topic('a'), 'x', { qos: 2, properties });
      await before.take(packetType.publish);
      before.cut();
      await wait(4500);
      assert.deepEqual(await (await bench.client(kept)).payloads(1), ['x']);
    },
  },
  {
    v5: '3.3.2-12 §3.3.2.3.4',
    says: 'every topic alias up to the maximum is taken, and can be given anew',
    run: async (bench) => {
      const client = await bench.open();
      const most = numberOf(await client.connect(), 'topicAliasMaximum', 0);
      await client.subscribe(`${bench.prefix}/#`);
      const aliases = [1, most].filter((alias) => alias > 0 && alias <= most);
      for (const alias of aliases) {
        for (const name of ['old', 'new']) {
          const topic = bench.topic(`${name}/${alias}`);
          const properties = [['topicAlias', alias]] as const;
          await client.publish(topic, 'named', { qos: 1, properties });
          await client.publish('', 'aliased', { qos: 1, properties });
          assert.equal((await client.receive()).topic, topic);
          assert.equal((await client.receive()).topic, topic);
        }
      }
    },
  },
  {
    v5: '3.3.2-8 3.3.2-9',
    says: 'topic alias 0, or one above the maximum, ends the connection',
    run: async (bench) => {
      const most = numberOf(await (await bench.open()).connect(), 'topicAliasMaximum', 0);
      const wrong = [0, most + 1].filter((alias) => alias <= 65_535);
      const all = wrong.map((alias) => [['topicAlias', alias]] as const);
      await refusesProperties(bench, all, [0x94]);
    },
  },
  {
    v5: '3.3.2-7',
    says: 'a topic alias ends with its connection, and one that names nothing is an error',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const properties = [['topicAlias', 1]] as const;
      const before = await bench.client(kept);
      await before.publish(bench.topic('a'), 'x', { qos: 1, properties });
      await before.leave();
      const after = await bench.client(kept);
      await after.publish('', 'x', { qos: 1, properties, only: true });
      await after.isClosed(0x82, 0x94);
    },
  },
  {
    v5: '3.1.2-26 3.3.2-11',
    says: 'a subscriber gets no topic alias above its maximum, and each that it gets was explained',
    run: async (bench) => {
      const client = await bench.client(aliasing);
      await client.subscribe(`${bench.prefix}/#`);
      const known = new Map<number, string>();
      for (let each = 0; each < 12; each += 1) {
        const topic = bench.topic(`${each % 4}`);
        await client.publish(topic, 'x', { qos: 1 });
        const heard = await client.receive();
        const alias = numberOf(heard, 'topicAlias', 0);
        assert.ok(alias <= 2);
        if (heard.topic !== '' && alias > 0) known.set(alias, heard.topic);
        assert.equal(heard.topic === '' ? known.get(alias) : heard.topic, topic);
      }
    },
  },
  {
    v5: '3.1.2-27',
    says: 'a subscriber that takes no topic aliases gets none',
    run: async (bench) => {
      for (const properties of [[], [['topicAliasMaximum', 0]]] as const) {
        const client = await bench.client({ properties });
        await client.subscribe(bench.topic('a'));
        for (let each = 0; each < 3; each += 1) {
          await client.publish(bench.topic('a'), 'x', { qos: 1 });
          assert.deepEqual(valuesOf(await client.receive(), 'topicAlias'), []);
        }
      }
    },
  },
  {
    v5: '3.3.2-13 3.3.2-14 3.3.2-19 1.5.7-1',
    says: 'response topics with wildcards and texts that are no UTF-8 end the connection',
    run: async (bench) => {
      const bad = Buffer.from([0x61, 0xc3]);
      await refusesProperties(
        bench,
        [
          [['responseTopic', 'a/#']],
          [['responseTopic', '+/a']],
          [['responseTopic', bad]],
          [['contentType', bad]],
          [['userProperty', [bad, 'v']]],
          [['userProperty', ['k', bad]]],
          [['userProperty', ['k\0', 'v']]],
        ],
        [0x81, 0x82, 0x90],
      );
    },
  },
  {
    v5: '3.3.4-6',
    says: 'a subscription identifier from a client is a protocol error',
    run: (bench) => refusesProperties(bench, [[['subscriptionIdentifier', 1]]], [0x82]),
  },
  {
    v5: '§2.2.2.2 §3.3.2.3.2',
    says: 'properties that are repeated, of another packet, or of a wrong value end the connection',
    run: (bench) =>
      refusesProperties(
        bench,
        [
          [
            ['contentType', 'a'],
            ['contentType', 'a'],
          ],
          [
            ['messageExpiry', 1],
            ['messageExpiry', 1],
          ],
          [['sessionExpiry', 1]],
          [['payloadFormat', 2]],
          [['reasonString', 'a']],
        ],
        [0x81, 0x82],
      ),
  },
  {
    v5: '3.1.2-25 3.1.2-24',
    says: 'a message too large for the subscriber counts as sent, and the next one comes',
    run: async (bench) => {
      const small = await bench.client({ properties: [['maximumPacketSize', 200]] });
      const publisher = await bench.client();
      await small.subscribe(bench.topic('a'));
      for (const qos of [0, 1, 2]) {
        await publisher.publish(bench.topic('a'), 'x'.repeat(300), { qos });
        await publisher.publish(bench.topic('a'), `${qos}`, { qos });
      }
      assert.deepEqual(await small.payloads(3), ['0', '1', '2']);
      await small.hearsNothing();
    },
  },
  {
    v3: '3.3.5-2',
    says: 'a topic that the server keeps for itself is acked, or ends the connection',
    run: async (bench) => {
      const client = await bench.client();
      const kept = { topic: '$SYS/broker/version', payload: bench.prefix, qos: 1, id: 1 };
      client.send(publishPacket(4, kept));
      const answer = await client.next().catch(() => undefined);
      if (answer) assert.deepEqual([answer.type, answer.id], [packetType.puback, 1]);
      else assert.ok(client.ended);
    },
  },
  {
    v5: '4.3.3-9 3.5.2-1',
    says: 'after a PUBREC that refuses, the same packet id is a new message',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      const refused = await client.publish('$SYS/broker/version', 'x', { qos: 2, id: 9 });
      assert.ok(refused && refused.type === packetType.pubrec && refused.code >= 0x80);
      await client.publish(bench.topic('a'), 'new', { qos: 2, id: 9 });
      assert.deepEqual(await client.payloads(1), ['new']);
    },
  },
  {
    v5: '3.3.2-3 §2.2.2',
    v3: '3.3.2-3',
    says: 'clients of both versions hear each other, each in its own words',
    run: async (bench) => {
      const [older, newer] = [
        await bench.client({ version: 4 }),
        await bench.client({ version: 5 }),
      ];
      for (const client of [older, newer]) await client.subscribe(bench.topic('a'));
      const properties = [['userProperty', ['k', 'v']]] as const;
      await newer.publish(bench.topic('a'), 'new', { qos: 2, properties });
      await older.publish(bench.topic('a'), 'old', { qos: 2 });
      assert.deepEqual((await older.payloads(2)).toSorted(), ['new', 'old']);
      const heard = [await newer.receive(), await newer.receive()];
      assert.deepEqual(
        heard.map((each) => [each.payload.toString(), valuesOf(each, 'userProperty').length]),
        [
          ['new', 1],
          ['old', 0],
        ],
      );
    },
  },
];
