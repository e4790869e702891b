import { setTimeout as wait } from 'node:timers/promises';
import type { MqttClient } from 'mqtt';
import { expect, test } from 'vitest';
import type { OutboundMessage } from './owner.ts';
import { reason } from './reason-codes.ts';
import { eventually, type RawClient, TestServer } from './test-server.ts';

const message = (payload: string, more: Partial<OutboundMessage> = {}): OutboundMessage => ({
  topic: 'down/x',
  payload: Buffer.from(payload),
  qos: 1,
  ...more,
});

async function subscribed(client: RawClient, filter = 'down/#', qos: 0 | 1 | 2 = 1): Promise<void> {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: filter, qos }] });
  await client.hears(() => client.of('suback')[0]);
}

test.each([4, 5] as const)(
  'a delivery to a version %d client ends with its ack',
  async (version) => {
    await using house = await TestServer.open();
    const client = await house.client({ clientId: 'c', protocolVersion: version });
    const heard: string[] = [];
    client.on('message', (topic, payload) => heard.push(`${topic}=${payload.toString()}`));
    await client.subscribeAsync('down/+', { qos: 1 });
    expect(await house.session('c').deliver(message('one'))).toBe('acked');
    expect(await house.session('c').deliver(message('two', { qos: 0 }))).toBe('sent');
    expect(await house.session('c').deliver(message('no', { topic: 'up' }))).toBe('not-subscribed');
    await eventually(() => heard.length === 2);
    expect(heard).toEqual(['down/x=one', 'down/x=two']);
    await client.endAsync();
  },
);

test('a subscription holds from when it is made until it is taken back', async () => {
  await using house = await TestServer.open();
  const client = await house.client({ clientId: 'c', protocolVersion: 5 });
  const session = house.session('c');
  const wanted = [session.wants('down/x')];
  await client.subscribeAsync('else', { qos: 1 });
  wanted.push(session.wants('down/x'));
  await client.subscribeAsync('down/x', { qos: 1 });
  wanted.push(session.wants('down/x'));
  await client.unsubscribeAsync('down/x');
  wanted.push(session.wants('down/x'));
  expect(wanted).toEqual([false, false, true, false]);
  expect(await session.deliver(message('x'))).toBe('not-subscribed');
  await client.endAsync();
});

test("a client's receive maximum is kept", async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect({ properties: { receiveMaximum: 5 } });
  await subscribed(client);
  const done = Array.from({ length: 30 }, (_, index) =>
    house.session('raw').deliver(message(`${index}`)),
  );
  await client.hears(() => client.of('publish').length >= 5);
  await wait(50);
  expect(client.of('publish')).toHaveLength(5);
  for (let acked = 0; acked < 30; acked += 1) {
    const next = await client.hears(() => client.of('publish')[acked]);
    client.send({ cmd: 'puback', messageId: next?.messageId ?? 0, reasonCode: 0 });
  }
  expect(new Set(await Promise.all(done))).toEqual(new Set(['acked']));
  expect(client.of('publish').map(({ payload }) => payload.toString())).toEqual(
    Array.from({ length: 30 }, (_, index) => `${index}`),
  );
});

test("a client's maximum packet size is kept, and what is smaller goes on", async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect({ properties: { maximumPacketSize: 200 } });
  await subscribed(client);
  const session = house.session('raw');
  expect(await session.deliver(message('x'.repeat(5000)))).toBe('too-large');
  expect(await session.deliver(message('x'.repeat(5000), { qos: 0 }))).toBe('too-large');
  void session.deliver(message('small'));
  const [heard] = (await client.hears(() => client.of('publish'))) ?? [];
  await client.hears(() => client.of('publish')[0]);
  expect(heard ?? client.of('publish')[0]).toMatchObject({ payload: Buffer.from('small') });
});

test('a slow subscriber stalls nobody, and its queue has an end', async () => {
  await using house = await TestServer.open(
    {},
    { outboundQueuedMax: 100, writeStallTimeoutMs: 300 },
  );
  using slow = await house.raw();
  await slow.connect({ clientId: 'slow' });
  await subscribed(slow);
  slow.socket.pause();
  const fast = await house.client({ clientId: 'fast' });
  await fast.subscribeAsync('down/#', { qos: 1 });
  const big = message('x'.repeat(60_000), { qos: 0 });
  const outcomes = await Promise.all(
    Array.from({ length: 2000 }, () =>
      Promise.race([house.session('slow').deliver(big), wait(1, 'waits' as const)]),
    ),
  );
  expect(outcomes).toContain('queue-full');
  const from = performance.now();
  for (let each = 0; each < 20; each += 1) {
    expect(await house.session('fast').deliver(message(`${each}`))).toBe('acked');
  }
  expect(performance.now() - from).toBeLessThan(5000);
  // What the sockets' own buffers take is taken; then it counts as stalled.
  await eventually(() => {
    void house.server.session('slow')?.deliver(big);
    return !house.server.session('slow');
  });
  await fast.endAsync();
});

test('ten thousand deliveries at once end, each', async () => {
  await using house = await TestServer.open(
    {},
    { outboundQueuedMax: 20_000, outboundInFlightMax: 1000 },
  );
  const client = await house.client({ clientId: 'c', protocolVersion: 5 });
  await client.subscribeAsync('down/#', { qos: 1 });
  const outcomes = await Promise.all(
    Array.from({ length: 10_000 }, (_, index) => house.session('c').deliver(message(`${index}`))),
  );
  expect(new Set(outcomes)).toEqual(new Set(['acked']));
  await client.endAsync();
});

