import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Bench, Case } from '../bench.ts';
import { numberOf, valueOf, valuesOf } from '../heard.ts';
import type { Properties } from '../wire.ts';

async function retain(bench: Bench, path: string, payload: string, properties: Properties = []) {
  const publisher = await bench.client();
  await publisher.publish(bench.topic(path), payload, { qos: 1, retain: true, properties });
}

/** A subscriber that comes late. Options in MQTT 5: bits 4 and 5 retain handling, 3 retain as published. */
async function late(bench: Bench, path: string, options = 1) {
  const client = await bench.client();
  await client.subscribe([[bench.topic(path), options]]);
  return client;
}

const retainHandling = (value: number): number => 1 | (value << 4);

export const retainedCases: readonly Case[] = [
  {
    v5: '3.3.1-5 3.3.1-9',
    v3: '3.3.1-5 3.3.1-6 3.3.1-8',
    says: 'the last retained message of a topic is sent to who subscribes later, with RETAIN',
    run: async (bench) => {
      await retain(bench, 'a', 'old');
      await retain(bench, 'a', 'new');
      const client = await late(bench, 'a');
      const heard = await client.receive();
      assert.deepEqual([heard.payload.toString(), heard.retain, heard.qos], ['new', true, 1]);
      await client.hearsNothing();
    },
  },
  {
    v5: '3.3.1-5',
    v3: '3.3.1-5 3.3.1-7',
    says: 'a retained message of QoS 0 takes the place of the older one too',
    run: async (bench) => {
      await retain(bench, 'a', 'old');
      const present = await late(bench, 'a');
      const publisher = await bench.client();
      await publisher.publish(bench.topic('a'), 'new', { retain: true });
      assert.deepEqual(await present.payloads(2), ['old', 'new']);
      const heard = await (await late(bench, 'a')).receive();
      assert.deepEqual([heard.payload.toString(), heard.qos], ['new', 0]);
    },
  },
  {
    v5: '3.3.1-6 3.3.1-7',
    v3: '3.3.1-10 3.3.1-11',
    says: 'an empty retained message removes what was retained, and is itself a message for subscribers',
    run: async (bench) => {
      const present = await late(bench, 'a');
      await retain(bench, 'a', 'x');
      await retain(bench, 'a', '');
      assert.deepEqual(await present.payloads(2), ['x', '']);
      await (await late(bench, 'a')).hearsNothing();
    },
  },
  {
    v5: '3.3.1-8',
    v3: '3.3.1-12',
    says: 'a message without RETAIN neither is retained nor removes what is',
    run: async (bench) => {
      await retain(bench, 'a', 'kept');
      const publisher = await bench.client();
      await publisher.publish(bench.topic('a'), 'passing', { qos: 1 });
      await publisher.publish(bench.topic('a'), '', { qos: 1 });
      await publisher.publish(bench.topic('b'), 'passing', { qos: 1 });
      const client = await late(bench, '+');
      assert.deepEqual(await client.payloads(1), ['kept']);
      await client.hearsNothing();
    },
  },
  {
    v5: '3.3.1-9 3.8.4-4',
    v3: '3.8.4-3 3.3.1-6',
    says: 'retained messages are sent again when the subscription is renewed (retain handling 0)',
    run: async (bench) => {
      await retain(bench, 'a', 'x');
      const client = await late(bench, 'a');
      assert.deepEqual(await client.payloads(1), ['x']);
      await client.subscribe([[bench.topic('a'), 1]]);
      assert.deepEqual(await client.payloads(1), ['x']);
    },
  },
  {
    v5: '3.3.1-10',
    says: 'retain handling 1 sends what is retained to a new subscription alone',
    run: async (bench) => {
      await retain(bench, 'a', 'x');
      const client = await late(bench, 'a', retainHandling(1));
      assert.deepEqual(await client.payloads(1), ['x']);
      await client.subscribe([[bench.topic('a'), retainHandling(1)]]);
      await client.hearsNothing();
      await client.unsubscribe(bench.topic('a'));
      await client.subscribe([[bench.topic('a'), retainHandling(1)]]);
      assert.deepEqual(await client.payloads(1), ['x']);
    },
  },
  {
    v5: '3.3.1-11',
    says: 'retain handling 2 sends nothing of what is retained',
    run: async (bench) => {
      await retain(bench, 'a', 'x');
      const client = await late(bench, 'a', retainHandling(2));
      await client.hearsNothing();
      await retain(bench, 'a', 'y');
      assert.deepEqual(await client.payloads(1), ['y']);
    },
  },
  {
    v5: '3.3.1-12',
    v3: '3.3.1-9',
    says: 'who is subscribed already gets a retained message without RETAIN',
    run: async (bench) => {
      const client = await late(bench, 'a');
      await retain(bench, 'a', 'x');
      assert.equal((await client.receive()).retain, false);
    },
  },
  {
    v5: '3.3.1-13',
    says: 'retain as published carries RETAIN on as it was',
    run: async (bench) => {
      const client = await late(bench, 'a', 1 | 8);
      await retain(bench, 'a', 'x');
      assert.equal((await client.receive()).retain, true);
      await client.publish(bench.topic('a'), 'y', { qos: 1 });
      assert.equal((await client.receive()).retain, false);
    },
  },
  {
    v5: '3.3.1-9',
    v3: '3.3.1-6',
    says: 'all retained messages that match a wildcard are sent, and no others',
    run: async (bench) => {
      for (const path of ['a/b', 'a/c', 'a/b/c', 'd']) await retain(bench, path, path);
      const client = await late(bench, 'a/+');
      assert.deepEqual((await client.payloads(2)).toSorted(), ['a/b', 'a/c']);
      await client.hearsNothing();
    },
  },
  {
    v5: '3.8.4-8',
    v3: '3.8.4-6',
    says: 'a retained message is sent with the lower of its QoS and the granted one',
    run: async (bench) => {
      const publisher = await bench.client();
      await publisher.publish(bench.topic('a'), 'x', { qos: 2, retain: true });
      for (const qos of [0, 1, 2]) {
        assert.equal((await (await late(bench, 'a', qos)).receive()).qos, qos);
      }
    },
  },
  {
    v3: '3.1.2-7',
    v5: '§3.3.1.3',
    says: 'retained messages outlive the session of their publisher',
    run: async (bench) => {
      const publisher = await bench.client();
      await publisher.publish(bench.topic('a'), 'x', { qos: 1, retain: true });
      await publisher.leave();
      const again = await bench.client({ clientId: publisher.clientId });
      await again.leave();
      assert.deepEqual(await (await late(bench, 'a')).payloads(1), ['x']);
    },
  },
  {
    v5: '3.3.2-4 3.3.2-17 3.3.4-3',
    says: 'a retained message keeps its properties and names the subscription identifier',
    run: async (bench) => {
      const pairs = [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ] as const;
      const user = pairs.map((pair) => ['userProperty', pair] as const);
      await retain(bench, 'a', 'x', [['payloadFormat', 1], ['contentType', 'text/plain'], ...user]);
      const client = await bench.client();
      await client.subscribe([[bench.topic('a'), 1]], [['subscriptionIdentifier', 300]]);
      const heard = await client.receive();
      assert.equal(valueOf(heard, 'payloadFormat'), 1);
      assert.equal(valueOf(heard, 'contentType'), 'text/plain');
      assert.deepEqual(valuesOf(heard, 'userProperty'), pairs);
      assert.deepEqual(valuesOf(heard, 'subscriptionIdentifier'), [300]);
    },
  },
  {
    v5: '3.3.2-5 3.3.2-6',
    says: 'a retained message says what is left of its expiry, and is gone after it',
    run: async (bench) => {
      await retain(bench, 'long', 'x', [['messageExpiry', 100]]);
      await retain(bench, 'short', 'x', [['messageExpiry', 1]]);
      await wait(2500);
      const left = numberOf(await (await late(bench, 'long')).receive(), 'messageExpiry', -1);
      assert.ok(left >= 80 && left <= 98, `${left}`);
      await (await late(bench, 'short')).hearsNothing();
    },
  },
];
