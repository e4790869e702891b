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
  await publishAll(publisher, topic, range(0, 4_000));
  await waitFor('the fast one', () => heard[0].length >= 4_000);
  expect(heard[1].length).toBeLessThan(50);
  isOpen = true;
  for (const done of held) done();
  await waitFor('the slow one', () => heard[1].length >= 4_000);
  for (const own of heard) expect(numbers(own)).toEqual(range(0, 4_000));
});

test('nothing that was acked before a subscription comes by it as new, and all that is sent after does', async () => {
  const publisher = await house.client(1);
  const client = await house.client(0);
  const heard = heardBy(client);
  const topics = range(0, 80).map((n) => `${freshName('t')}/${n}`);
  for (const [index, topic] of topics.entries()) {
    await publisher.publishAsync(topic, 'before', { qos: 1, retain: index % 2 === 0 });
    // At the other replica, at once: its end of the log may not have it yet.
    await client.subscribeAsync(topic, { qos: 1 });
    await publisher.publishAsync(topic, 'after', { qos: 1 });
  }
  await waitFor('the last', () => heard.includes(`${topics.at(-1)} after`));
  const expected = topics.flatMap((topic, index) =>
    index % 2 === 0 ? [`${topic} before retained`, `${topic} after`] : [`${topic} after`],
  );
  expect(heard).toEqual(expected);
});

test('a subscription in a stream of retained messages gets one of them and then all that follow', async () => {
  const topic = freshName('t');
  const publisher = await house.client(1);
  const stop = new AbortController();
  let sent = 0;
  const publishing = (async () => {
    for (; !stop.signal.aborted; sent += 20)
      await Promise.all(
        range(sent, sent + 20).map((n) =>
          publisher.publishAsync(topic, `${n}`, { qos: 1, retain: true }),
        ),
      );
  })();
  const clients = await Promise.all(
    range(0, 30).map((n) => house.client(n % 2, persistent(freshName('c')))),
  );
  const trials = clients.map((client) => ({ client, heard: heardBy(client) }));
  for (const { client } of trials) {
    await client.subscribeAsync(topic, { qos: 1 });
    await wait(3);
  }
  stop.abort();
  await publishing;
  for (const { heard } of trials) {
    await waitFor('the last', () => heard.some((text) => text.startsWith(`${topic} ${sent - 1}`)));
    const live = numbers(heard.filter((text) => !text.endsWith('retained')));
    const retained = numbers(heard.filter((text) => text.endsWith('retained')));
    const [first = sent] = live;
    expect(live).toEqual(range(first, sent));
    // Unless a newer one was on its way already.
    expect(retained).toEqual(retained.length === 0 ? [] : [first - 1]);
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
  await publishAll(publisher, topic, range(0, 3_500));
  const records = await house.records('mqtt-messages');
  const own = records.filter(({ key }) => key?.toString() === topic);
  const offset = own[500]?.offset ?? 0n;
  await cutPartition(house.kafka.admin(), { topic: kafkaTopic, partition, offset });
  const heard: string[] = [];
  await house.client(0, { ...session, heard });
  await waitFor('the rest', () => heard.filter((text) => text.startsWith(topic)).length >= 3_000);
  expect(numbers(heard.filter((text) => text.startsWith(topic)))).toEqual(range(500, 3_500));
  const notices = heard.filter((text) => text.startsWith('$SYS/session/gap'));
  expect(notices).toHaveLength(1);
  expect(JSON.parse(notices[0]?.split(' ')[1] ?? '')).toMatchObject({
    place: `mqtt-messages/${partition}`,
    to: Number(offset),
  });
  expect(await house.metrics(0)).toContain('mqtt_positions_lost_total{');
  expect(house.lines.join('')).toContain('Session was away for longer');
});
