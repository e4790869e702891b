import { setTimeout as wait } from 'node:timers/promises';
import { topicOf } from '@domicile/core/streams.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { cutPartition } from '@domicile/devkit/kafka-cutting.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import type { MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { heardBy, OpenHouse, partitions } from './test-open-house.ts';

let house: OpenHouse;
beforeAll(async () => {
  house = await OpenHouse.open(2);
});
afterAll(() => house[Symbol.asyncDispose]());

const persistent = (clientId: string) =>
  ({ clientId, clean: false, properties: { sessionExpiryInterval: 600 } }) as const;
const numbers = (heard: readonly string[]) => heard.map((text) => Number(text.split(' ')[1]));
const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => from + index);

async function publishAll(client: MqttClient, topic: string, wanted: readonly number[]) {
  await Promise.all(wanted.map((n) => client.publishAsync(topic, `${n}`, { qos: 1 })));
}

test('overlapping subscriptions get one copy, with the highest of their QoS and all identifiers', async () => {
  const base = freshName('t');
  const client = await house.client(1);
  const came: unknown[] = [];
  client.on('message', (_topic, _payload, { qos, properties }) =>
    came.push([qos, properties?.subscriptionIdentifier]),
  );
  const subscribe = (filter: string, qos: 0 | 1 | 2, subscriptionIdentifier: number) =>
    client.subscribeAsync(filter, { qos, properties: { subscriptionIdentifier } });
  await subscribe(`${base}/#`, 0, 7);
  await subscribe(`${base}/+`, 2, 8);
  await subscribe(`${base}/a`, 1, 9);
  const publisher = await house.client(0);
  await publisher.publishAsync(`${base}/a`, 'x', { qos: 2 });
  await waitFor('the message', () => came.length > 0);
  await wait(100);
  expect(came).toEqual([[2, expect.arrayContaining([7, 8, 9])]]);
});

test('no local leaves out what the client itself published, retain as published keeps the flag', async () => {
  const topic = freshName('t');
  const client = await house.client(0, { clientId: freshName('c') });
  const heard = heardBy(client);
  await client.subscribeAsync(topic, { qos: 1, nl: true, rap: true });
  await client.publishAsync(topic, 'own', { qos: 1 });
  const other = await house.client(1);
  await other.publishAsync(topic, 'other', { qos: 1, retain: true });
  await waitFor('the other’s', () => heard.length > 0);
  expect(heard).toEqual([`${topic} other retained`]);
});

test('properties, expiry and correlation data come through the log', async () => {
  const topic = freshName('t');
  const client = await house.client(0);
  const came: unknown[] = [];
  client.on('message', (_topic, payload, { properties }) => came.push([payload, properties]));
  await client.subscribeAsync(topic, { qos: 1 });
  const publisher = await house.client(1);
  const properties = {
    contentType: 'text/plain',
    responseTopic: 'answers/ü',
    correlationData: Buffer.from([0, 255, 1]),
    payloadFormatIndicator: true,
    userProperties: { b: ['1', '2'], a: 'ß' },
  };
  await publisher.publishAsync(topic, '', { qos: 1, properties });
  await publisher.publishAsync(topic, 'x', { qos: 1, properties: { messageExpiryInterval: 60 } });
  await waitFor('both', () => came.length >= 2);
  expect(came).toEqual([
    [Buffer.alloc(0), properties],
    [Buffer.from('x'), { messageExpiryInterval: expect.closeTo(60, -1) }],
  ]);
});

test('who was away gets what was published meanwhile, in order, and QoS 0 messages not', async () => {
  const topic = freshName('t');
  const session = persistent(freshName('c'));
  const before = await house.client(0, session);
  await before.subscribeAsync(topic, { qos: 1 });
  await before.endAsync();
  const publisher = await house.client(1);
  await publishAll(publisher, topic, range(0, 3_000));
  await publisher.publishAsync(topic, '-1', { qos: 0 });
  await publishAll(publisher, topic, range(3_000, 3_010));
  const heard: string[] = [];
  const after = await house.client(0, { ...session, heard });
  await waitFor('all of it', () => heard.length >= 3_010);
  await publisher.publishAsync(topic, '3010', { qos: 0 });
  await waitFor('what is live again', () => heard.length >= 3_011);
  expect(numbers(heard)).toEqual(range(0, 3_011));
  await after.endAsync();
});

