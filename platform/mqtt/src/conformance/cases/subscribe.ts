import assert from 'node:assert/strict';
import type { Bench, Case } from '../bench.ts';
import type { Client } from '../client.ts';
import { valuesOf } from '../heard.ts';
import {
  ackPacket,
  type Filter,
  packet,
  packetType,
  type Properties,
  subscribePacket,
  text,
  u16,
  unsubscribePacket,
} from '../wire.ts';

async function refusesSubscribe(bench: Bench, bytes: readonly Buffer[], codes: readonly number[]) {
  await bench.each(bytes, async (client, each) => {
    client.send(each);
    await client.isClosed(...codes);
  });
}

function subscribeBytes(bench: Bench, filters: readonly Filter[], properties?: Properties) {
  const more = properties && { properties };
  return subscribePacket(bench.version, { id: 1, filters, ...more });
}

const noLocal = 4;
const identifier = (value: number): Properties => [['subscriptionIdentifier', value]];
const noBlock = (client: { is5: boolean }): Buffer[] => (client.is5 ? [Buffer.from([0])] : []);

export const subscribeCases: readonly Case[] = [
  {
    v5: '3.8.1-1 2.1.3-1',
    v3: '3.8.1-1 2.2.2-2',
    says: 'SUBSCRIBE with other flags than 0010 ends the connection',
    run: (bench) => {
      const all = [0, 1, 3, 6, 10].map((flags) =>
        subscribePacket(bench.version, { id: 1, filters: [['a', 0]], flags }),
      );
      return refusesSubscribe(bench, all, [0x81]);
    },
  },
  {
    v5: '3.8.3-1 4.7.3-2 1.5.4-1 1.5.4-2',
    v3: '3.8.3-1 4.7.3-2 1.5.3-1 1.5.3-2',
    says: 'a topic filter that is no UTF-8, or holds U+0000, ends the connection',
    run: (bench) => {
      const all = ['61ff', '6100', 'eda080'].map((hex) =>
        subscribeBytes(bench, [[Buffer.from(hex, 'hex'), 0]]),
      );
      return refusesSubscribe(bench, all, [0x81, 0x82, 0x8f]);
    },
  },
  {
    v5: '3.8.3-2',
    v3: '3.8.3-3',
    says: 'SUBSCRIBE without a topic filter ends the connection',
    run: (bench) => refusesSubscribe(bench, [subscribeBytes(bench, [])], [0x81, 0x82]),
  },
  {
    v5: '3.8.3-5',
    v3: '3.8.3-4',
    says: 'reserved bits in the options, or QoS 3, end the connection',
    run: (bench) => {
      const options = bench.is5 ? [0x40, 0x80, 0x03, 0x31] : [0x04, 0x08, 0x10, 0x80, 0x03];
      const all = options.map((each) => subscribeBytes(bench, [['a', each]]));
      return refusesSubscribe(bench, all, [0x81, 0x82]);
    },
  },
  {
    v5: '2.2.1-3 2.2.1-6',
    v3: '2.3.1-1',
    says: 'SUBSCRIBE and UNSUBSCRIBE with packet id 0 end the connection',
    run: (bench) => {
      const all = [
        subscribePacket(bench.version, { id: 0, filters: [['a', 0]] }),
        unsubscribePacket(bench.version, { id: 0, filters: ['a'] }),
      ];
      return refusesSubscribe(bench, all, [0x81, 0x82]);
    },
  },
  {
    v5: '§3.8.2.1.2',
    says: 'a subscription identifier of 0, or two of them, are a protocol error',
    run: (bench) => {
      const all = [identifier(0), [...identifier(1), ...identifier(2)]].map((properties) =>
        subscribeBytes(bench, [['a', 0]], properties),
      );
      return refusesSubscribe(bench, all, [0x81, 0x82]);
    },
  },
  {
    v5: '3.8.4-1 3.8.4-2 2.2.1-6 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2',
    v3: '3.8.4-1 3.8.4-2 2.3.1-7 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2 3.8.3-2',
    says: 'SUBACK has the packet id of its SUBSCRIBE and a code for each filter, in their order',
    run: async (bench) => {
      const client = await bench.client();
      const filters: readonly Filter[] = [
        [bench.topic('a'), 2],
        [bench.topic('b/+'), 0],
        [bench.topic('c/#'), 1],
      ];
      client.send(subscribePacket(bench.version, { id: 65_535, filters }));
      const ack = await client.take(packetType.suback);
      assert.deepEqual([ack.id, ack.codes], [65_535, [2, 0, 1]]);
      await client.publish(bench.topic('b/x'), 'b');
      await client.publish(bench.topic('c'), 'c');
      assert.deepEqual((await client.payloads(2)).toSorted(), ['b', 'c']);
    },
  },
  {
    v5: '3.8.4-5 3.8.4-7 3.9.3-2',
    v3: '3.8.4-4 3.9.3-2',
    says: 'a filter that is refused says so in its place, and the others hold',
    run: async (bench) => {
      const client = await bench.client();
      const codes = await client.subscribe([
        [bench.topic('a'), 1],
        [bench.topic('a#'), 1],
        [bench.topic('b'), 1],
      ]);
      assert.deepEqual(codes, [1, bench.is5 ? 0x8f : 0x80, 1]);
      await client.publish(bench.topic('b'), 'x');
      assert.deepEqual(await client.payloads(1), ['x']);
    },
  },
  {
    v5: '3.8.4-3',
    v3: '3.8.4-3',
    says: 'the same filter again replaces the subscription: one copy, of the new QoS',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe([[bench.topic('a'), 2]]);
      await client.subscribe([[bench.topic('a'), 1]]);
      await client.publish(bench.topic('a'), 'x', { qos: 2 });
      assert.equal((await client.receive()).qos, 1);
      await client.hearsNothing();
    },
  },
  {
    v5: '3.8.4-3 3.3.4-3',
    says: 'a renewed subscription has the new identifier, or none',
    run: async (bench) => {
      const client = await bench.client();
      for (const properties of [identifier(1), identifier(268_435_455), undefined]) {
        await client.subscribe([[bench.topic('a'), 0]], properties);
        await client.publish(bench.topic('a'), 'x');
        const heard = await client.receive();
        assert.deepEqual(
          valuesOf(heard, 'subscriptionIdentifier'),
          (properties ?? []).map(([, value]) => value),
        );
      }
    },
  },
  {
    v5: '3.8.4-8 4.3.1-1',
    v3: '3.8.4-6',
    says: 'a message is sent with the lower of its QoS and the granted one',
    run: async (bench) => {
      const publisher = await bench.client();
      for (const granted of [0, 1, 2]) {
        const client = await bench.client();
        const topic = bench.topic(`${granted}`);
        assert.deepEqual(await client.subscribe([[topic, granted]]), [granted]);
        for (const qos of [0, 1, 2]) {
          await publisher.publish(topic, 'x', { qos });
          assert.equal((await client.receive()).qos, Math.min(qos, granted));
        }
      }
    },
  },
  {
    v5: '3.3.4-2 3.3.4-3 3.3.4-4 3.3.4-5',
    says: 'overlapping subscriptions give the highest QoS and all their identifiers',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe([[bench.topic('a/b'), 1]], identifier(1));
      await client.subscribe([[bench.topic('a/+'), 2]], identifier(2));
      await client.subscribe([[bench.topic('a/#'), 0]], identifier(3));
      await client.subscribe([[bench.topic('#'), 0]]);
      await client.publish(bench.topic('a/b'), 'x', { qos: 2 });
      const copies = [await client.receive()];
      // One copy with all identifiers, or a copy each.
      const named = (): Set<unknown> =>
        new Set(copies.flatMap((copy) => valuesOf(copy, 'subscriptionIdentifier')));
      while (named().size < 3) copies.push(await client.receive());
      assert.deepEqual(named(), new Set([1, 2, 3]));
      assert.equal(Math.max(...copies.map(({ qos }) => qos)), 2);
    },
  },
  {
    v3: '3.3.5-1',
    says: 'overlapping subscriptions give the highest QoS',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe([
        [bench.topic('a/b'), 0],
        [bench.topic('a/+'), 2],
        [bench.topic('#'), 1],
      ]);
      await client.publish(bench.topic('a/b'), 'x', { qos: 2 });
      const qualities = [(await client.receive()).qos];
      while (!qualities.includes(2)) qualities.push((await client.receive()).qos);
      assert.ok(qualities.length <= 3);
    },
  },
  {
    v5: '3.8.3-3',
    says: 'no local: a client does not get what it published itself, and others do',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const client = await bench.client(kept);
      const other = await bench.client();
      await client.subscribe([[bench.topic('a'), 1 | noLocal]]);
      await other.subscribe(bench.topic('a'));
      await client.publish(bench.topic('a'), 'own', { qos: 1 });
      assert.deepEqual(await other.payloads(1), ['own']);
      await client.hearsNothing();
      await other.publish(bench.topic('a'), 'other', { qos: 1 });
      assert.deepEqual(await client.payloads(1), ['other']);
      await client.leave();
      const again = await bench.client(kept);
      await again.publish(bench.topic('a'), 'own again', { qos: 1 });
      await again.hearsNothing();
    },
  },
  {
    v5: '3.10.1-1 2.1.3-1',
    v3: '3.10.1-1',
    says: 'UNSUBSCRIBE with other flags than 0010 ends the connection',
    run: (bench) => {
      const all = [0, 3, 6].map((flags) =>
        unsubscribePacket(bench.version, { id: 1, filters: ['a'], flags }),
      );
      return refusesSubscribe(bench, all, [0x81]);
    },
  },
  {
    v5: '3.10.3-1 3.10.3-2',
    v3: '3.10.3-1 3.10.3-2',
    says: 'UNSUBSCRIBE without a filter, or with one that is no UTF-8, ends the connection',
    run: (bench) => {
      const bad = packet(0xa2, u16(1), ...noBlock(bench), text(Buffer.from([0xff])));
      const none = unsubscribePacket(bench.version, { id: 1, filters: [] });
      return refusesSubscribe(bench, [none, bad], [0x81, 0x82, 0x8f]);
    },
  },
  {
    v5: '3.10.4-1 3.10.4-2',
    v3: '3.10.4-1 3.10.4-2',
    says: 'UNSUBSCRIBE ends the subscription of exactly this filter',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe([
        [bench.topic('a/+'), 0],
        [bench.topic('a/b'), 0],
      ]);
      await client.unsubscribe(bench.topic('a/b'));
      await client.publish(bench.topic('a/b'), 'by wildcard');
      assert.deepEqual(await client.payloads(1), ['by wildcard']);
      await client.unsubscribe(bench.topic('a/#'), bench.topic('A/+'));
      await client.publish(bench.topic('a/b'), 'still');
      assert.deepEqual(await client.payloads(1), ['still']);
      await client.unsubscribe(bench.topic('a/+'));
      await client.publish(bench.topic('a/b'), 'no more');
      await client.hearsNothing();
    },
  },
  {
    v5: '3.10.4-3',
    v3: '3.10.4-3',
    says: 'what was being sent when UNSUBSCRIBE came is completed',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      await client.publish(bench.topic('a'), 'x', { qos: 2 });
      const heard = await client.take(packetType.publish);
      await client.unsubscribe(bench.topic('a'));
      await client.finish(heard);
      await client.hearsNothing();
    },
  },
  {
    v5: '3.10.4-3 4.4.0-1',
    v3: '3.10.4-3 4.4.0-1',
    says: 'it is completed after a reconnect too',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const client = await bench.client(kept);
      await client.subscribe(bench.topic('a'));
      await client.publish(bench.topic('a'), 'x', { qos: 1 });
      const heard = await client.take(packetType.publish);
      await client.unsubscribe(bench.topic('a'));
      client.cut();
      const again = await bench.client(kept);
      const second = await again.take(packetType.publish);
      assert.deepEqual([second.id, second.dup, second.qos], [heard.id, true, 1]);
      again.send(ackPacket({ type: packetType.puback, id: second.id }));
      await again.hearsNothing();
    },
  },
  {
    v5: '3.10.4-4 3.10.4-5 3.10.4-6 2.2.1-6 3.11.3-1 3.11.3-2',
    says: 'UNSUBACK has the packet id and a code for each filter, in their order',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      const filters = [bench.topic('unknown'), bench.topic('a'), bench.topic('a')];
      client.send(unsubscribePacket(5, { id: 65_535, filters }));
      const ack = await client.take(packetType.unsuback);
      assert.deepEqual([ack.id, ack.codes], [65_535, [0x11, 0x00, 0x11]]);
    },
  },
  {
    v3: '3.10.4-4 3.10.4-5 3.10.4-6 2.3.1-7',
    says: 'UNSUBACK has the packet id and comes even where nothing was subscribed',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      const filters = [bench.topic('unknown'), bench.topic('a')];
      client.send(unsubscribePacket(4, { id: 65_535, filters }));
      const ack = await client.take(packetType.unsuback);
      assert.deepEqual([ack.id, ack.codes], [65_535, []]);
      await client.publish(bench.topic('a'), 'x');
      await client.hearsNothing();
    },
  },
  {
    v5: '3.8.4-4',
    v3: '3.8.4-3',
    says: 'no message is lost while a subscription is renewed again and again',
    run: async (bench) => {
      const client = await bench.client();
      const publisher = await bench.client();
      await client.subscribe(bench.topic('a'));
      const all = Array.from({ length: 20 }, (_, at) => `${at}`);
      const publishing = publishAll(publisher, bench.topic('a'), all);
      for (let each = 0; each < 10; each += 1) await client.subscribe(bench.topic('a'));
      await publishing;
      assert.deepEqual(await client.payloads(20), all);
    },
  },
];

async function publishAll(client: Client, topic: string, payloads: readonly string[]) {
  for (const payload of payloads) await client.publish(topic, payload, { qos: 1 });
}