test('what a session missed comes after its reconnect, the unacked with its old id', async () => {
  await using house = await TestServer.open();
  const options = { clean: false, properties: { sessionExpiryInterval: 60, receiveMaximum: 2 } };
  using first = await house.raw();
  await first.connect(options);
  await subscribed(first);
  const session = house.session('raw');
  const done = [1, 2, 3].map((each) => session.deliver(message(`${each}`)));
  await first.hears(() => first.of('publish').length === 2);
  first.socket.destroy();
  await eventually(() => !session.connected);
  void session.deliver(message('late', { expiresAtMs: Date.now() - 1 }));
  using second = await house.raw();
  expect(await second.connect(options)).toMatchObject({ sessionPresent: true });
  await second.hears(() => second.of('publish').length === 2);
  expect(second.of('publish')).toMatchObject([
    { messageId: first.of('publish')[0]?.messageId, dup: true, payload: Buffer.from('1') },
    { messageId: first.of('publish')[1]?.messageId, dup: true, payload: Buffer.from('2') },
  ]);
  for (const { messageId = 0 } of second.of('publish')) {
    second.send({ cmd: 'puback', messageId, reasonCode: 0 });
  }
  const third = await second.hears(() => second.of('publish')[2]);
  expect(third).toMatchObject({ dup: false, payload: Buffer.from('3') });
  second.send({ cmd: 'puback', messageId: third?.messageId ?? 0, reasonCode: 0 });
  expect(await Promise.all(done)).toEqual(['acked', 'acked', 'acked']);
});

test('a message that expires while its client is away is not sent', async () => {
  await using house = await TestServer.open();
  const options = { clean: false, properties: { sessionExpiryInterval: 60 } };
  using first = await house.raw();
  await first.connect(options);
  await subscribed(first);
  const session = house.session('raw');
  first.socket.destroy();
  await eventually(() => !session.connected);
  const late = session.deliver(message('late', { expiresAtMs: Date.now() + 50 }));
  const fresh = session.deliver(message('fresh', { expiresAtMs: Date.now() + 60_000 }));
  await wait(60);
  using second = await house.raw();
  await second.connect(options);
  const heard = await second.hears(() => second.of('publish')[0]);
  expect(await late).toBe('expired');
  expect(heard).toMatchObject({
    payload: Buffer.from('fresh'),
    properties: { messageExpiryInterval: 60 },
  });
  second.send({ cmd: 'puback', messageId: heard?.messageId ?? 0, reasonCode: 0 });
  expect(await fresh).toBe('acked');
});

test('the verdicts on a subscription reach the client, one a filter', async () => {
  const asked: string[] = [];
  await using house = await TestServer.open(
    {
      subscribe: (_session, { name, qos }) =>
        name.startsWith('mine/') ? Math.min(qos, 1) : reason.notAuthorized,
      subscribed: (session, { filter }, isNew) => {
        asked.push(`${filter} ${isNew}`);
        void session.deliver(message('kept', { topic: 'mine/a', qos: 0, fromRetained: true }));
      },
    },
    { subscriptionsMax: 2 },
  );
  using client = await house.raw();
  await client.connect();
  const filters = ['mine/#', 'others/#', '$share/g/mine/#', 'mine/#/x', 'mine/a', 'mine/b'];
  const subscribe = (messageId: number, properties = {}) =>
    client.send({
      cmd: 'subscribe',
      messageId,
      properties,
      subscriptions: filters.map((topic) => ({ topic, qos: 2 as const })),
    });
  subscribe(3, { subscriptionIdentifier: 42 });
  await client.hears(() => client.of('suback')[0]);
  expect(client.of('suback')[0]?.granted).toEqual([
    1,
    reason.notAuthorized,
    reason.notAuthorized,
    reason.topicFilterInvalid,
    1,
    reason.quotaExceeded,
  ]);
  subscribe(4);
  await client.hears(() => client.of('suback')[1]);
  expect(asked).toEqual(['mine/# true', 'mine/a true', 'mine/# false', 'mine/a false']);
  const [kept] = client.of('publish');
  expect(kept).toMatchObject({ retain: true, properties: { subscriptionIdentifier: 42 } });
  client.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['mine/#', 'never'] });
  await client.hears(() => client.of('unsuback')[0]);
  expect(client.of('unsuback')[0]?.granted).toEqual([0, reason.noSubscriptionExisted]);
});

test('in MQTT 3.1.1 a refused filter is 0x80', async () => {
  await using house = await TestServer.open({ subscribe: () => reason.notAuthorized });
  using client = await house.raw();
  await client.connect({ protocolVersion: 4 });
  await subscribed(client);
  expect(client.of('suback')[0]?.granted).toEqual([0x80]);
});

test('packet ids of what we send come round without meeting what is in flight', async () => {
  await using house = await TestServer.open(
    {},
    { outboundQueuedMax: 70_000, outboundInFlightMax: 500 },
  );
  const client: MqttClient = await house.client({ clientId: 'c', protocolVersion: 5 });
  await client.subscribeAsync('down/#', { qos: 1 });
  const done = Array.from({ length: 66_000 }, () => house.session('c').deliver(message('x')));
  expect(new Set(await Promise.all(done))).toEqual(new Set(['acked']));
  await client.endAsync();
});
