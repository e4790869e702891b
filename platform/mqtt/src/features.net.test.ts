import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { OpenedSession, OutboundMessage } from './owner.ts';
import { reason } from './reason-codes.ts';
import { eventually, type RawClient, TestServer } from './test-server.ts';

const message = (more: Partial<OutboundMessage> = {}): OutboundMessage => ({
  topic: 'down/x',
  payload: Buffer.from('x'),
  qos: 0,
  ...more,
});

async function subscribe(client: RawClient, topic: string, more = {}): Promise<void> {
  const known = client.of('suback').length;
  client.send({
    cmd: 'subscribe',
    messageId: known + 1,
    subscriptions: [{ topic, qos: 1, ...more }],
  });
  await client.hears(() => client.of('suback')[known]);
}

test('topics that come again are told by their alias, as many as the client offered', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect({ properties: { topicAliasMaximum: 2 } });
  await subscribe(client, 'down/#');
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) {
    void house.session('raw').deliver(message({ topic: `down/${name}` }));
  }
  await client.hears(() => client.of('publish').length === 6);
  const told = client
    .of('publish')
    .map(({ topic, properties }) => `${topic}=${properties?.topicAlias}`);
  expect(told).toEqual(['down/a=1', 'down/b=2', '=1', 'down/c=2', '=1', 'down/b=2']);
});

test('an independent client understands our aliases', async () => {
  await using house = await TestServer.open();
  const client = await house.client({
    clientId: 'c',
    protocolVersion: 5,
    properties: { topicAliasMaximum: 3 },
  });
  const heard: string[] = [];
  client.on('message', (topic) => heard.push(topic));
  await client.subscribeAsync('down/#', { qos: 1 });
  const topics = Array.from({ length: 100 }, (_, index) => `down/${(index * 7) % 5}`);
  for (const topic of topics) void house.session('c').deliver(message({ topic, qos: 1 }));
  await eventually(() => heard.length === 100);
  expect(heard).toEqual(topics);
  await client.endAsync();
});

test('a message too large for its client makes no alias that the client does not know', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect({ properties: { topicAliasMaximum: 2, maximumPacketSize: 100 } });
  await subscribe(client, 'down/#');
  const session = house.session('raw');
  expect(await session.deliver(message({ payload: Buffer.alloc(200) }))).toBe('too-large');
  expect(await session.deliver(message())).toBe('sent');
  const [first] = (await client.hears(() => client.of('publish')[0] && client.of('publish'))) ?? [];
  expect(first?.topic).toBe('down/x');
});

test('one copy for overlapping subscriptions: all identifiers, the highest QoS', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect();
  for (const [index, topic] of ['down/#', 'down/+', '$share/g/down/x'].entries()) {
    client.send({
      cmd: 'subscribe',
      messageId: index + 1,
      properties: { subscriptionIdentifier: 10 + index },
      subscriptions: [{ topic, qos: index === 1 ? 2 : 0 }],
    });
  }
  await client.hears(() => client.of('suback').length === 3);
  void house.session('raw').deliver(message({ qos: 2 }));
  const heard = await client.hears(() => client.of('publish')[0]);
  expect(heard).toMatchObject({ qos: 2, properties: { subscriptionIdentifier: [10, 11] } });
});

test('the retain flag goes on where that was asked for, and always with what is retained', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect();
  await subscribe(client, 'plain');
  await subscribe(client, 'kept', { rap: true });
  const session = house.session('raw');
  for (const topic of ['plain', 'kept']) void session.deliver(message({ topic, retain: true }));
  void session.deliver(message({ topic: 'plain', fromRetained: true }));
  await client.hears(() => client.of('publish').length === 3);
  expect(client.of('publish').map(({ retain }) => retain)).toEqual([false, true, true]);
});

test('what is not served is said at CONNECT and refused when it comes', async () => {
  await using house = await TestServer.open(
    {},
    {},
    {
      features: {
        qosMax: 1,
        retain: false,
        wildcardSubscriptions: false,
        sharedSubscriptions: false,
      },
    },
  );
  const answers: (number | undefined)[] = [];
  for (const publish of [{ qos: 2 as const }, { retain: true }]) {
    using client = await house.raw();
    await client.connect();
    client.publish(1, publish);
    answers.push(await client.disconnected());
  }
  for (const will of [{ qos: 2 as const }, { retain: true }]) {
    using client = await house.raw();
    const connack = await client.connect({
      will: { topic: 'w', payload: Buffer.from('x'), ...will },
    });
    answers.push(connack?.cmd === 'connack' ? connack.reasonCode : undefined);
  }
  expect(answers).toEqual([
    reason.qosNotSupported,
    reason.retainNotSupported,
    reason.qosNotSupported,
    reason.retainNotSupported,
  ]);
  using client = await house.raw();
  await client.connect();
  for (const topic of ['a/+', '$share/g/a', 'a']) await subscribe(client, topic, { qos: 2 });
  expect(client.of('suback').flatMap(({ granted }) => granted)).toEqual([
    reason.wildcardSubscriptionsUnsupported,
    reason.sharedSubscriptionsUnsupported,
    1,
  ]);
});

test('a client that breaks the standard is told in words, if it takes them', async () => {
  await using house = await TestServer.open();
  const words: unknown[] = [];
  for (const maximumPacketSize of [1000, 20]) {
    using client = await house.raw();
    await client.connect({ properties: { maximumPacketSize } });
    client.send({ cmd: 'connect', clientId: 'raw', protocolVersion: 5 });
    await client.closed;
    const [told] = client.of('disconnect');
    words.push(told?.reasonCode, told?.properties?.reasonString);
  }
  expect(words).toEqual([
    reason.protocolError,
    'A second CONNECT',
    reason.protocolError,
    undefined,
  ]);
});

