import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Arriving, Case } from '../bench.ts';
import type { Client } from '../client.ts';
import { numberOf } from '../heard.ts';
import { ackPacket, packetType, publishPacket } from '../wire.ts';

function window(receiveMaximum: number): Arriving {
  return { properties: [['receiveMaximum', receiveMaximum]] };
}

/** Publishes with a QoS each, counted. */
async function burst(client: Client, topic: string, qualities: readonly number[]): Promise<void> {
  for (const [at, qos] of qualities.entries()) await client.publish(topic, `${at}`, { qos });
}

function counted(length: number): string[] {
  return Array.from({ length }, (_, at) => `${at}`);
}

export const qualityCases: readonly Case[] = [
  {
    v5: '3.3.4-1 2.2.1-5 4.3.2-4 3.4.2-1',
    v3: '3.3.4-1 2.3.1-6 4.3.2-2',
    says: 'PUBLISH of QoS 1 is answered with PUBACK of its packet id',
    run: async (bench) => {
      const client = await bench.client();
      for (const id of [1, 255, 256, 65_535]) {
        const ack = await client.publish(bench.topic('a'), 'x', { qos: 1, id });
        assert.ok(ack && [0x00, 0x10].includes(ack.code));
      }
    },
  },
  {
    v5: '4.3.2-5',
    v3: '4.3.2-2',
    says: 'after PUBACK the same packet id is a new message, with DUP or without',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      await client.publish(bench.topic('a'), 'one', { qos: 1, id: 7 });
      await client.publish(bench.topic('a'), 'two', { qos: 1, id: 7 });
      await client.publish(bench.topic('a'), 'three', { qos: 1, id: 7, dup: true });
      assert.deepEqual(await client.payloads(3), ['one', 'two', 'three']);
    },
  },
  {
    v5: '3.3.4-1 4.3.3-8 4.3.3-11 2.2.1-5 3.5.2-1 3.7.2-1',
    v3: '3.3.4-1 4.3.3-2 2.3.1-6',
    says: 'PUBLISH of QoS 2 is answered with PUBREC, and PUBREL with PUBCOMP, of its packet id',
    run: async (bench) => {
      const client = await bench.client();
      for (const id of [1, 65_535]) {
        await client.publish(bench.topic('a'), 'x', { qos: 2, id, only: true });
        const received = await client.next();
        assert.deepEqual([received.type, received.id], [packetType.pubrec, id]);
        assert.ok([0x00, 0x10].includes(received.code));
        assert.equal((await client.release(id)).code, 0);
      }
    },
  },
  {
    v5: '4.3.3-10 4.3.3-12',
    v3: '4.3.3-2',
    says: 'until PUBREL a QoS 2 message is taken once, however often it comes; after it is a new one',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      for (const dup of [false, true, true]) {
        await client.publish(bench.topic('a'), 'one', { qos: 2, id: 9, dup, only: true });
        assert.equal((await client.take(packetType.pubrec)).id, 9);
      }
      await client.release(9);
      assert.deepEqual(await client.payloads(1), ['one']);
      await client.publish(bench.topic('a'), 'two', { qos: 2, id: 9 });
      assert.deepEqual(await client.payloads(1), ['two']);
      await client.hearsNothing();
    },
  },
  {
    v5: '4.3.3-10 4.1.0-1',
    v3: '4.3.3-2 4.1.0-1',
    says: 'a QoS 2 message that is repeated after a reconnect is taken once',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const subscriber = await bench.client();
      await subscriber.subscribe(bench.topic('a'));
      const before = await bench.client(kept);
      await before.publish(bench.topic('a'), 'x', { qos: 2, id: 9, only: true });
      await before.take(packetType.pubrec);
      before.cut();
      const after = await bench.client(kept);
      await after.publish(bench.topic('a'), 'x', { qos: 2, id: 9, dup: true });
      assert.deepEqual(await subscriber.payloads(1), ['x']);
      await subscriber.hearsNothing();
    },
  },
  {
    v5: '4.3.3-11 §3.7.2.1',
    v3: '4.3.3-2',
    says: 'PUBREL of an unknown packet id is answered with PUBCOMP, in MQTT 5 with 0x92',
    run: async (bench) => {
      const client = await bench.client();
      const complete = await client.release(77);
      assert.equal(complete.code, bench.is5 ? 0x92 : 0);
      await client.ping();
    },
  },
  {
    v5: '3.6.2-1 §3.5.4',
    says: 'PUBREC of an unknown packet id is answered with PUBREL 0x92',
    run: async (bench) => {
      const client = await bench.client();
      client.send(ackPacket({ type: packetType.pubrec, id: 77 }));
      const release = await client.take(packetType.pubrel);
      assert.deepEqual([release.id, release.code], [77, 0x92]);
    },
  },
  {
    v5: '4.3.2-1 4.3.2-2 4.3.3-1 4.3.3-2 2.2.1-4',
    v3: '2.3.1-4 4.3.2-1 4.3.3-1',
    says: 'messages in flight to a client have packet ids of their own, not 0, and no DUP',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      await burst(client, bench.topic('a'), [1, 2, 1, 2, 1, 2]);
      const ids = new Set<number>();
      for (let each = 0; each < 6; each += 1) {
        const heard = await client.take(packetType.publish);
        assert.deepEqual([heard.dup, heard.qos], [false, each % 2 === 0 ? 1 : 2]);
        ids.add(heard.id);
      }
      assert.equal(ids.size, 6);
    },
  },
  {
    v5: '4.3.3-4 3.6.2-1',
    v3: '4.3.3-1',
    says: 'PUBREC of the client is answered with PUBREL of the packet id',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      await client.publish(bench.topic('a'), 'x', { qos: 2 });
      const heard = await client.take(packetType.publish);
      client.send(ackPacket({ type: packetType.pubrec, id: heard.id }));
      const release = await client.take(packetType.pubrel);
      assert.deepEqual([release.id, release.code, release.flags], [heard.id, 0, 2]);
      client.send(ackPacket({ type: packetType.pubcomp, id: heard.id }));
      await client.hearsNothing();
    },
  },
  {
    v5: '§4.3',
    v3: '4.3.2-2',
    says: 'acks that name nothing do no harm to the message in flight',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      await client.publish(bench.topic('a'), 'x', { qos: 1 });
      const heard = await client.take(packetType.publish);
      const other = (heard.id % 65_535) + 1;
      client.send(ackPacket({ type: packetType.puback, id: other }));
      client.send(ackPacket({ type: packetType.pubcomp, id: other }));
      await client.ping();
      client.send(ackPacket({ type: packetType.puback, id: heard.id }));
      await client.publish(bench.topic('a'), 'y', { qos: 1 });
      assert.deepEqual(await client.payloads(1), ['y']);
    },
  },
  {
    v5: '4.6.0-5 4.6.0-6',
    v3: '4.6.0-5 4.6.0-6',
    says: 'messages of one publisher to a topic arrive in their order, in each QoS',
    run: async (bench) => {
      const subscriber = await bench.client();
      const publisher = await bench.client();
      for (const qos of [0, 1, 2]) {
        const topic = bench.topic(`order/${qos}`);
        await subscriber.subscribe(topic);
        await burst(publisher, topic, Array<number>(30).fill(qos));
        assert.deepEqual(await subscriber.payloads(30), counted(30));
      }
    },
  },
  {
    v5: '3.3.4-9 4.9.0-1 4.9.0-2',
    says: 'no more is in flight to a client than its receive maximum, of QoS 1',
    run: async (bench) => {
      const client = await bench.client(window(2));
      const publisher = await bench.client();
      await client.subscribe(bench.topic('a'));
      await burst(publisher, bench.topic('a'), [1, 1, 1, 1, 1]);
      const first = await client.take(packetType.publish);
      await client.take(packetType.publish);
      await client.hearsNothing();
      client.send(ackPacket({ type: packetType.puback, id: first.id }));
      assert.equal((await client.take(packetType.publish)).payload.toString(), '2');
      await client.hearsNothing();
    },
  },
  {
    v5: '4.9.0-2 4.3.3-5',
    says: 'a QoS 2 message is in flight until PUBCOMP, or until PUBREC refuses it',
    run: async (bench) => {
      const client = await bench.client(window(1));
      const publisher = await bench.client();
      await client.subscribe(bench.topic('a'));
      await burst(publisher, bench.topic('a'), [2, 2, 2]);
      const { id } = await client.take(packetType.publish);
      client.send(ackPacket({ type: packetType.pubrec, id }));
      await client.take(packetType.pubrel);
      await client.hearsNothing();
      client.send(ackPacket({ type: packetType.pubcomp, id }));
      const second = await client.take(packetType.publish);
      client.send(ackPacket({ type: packetType.pubrec, id: second.id, code: 0x80 }));
      assert.equal((await client.take(packetType.publish)).payload.toString(), '2');
    },
  },
  {
    v5: '3.3.4-10 4.9.0-3',
    says: 'a full window holds back no other packet, QoS 0 messages included',
    run: async (bench) => {
      const client = await bench.client(window(1));
      const publisher = await bench.client();
      await client.subscribe(bench.topic('a'));
      await burst(publisher, bench.topic('a'), [1, 1]);
      const first = await client.take(packetType.publish);
      await client.ping();
      await client.subscribe(bench.topic('b'));
      await client.unsubscribe(bench.topic('c'));
      await client.publish(bench.topic('d'), 'x', { qos: 2 });
      client.send(ackPacket({ type: packetType.puback, id: first.id }));
      assert.equal((await client.receive()).payload.toString(), '1');
    },
  },
  {
    v5: '3.3.4-9 §3.3.4',
    says: 'who sends more than the receive maximum of the server is disconnected with 0x93',
    run: async (bench) => {
      const client = await bench.open();
      const most = numberOf(await client.connect(), 'receiveMaximum', 65_535);
      if (most === 65_535) return; // There are no more packet ids.
      for (let id = 1; id <= most + 1; id += 1) {
        await client.publish(bench.topic('a'), 'x', { qos: 2, id, only: true });
      }
      await client.isClosed(0x93);
    },
  },
  {
    v5: '4.2-1 §2.1',
    v3: '2.2.2-1',
    says: 'packets are the same in whatever pieces their bytes come',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      const all = Buffer.concat(
        [1, 2, 3].map((id) =>
          publishPacket(bench.version, { topic: bench.topic('a'), payload: `${id}`, qos: 1, id }),
        ),
      );
      for (const byte of all.subarray(0, 40)) {
        client.send(Buffer.from([byte]));
        await wait(1);
      }
      client.send(all.subarray(40));
      assert.deepEqual(await client.payloads(3), ['1', '2', '3']);
    },
  },
];
