import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Case } from '../bench.ts';
import { valuesOf } from '../heard.ts';
import { packetType } from '../wire.ts';

export const sessionCases: readonly Case[] = [
  {
    v5: '3.1.2-4 3.2.2-2',
    v3: '3.1.2-6 3.2.2-1',
    says: 'a clean start forgets the session that was there',
    run: async (bench) => {
      const id = bench.clientId();
      const before = await bench.client(bench.kept(id));
      await before.subscribe(bench.topic('a'));
      await before.leave();
      const after = await bench.open(id);
      assert.equal((await after.connect({ clean: true })).sessionPresent, false);
      await after.publish(bench.topic('a'), 'x', { qos: 1 });
      await after.hearsNothing();
    },
  },
  {
    v5: '3.1.2-5 3.2.2-3 3.1.3-2 3.1.2-23 4.5.0-1',
    v3: '3.1.2-4 3.1.2-5 3.2.2-2 3.1.3-2 4.1.0-1 4.5.0-1',
    says: 'a kept session goes on with its subscriptions and the messages that came meanwhile',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe([
        [bench.topic('one'), 1],
        [bench.topic('two'), 2],
      ]);
      await before.leave();
      const publisher = await bench.client();
      for (const each of [1, 2, 3]) {
        await publisher.publish(bench.topic('one'), `one ${each}`, { qos: 1 });
        await publisher.publish(bench.topic('two'), `two ${each}`, { qos: 2 });
      }
      const after = await bench.open(kept.clientId);
      assert.equal((await after.connect(kept)).sessionPresent, true);
      const heard = await after.payloads(6);
      for (const kind of ['one', 'two']) {
        assert.deepEqual(
          heard.filter((payload) => payload.startsWith(kind)),
          [1, 2, 3].map((each) => `${kind} ${each}`),
        );
      }
      await publisher.publish(bench.topic('one'), 'live', { qos: 1 });
      assert.deepEqual(await after.payloads(1), ['live']);
      await after.hearsNothing();
    },
  },
  {
    v5: '3.1.2-6 3.2.2-3',
    v3: '3.1.2-4 3.2.2-3',
    says: 'where no session is, one is made and none is said to be present',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const connack = await (await bench.open(kept.clientId)).connect(kept);
      assert.deepEqual([connack.code, connack.sessionPresent], [0, false]);
    },
  },
  {
    v5: '4.1.0-2 §3.1.2.11.2',
    says: 'a session without an expiry ends with its connection',
    run: async (bench) => {
      const id = bench.clientId();
      const before = await bench.client({ clientId: id, clean: false });
      await before.subscribe(bench.topic('a'));
      await before.leave();
      const after = await bench.open(id);
      assert.equal((await after.connect({ clean: false })).sessionPresent, false);
    },
  },
  {
    v3: '3.1.2-6 3.2.2-3',
    says: 'a session that began clean ends with its connection',
    run: async (bench) => {
      const id = bench.clientId();
      const before = await bench.client({ clientId: id, clean: true });
      await before.subscribe(bench.topic('a'));
      await before.leave();
      const after = await bench.open(id);
      assert.equal((await after.connect({ clean: false })).sessionPresent, false);
    },
  },
  {
    v5: '4.1.0-2',
    says: 'a session ends when its expiry has passed',
    run: async (bench) => {
      const id = bench.clientId();
      const properties = [['sessionExpiry', 1]] as const;
      const before = await bench.client({ clientId: id, clean: false, properties });
      await before.subscribe(bench.topic('a'));
      before.cut();
      await wait(3500);
      const after = await bench.open(id);
      assert.equal((await after.connect({ clean: false })).sessionPresent, false);
    },
  },
  {
    v5: '4.1.0-1',
    v3: '4.1.0-2',
    says: 'a session lasts as long as its connection, whatever its expiry',
    run: async (bench) => {
      const properties = [['sessionExpiry', 1]] as const;
      const client = await bench.client(bench.is5 ? { properties } : {});
      await client.subscribe(bench.topic('a'));
      await wait(2500);
      await client.publish(bench.topic('a'), 'x', { qos: 1 });
      assert.deepEqual(await client.payloads(1), ['x']);
    },
  },
  {
    v5: '3.1.4-3',
    v3: '3.1.4-2',
    says: 'a client id that connects again takes the session over, and the older connection is closed',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const older = await bench.client(kept);
      await older.subscribe(bench.topic('a'));
      const newer = await bench.open(kept.clientId);
      assert.equal((await newer.connect(kept)).sessionPresent, true);
      await older.isClosed(0x8e);
      await newer.publish(bench.topic('a'), 'x', { qos: 1 });
      assert.deepEqual(await newer.payloads(1), ['x']);
    },
  },
  {
    v5: '3.1.4-3 3.1.4-4',
    v3: '3.1.4-2 3.1.4-3',
    says: 'a take-over with a clean start takes nothing over',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const older = await bench.client(kept);
      await older.subscribe(bench.topic('a'));
      const newer = await bench.open(kept.clientId);
      assert.equal((await newer.connect({ clean: true })).sessionPresent, false);
      await older.isClosed(0x8e);
      await newer.publish(bench.topic('a'), 'x', { qos: 1 });
      await newer.hearsNothing();
    },
  },
  {
    v5: '4.4.0-1 3.3.1-1 4.3.2-3',
    v3: '4.4.0-1 3.3.1-1 4.3.2-1',
    says: 'an unacked QoS 1 message comes again after a reconnect, with DUP and its packet id',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe(bench.topic('a'));
      await before.publish(bench.topic('a'), 'x', { qos: 1 });
      const first = await before.take(packetType.publish);
      assert.equal(first.dup, false);
      before.cut();
      const after = await bench.client(kept);
      const again = await after.receive();
      assert.deepEqual([again.dup, again.id, again.payload.toString()], [true, first.id, 'x']);
      await after.hearsNothing();
    },
  },
  {
    v5: '4.4.0-1 4.6.0-6',
    v3: '4.4.0-1 4.6.0-1 4.6.0-6',
    says: 'several unacked messages come again in the order of their first sending',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe(bench.topic('a'));
      const publisher = await bench.client();
      const all = ['1', '2', '3', '4'];
      for (const each of all) {
        await publisher.publish(bench.topic('a'), each, { qos: Number(each) % 2 === 0 ? 2 : 1 });
      }
      for (const _each of all) await before.take(packetType.publish);
      before.cut();
      const after = await bench.client(kept);
      assert.deepEqual(await after.payloads(4), all);
    },
  },
  {
    v5: '4.4.0-1',
    says: 'nothing is sent again on a connection that lasts',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe(bench.topic('a'));
      await client.publish(bench.topic('a'), 'x', { qos: 1 });
      await client.take(packetType.publish);
      await wait(2000);
      await client.hearsNothing();
    },
  },
  {
    v5: '4.4.0-1 4.3.3-3 4.3.3-4 4.3.3-5 4.3.3-6',
    v3: '4.4.0-1 4.3.3-1',
    says: 'after PUBREC only PUBREL comes again, until PUBCOMP',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe(bench.topic('a'));
      await before.publish(bench.topic('a'), 'x', { qos: 2 });
      const { id } = await before.take(packetType.publish);
      before.send(Buffer.from([0x50, 2, id >> 8, id & 0xff]));
      assert.equal((await before.take(packetType.pubrel)).id, id);
      before.cut();
      const after = await bench.client(kept);
      assert.equal((await after.take(packetType.pubrel)).id, id);
      after.send(Buffer.from([0x70, 2, id >> 8, id & 0xff]));
      await after.hearsNothing();
      after.cut();
      const last = await bench.client(kept);
      await last.hearsNothing();
    },
  },
  {
    v5: '4.3.3-3 4.4.0-1 3.3.1-1',
    v3: '4.3.3-1 4.4.0-1',
    says: 'a QoS 2 message without PUBREC comes again with DUP and is completed once',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe(bench.topic('a'));
      await before.publish(bench.topic('a'), 'x', { qos: 2 });
      const first = await before.take(packetType.publish);
      before.cut();
      const after = await bench.client(kept);
      const again = await after.receive();
      assert.deepEqual([again.dup, again.id, again.qos], [true, first.id, 2]);
      await after.hearsNothing();
    },
  },
  {
    v5: '4.4.0-2',
    says: 'a message that the client refused with a reason code does not come again',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      await before.subscribe(bench.topic('a'));
      for (const qos of [1, 2]) {
        await before.publish(bench.topic('a'), `${qos}`, { qos });
        const { id } = await before.take(packetType.publish);
        before.send(Buffer.from([qos === 1 ? 0x40 : 0x50, 3, id >> 8, id & 0xff, 0x83]));
      }
      await before.hearsNothing();
      before.cut();
      await (await bench.client(kept)).hearsNothing();
    },
  },
  {
    v5: '3.1.2-23 3.2.2-3',
    says: 'a session that began clean is kept if it has an expiry',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client({ ...kept, clean: true });
      await before.subscribe(bench.topic('a'));
      await before.leave();
      const after = await bench.open(kept.clientId);
      assert.equal((await after.connect(kept)).sessionPresent, true);
      await after.publish(bench.topic('a'), 'x', { qos: 1 });
      assert.deepEqual(await after.payloads(1), ['x']);
    },
  },
  {
    v5: '3.1.2-5 3.3.4-3 3.3.1-13',
    says: 'the options and identifiers of subscriptions are kept with the session',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const before = await bench.client(kept);
      const topic = bench.topic('a');
      await before.subscribe([[topic, 1 | 8]], [['subscriptionIdentifier', 300]]);
      await before.leave();
      const publisher = await bench.client();
      await publisher.publish(topic, 'while away', { qos: 2, retain: true });
      const after = await bench.client(kept);
      await publisher.publish(topic, 'after', { qos: 2, retain: true });
      for (const payload of ['while away', 'after']) {
        const heard = await after.receive();
        assert.deepEqual([heard.payload.toString(), heard.qos, heard.retain], [payload, 1, true]);
        assert.deepEqual(valuesOf(heard, 'subscriptionIdentifier'), [300]);
      }
    },
  },
];