test('a drain may send clients elsewhere', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect();
  const elsewhere = { reasonString: 'An update', serverReference: 'other.example:8883' };
  await house.server.drain(5000, { reasonCode: reason.useAnotherServer, ...elsewhere });
  await client.closed;
  expect(client.of('disconnect')).toMatchObject([
    { reasonCode: reason.useAnotherServer, properties: elsewhere },
  ]);
});

test('a DISCONNECT may shorten or lengthen how long a session is kept, but not make one of none', async () => {
  await using house = await TestServer.open();
  const end = async (asked: number, then: number) => {
    using client = await house.raw();
    await client.connect({ clean: false, properties: { sessionExpiryInterval: asked } });
    const session = house.session('raw');
    client.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: then } });
    const code = await client.disconnected();
    return [code, session.expirySeconds];
  };
  expect(await end(60, 120)).toEqual([undefined, 120]);
  expect(await end(60, 0xff_ff_ff_ff)).toEqual([undefined, 86_400]);
  expect(await end(60, 0)).toEqual([undefined, 0]);
  await eventually(() => house.server.sessions === 0);
  expect(await end(0, 60)).toEqual([reason.protocolError, 0]);
});

test.each([true, false])(
  'a session that ends with its connection is not resumed by who takes it over (clean start %s)',
  async (clean) => {
    await using house = await TestServer.open();
    const will = { topic: 'gone', payload: Buffer.from('x') };
    using first = await house.raw();
    await first.connect({ clean, will });
    await subscribe(first, 'down/#');
    using second = await house.raw();
    expect(await second.connect({ clean })).toMatchObject({ sessionPresent: false });
    expect(await first.disconnected()).toBe(reason.sessionTakenOver);
    expect(house.session('raw').subscriptions.size).toBe(0);
    expect(house.wills).toHaveLength(1);
  },
);

test('of clients that come at once with one key the last one stays, and an opening is done before the next', async () => {
  const order: string[] = [];
  const gates: (() => void)[] = [];
  let admitted = 0;
  await using house = await TestServer.open({
    authenticate: async ({ clientId }) => {
      admitted += 1;
      return { admitted: true, key: 'one', identity: clientId };
    },
    open: async ({ clientId }): Promise<OpenedSession> => {
      order.push(`open ${clientId}`);
      await new Promise<void>((resolve) => gates.push(resolve));
      order.push(`${clientId} is open`);
      return { resumed: false };
    },
    opened: ({ identity }) => void order.push(`opened ${identity}`),
    closed: ({ identity }) => void order.push(`closed ${identity}`),
  });
  using first = await house.raw();
  using second = await house.raw();
  using third = await house.raw();
  const answers: Promise<unknown>[] = [];
  for (const [index, client] of [first, second, third].entries()) {
    answers.push(client.connect({ clientId: `${index + 1}` }));
    await eventually(() => admitted === index + 1);
  }
  // The second one has left by the time it would be its turn.
  for (let open = 1; open <= 2; open += 1) {
    await eventually(() => gates.length === open);
    gates[open - 1]?.();
  }
  expect(await Promise.all(answers)).toMatchObject([
    undefined,
    undefined,
    { cmd: 'connack', reasonCode: 0 },
  ]);
  expect(order).toEqual(
    ['1', '3'].flatMap((each) => [
      `open ${each}`,
      `${each} is open`,
      `opened ${each}`,
      ...(each === '3' ? [] : [`closed ${each}`]),
    ]),
  );
  expect(house.server.sessions).toBe(1);
});

test('what a client began before it was silent does not keep it: only whole packets count', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect({ keepalive: 1 });
  // A packet that never ends, a byte now and then.
  client.socket.write(Buffer.from([0x30, 0x7f, 0, 1]));
  const dribble = setInterval(() => client.socket.write(Buffer.from([97])), 100);
  expect(await client.disconnected()).toBe(reason.keepAliveTimeout);
  clearInterval(dribble);
});

test('when the clock jumps nobody is silent, and no session is old', async () => {
  let jumpMs = 0;
  await using house = await TestServer.open({}, {}, { clock: () => Date.now() + jumpMs });
  using client = await house.raw();
  await client.connect({ keepalive: 5 });
  using away = await house.raw();
  await away.connect({
    clientId: 'away',
    clean: false,
    properties: { sessionExpiryInterval: 60 },
  });
  away.socket.destroy();
  await eventually(() => house.server.connections === 1);
  for (const year of [1, -1]) {
    jumpMs = year * 31_536_000_000;
    await wait(600);
    client.send({ cmd: 'pingreq' });
  }
  await client.hears(() => client.of('pingresp').length === 2);
  expect(house.server.sessions).toBe(2);
});

test('a client that takes no CONNACK or SUBACK of ours, as it says, is not served', async () => {
  await using house = await TestServer.open();
  using small = await house.raw();
  const named = await small.connect({ clientId: '', properties: { maximumPacketSize: 30 } });
  expect(named).toMatchObject({ cmd: 'connack', reasonCode: reason.packetTooLarge });
  using client = await house.raw();
  await client.connect({ properties: { maximumPacketSize: 30 } });
  client.send({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: Array.from({ length: 40 }, (_, index) => ({ topic: `${index}`, qos: 0 })),
  });
  expect(await client.disconnected()).toBe(reason.packetTooLarge);
});