test('a subscriber that takes nothing stalls nobody, and gets everything in order in the end', async () => {
  const topic = freshName('t');
  const fast = await house.client(0);
  const slow = await house.client(0, { properties: { receiveMaximum: 5 } });
  const heard = [heardBy(fast), heardBy(slow)] as const;
  const held: (() => void)[] = [];
  let isOpen = false;
  slow.handleMessage = (_packet, done) => (isOpen ? done() : void held.push(done));
  await fast.subscribeAsync(topic, { qos: 1 });
  await slow.subscribeAsync(topic, { qos: 1 });
  const publisher = await house.client(1);
  await publishAll(publisher, topic, range(0, 6_000));
  await waitFor('the fast one', () => heard[0].length >= 6_000);
  expect(heard[1].length).toBeLessThan(50);
  isOpen = true;
  for (const done of held) done();
  await waitFor('the slow one', () => heard[1].length >= 6_000);
  for (const own of heard) expect(numbers(own)).toEqual(range(0, 6_000));
});

test('a subscription takes effect between what was acked before and what is sent after', async () => {
  const topic = freshName('t');
  const publisher = await house.client(1);
  let acked = -1;
  let sent = -1;
  const stop = new AbortController();
  const publishing = (async () => {
    for (let number = 0; !stop.signal.aborted; number += 1) {
      sent = number;
      const retain = number % 3 === 0;
      await publisher.publishAsync(topic, `${number}`, { qos: 1, retain });
      acked = number;
    }
  })();
  const trials: { before: number; after: number; heard: string[] }[] = [];
  for (let trial = 0; trial < 12; trial += 1) {
    const client = await house.client(trial % 2);
    const heard = heardBy(client);
    await wait(20);
    const before = acked;
    await client.subscribeAsync(topic, { qos: 1 });
    trials.push({ before, after: sent + 1, heard });
  }
  await wait(200);
  stop.abort();
  await publishing;
  for (const { before, after, heard } of trials) {
    await waitFor('the last', () => heard.some((text) => text.startsWith(`${topic} ${sent}`)));
    const live = numbers(heard.filter((text) => !text.endsWith('retained')));
    const retained = numbers(heard.filter((text) => text.endsWith('retained')));
    const [first = -1] = live;
    expect(first).toBeGreaterThan(before);
    expect(first).toBeLessThanOrEqual(after);
    expect(live).toEqual(range(first, sent + 1));
    // The newest that was retained when the subscription took effect, unless a newer one comes anyway.
    for (const number of retained) expect(number).toBe(first - 1 - ((first - 1) % 3));
  }
});

test('Zilla #1799: who was away for longer than messages are kept is told, and goes on with the oldest', async () => {
  const topic = freshName('t');
  const session = persistent(freshName('c'));
  const before = await house.client(0, session);
  await before.subscribeAsync([topic, '$SYS/session/gap'], { qos: 1 });
  await before.endAsync();
  const kafkaTopic = topicOf('DE', 'mqtt-messages');
  const partition = partitionOf(Buffer.from(topic), partitions);
  const publisher = await house.client(1);
  await publishAll(publisher, topic, range(0, 5_000));
  const records = await house.records('mqtt-messages');
  const own = records.filter(({ key }) => key?.toString() === topic);
  const offset = own[1_000]?.offset ?? 0n;
  await cutPartition(house.kafka.admin(), { topic: kafkaTopic, partition, offset });
  const heard: string[] = [];
  await house.client(0, { ...session, heard });
  await waitFor('the rest', () => heard.filter((text) => text.startsWith(topic)).length >= 4_000);
  expect(numbers(heard.filter((text) => text.startsWith(topic)))).toEqual(range(1_000, 5_000));
  const notices = heard.filter((text) => text.startsWith('$SYS/session/gap'));
  expect(notices).toHaveLength(1);
  expect(JSON.parse(notices[0]?.split(' ')[1] ?? '')).toMatchObject({
    place: `mqtt-messages/${partition}`,
    to: Number(offset),
  });
  expect(await house.metrics(0)).toContain('mqtt_positions_lost_total{');
  expect(house.lines.join('')).toContain('Session was away for longer');
});
