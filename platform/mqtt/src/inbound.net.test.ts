import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MqttDisconnect, type InboundMessage } from './owner.ts';
import { reason } from './reason-codes.ts';
import { eventually, TestServer } from './test-server.ts';

test.each([4, 5] as const)(
  'a message of MQTT version %d is acked, once the owner took it',
  async (protocolVersion) => {
    const takes: PromiseWithResolvers<number>[] = [];
    await using house = await TestServer.open({
      publish: () => {
        const take = Promise.withResolvers<number>();
        takes.push(take);
        return take.promise;
      },
    });
    const client = await house.client({ protocolVersion });
    let acked = 0;
    const acks = [1, 2].map(async (qos) => {
      await client.publishAsync('a/b', 'x', { qos: qos === 1 ? 1 : 2 });
      acked += 1;
    });
    await eventually(() => takes.length === 2);
    await wait(50);
    expect(acked).toBe(0);
    for (const take of takes) take.resolve(0);
    await Promise.all(acks);
    await client.endAsync();
  },
);

test('acks come in the order of the publishes, although acceptance settles in any order', async () => {
  await using house = await TestServer.open({
    publish: async (_session, { payload }) => {
      await wait(50 - Number(payload.toString()));
      return 0;
    },
  });
  using client = await house.raw();
  await client.connect();
  for (let id = 1; id <= 50; id += 1) client.publish(id, { qos: id % 5 === 0 ? 2 : 1 });
  await client.hears(() => client.heard.length === 51);
  expect(client.heard.slice(1).map(({ messageId }) => messageId)).toEqual(
    Array.from({ length: 50 }, (_, index) => index + 1),
  );
});

test('a refusal keeps its reason code, and the client its connection', async () => {
  const codes = [reason.notAuthorized, reason.quotaExceeded, reason.success];
  await using house = await TestServer.open({ publish: async () => codes.shift() });
  using client = await house.raw();
  await client.connect();
  client.publish(1);
  client.publish(2, { qos: 2 });
  client.publish(3);
  await client.hears(() => client.heard.length === 4);
  expect(client.heard.slice(1)).toMatchObject([
    { cmd: 'puback', messageId: 1, reasonCode: reason.notAuthorized },
    { cmd: 'pubrec', messageId: 2, reasonCode: reason.quotaExceeded },
    { cmd: 'puback', messageId: 3, reasonCode: reason.success },
  ]);
});

test('MQTT 3.1.1 has no word for a refusal: the connection ends without an ack', async () => {
  await using house = await TestServer.open({ publish: async () => reason.notAuthorized });
  using client = await house.raw();
  await client.connect({ protocolVersion: 4 });
  client.publish(1);
  await client.closed;
  expect(client.of('puback')).toEqual([]);
});

test('when the owner cannot keep a message, nothing is acked and the client is told to come again', async () => {
  await using house = await TestServer.open({
    publish: async (_session, { payload }) => {
      if (payload.toString() === '2') throw new MqttDisconnect(reason.serverBusy, 'Kafka is away');
      await wait(30);
      return 0;
    },
  });
  using client = await house.raw();
  await client.connect();
  for (const id of [1, 2, 3]) client.publish(id);
  expect(await client.disconnected()).toBe(reason.serverBusy);
  expect(client.of('puback')).toEqual([]);
});

test('QoS 2: a failed message is published again by its repeat, a kept one is not', async () => {
  const tries: InboundMessage[] = [];
  await using house = await TestServer.open({
    publish: async (_session, message) => {
      tries.push(message);
      if (tries.length === 1) throw new Error('Kafka is away');
      return 0;
    },
  });
  const options = { clean: false, properties: { sessionExpiryInterval: 60 } };
  using first = await house.raw();
  await first.connect(options);
  first.publish(9, { qos: 2 });
  expect(await first.disconnected()).toBe(reason.unspecified);
  using second = await house.raw();
  expect(await second.connect(options)).toMatchObject({ sessionPresent: true });
  second.publish(9, { qos: 2, dup: true });
  await second.hears(() => second.of('pubrec')[0]);
  second.socket.destroy();
  using third = await house.raw();
  await third.connect(options);
  third.publish(9, { qos: 2, dup: true });
  await third.hears(() => third.of('pubrec')[0]);
  third.send({ cmd: 'pubrel', messageId: 9 });
  await third.hears(() => third.of('pubcomp')[0]);
  expect(tries).toHaveLength(2);
  third.send({ cmd: 'pubrel', messageId: 9 });
  await third.hears(() => third.of('pubcomp')[1]);
  expect(third.of('pubcomp')[1]?.reasonCode).toBe(reason.packetIdNotFound);
});

test('QoS 2: a repeat on a new connection gets the ack of the message that is still being kept', async () => {
  const take = Promise.withResolvers<number>();
  let tries = 0;
  await using house = await TestServer.open({
    publish: () => {
      tries += 1;
      return take.promise;
    },
  });
  const options = { clean: false, properties: { sessionExpiryInterval: 60 } };
  using first = await house.raw();
  await first.connect(options);
  first.publish(9, { qos: 2 });
  await eventually(() => tries === 1);
  using second = await house.raw();
  await second.connect(options);
  second.publish(9, { qos: 2, dup: true });
  await wait(50);
  expect(second.of('pubrec')).toEqual([]);
  take.resolve(0);
  await second.hears(() => second.of('pubrec')[0]);
  expect(tries).toBe(1);
});

test('QoS 2: when keeping it fails, who waits for its ack on a new connection is told to come again', async () => {
  const take = Promise.withResolvers<number>();
  await using house = await TestServer.open({ publish: () => take.promise });
  const options = { clean: false, properties: { sessionExpiryInterval: 60 } };
  using first = await house.raw();
  await first.connect(options);
  first.publish(9, { qos: 2 });
  await eventually(() => house.server.inFlight === 1);
  using second = await house.raw();
  await second.connect(options);
  second.publish(9, { qos: 2, dup: true });
  second.send({ cmd: 'pingreq' });
  await second.hears(() => second.of('pingresp')[0]);
  take.reject(new MqttDisconnect(reason.serverBusy, 'Kafka is away'));
  expect(await second.disconnected()).toBe(reason.serverBusy);
});

test.each([4, 5] as const)(
  'a burst of QoS 2 from a version %d client is taken once each',
  async (protocolVersion) => {
    await using house = await TestServer.open();
    const client = await house.client({ protocolVersion });
    const sent = Array.from({ length: 5000 }, (_, index) => `${index}`);
    await Promise.all(sent.map((payload) => client.publishAsync('a', payload, { qos: 2 })));
    expect(house.payloads).toEqual(sent);
    await client.endAsync();
  },
);

test('who has more in flight than the receive maximum is disconnected', async () => {
  await using house = await TestServer.open(
    { publish: () => new Promise(() => undefined) },
    { receiveMaximum: 5 },
  );
  using client = await house.raw();
  expect(await client.connect()).toMatchObject({ properties: { receiveMaximum: 5 } });
  for (let id = 1; id <= 6; id += 1) client.publish(id);
  expect(await client.disconnected()).toBe(reason.receiveMaximumExceeded);
});

test('QoS 2 counts as in flight until PUBCOMP', async () => {
  await using house = await TestServer.open({}, { receiveMaximum: 2 });
  using client = await house.raw();
  await client.connect();
  for (let id = 1; id <= 3; id += 1) {
    client.publish(id, { qos: 2 });
    await client.hears(() => client.of('pubrec')[id - 1]);
    client.send({ cmd: 'pubrel', messageId: id });
    await client.hears(() => client.of('pubcomp')[id - 1]);
  }
  for (const id of [4, 5, 6]) client.publish(id, { qos: 2 });
  expect(await client.disconnected()).toBe(reason.receiveMaximumExceeded);
});

test.each([4, 5] as const)(
  'while the owner hangs, reading from a version %d client stops, and goes on after',
  async (protocolVersion) => {
    const takes: (() => void)[] = [];
    await using house = await TestServer.open(
      { publish: () => new Promise((resolve) => takes.push(() => resolve(0))) },
      { inFlightMax: 1000, inFlightBytesMax: 100_000 },
    );
    using client = await house.raw();
    await client.connect({ protocolVersion });
    const payload = Buffer.alloc(20_000);
    for (let id = 1; id <= 500; id += 1) client.publish(id, { payload });
    await eventually(() => takes.length >= 5);
    await wait(100);
    expect(takes.length).toBeLessThan(8);
    let taken = 0;
    while (taken < 500) {
      await eventually(() => takes.length > taken);
      for (; taken < takes.length; taken += 1) takes[taken]?.();
    }
    await client.hears(() => client.of('puback').length === 500);
  },
);

test('who is not read from is not taken for silent', async () => {
  const take = Promise.withResolvers<number>();
  await using house = await TestServer.open({ publish: () => take.promise }, { inFlightMax: 1 });
  using client = await house.raw();
  await client.connect({ keepalive: 1, protocolVersion: 4 });
  client.publish(1);
  client.send({ cmd: 'pingreq' });
  await wait(2500);
  expect(client.of('pingresp')).toEqual([]);
  take.resolve(0);
  await client.hears(() => client.of('pingresp')[0]);
  await wait(400);
  expect(client.socket.destroyed).toBe(false);
  expect(client.of('puback')).toHaveLength(1);
});

test('what all connections have in flight together is bounded too, and all go on after', async () => {
  const takes: (() => void)[] = [];
  await using house = await TestServer.open(
    { publish: () => new Promise((resolve) => takes.push(() => resolve(0))) },
    { totalInFlightBytesMax: 100_000 },
  );
  const payload = Buffer.alloc(20_000);
  const clients = await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const client = await house.raw();
      await client.connect({ clientId: `${index}` });
      for (let id = 1; id <= 20; id += 1) client.publish(id, { payload });
      return client;
    }),
  );
  await eventually(() => takes.length >= 5);
  await wait(100);
  expect(takes.length).toBeLessThan(8);
  let taken = 0;
  while (taken < 200) {
    await eventually(() => takes.length > taken);
    for (; taken < takes.length; taken += 1) takes[taken]?.();
  }
  await eventually(() => clients.every((client) => client.of('puback').length === 20));
  for (const client of clients) client.socket.destroy();
});

test('an owner may hold a client back without losing anything, and others go on', async () => {
  let held = 0;
  await using house = await TestServer.open({
    holdMs: (session) => {
      if (session.clientId !== 'fast') return 0;
      held += 1;
      return 100;
    },
  });
  const fast = await house.client({ clientId: 'fast' });
  const other = await house.client({ clientId: 'other' });
  const from = performance.now();
  let acked = 0;
  const acks = [1, 2, 3, 4].map(async (each) => {
    await fast.publishAsync('a', `${each}`, { qos: 1 });
    acked += 1;
  });
  await other.publishAsync('a', 'other', { qos: 1 });
  expect(acked).toBeLessThan(4);
  await Promise.all(acks);
  expect(performance.now() - from).toBeGreaterThan(295);
  expect(held).toBe(4);
  expect(house.payloads.toSorted()).toEqual(['1', '2', '3', '4', 'other']);
  await Promise.all([fast.endAsync(), other.endAsync()]);
});

test('topic aliases are resolved, and those beyond what was offered refused', async () => {
  await using house = await TestServer.open({}, { topicAliasMax: 2 });
  using client = await house.raw();
  expect(await client.connect()).toMatchObject({ properties: { topicAliasMaximum: 2 } });
  client.publish(1, { topic: 'a/b', properties: { topicAlias: 2 } });
  client.publish(2, { topic: '', properties: { topicAlias: 2 } });
  client.publish(3, { topic: 'c', properties: { topicAlias: 2 } });
  client.publish(4, { topic: '', properties: { topicAlias: 2 } });
  await client.hears(() => client.of('puback').length === 4);
  expect(house.messages.map(({ topic }) => topic)).toEqual(['a/b', 'a/b', 'c', 'c']);
  client.publish(5, { topic: 'd', properties: { topicAlias: 3 } });
  expect(await client.disconnected()).toBe(reason.topicAliasInvalid);
});

test('a topic of more levels than anyone needs is refused', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect();
  client.publish(1, { topic: '/'.repeat(65_000) });
  client.publish(2, { topic: 'a/b' });
  await client.hears(() => client.of('puback').length === 2);
  expect(client.of('puback')).toMatchObject([
    { reasonCode: reason.topicNameInvalid },
    { reasonCode: reason.success },
  ]);
});

test('the properties of a message reach the owner', async () => {
  await using house = await TestServer.open();
  const client = await house.client({ protocolVersion: 5 });
  await client.publishAsync('a', 'x', {
    qos: 1,
    retain: true,
    properties: {
      contentType: 'application/json',
      messageExpiryInterval: 7,
      responseTopic: 'r',
      correlationData: Buffer.from('c'),
      payloadFormatIndicator: true,
      userProperties: { ['__proto__']: 'p', a: ['1', '2'] },
    },
  });
  expect(house.messages[0]).toMatchObject({
    retain: true,
    expirySeconds: 7,
    properties: {
      contentType: 'application/json',
      responseTopic: 'r',
      correlationData: Buffer.from('c'),
      payloadFormatIndicator: true,
      userProperties: [
        ['__proto__', 'p'],
        ['a', '1'],
        ['a', '2'],
      ],
    },
  });
  await client.endAsync();
});

test.each([0, 20])(
  'what a client said before it hung up is heard to the end, held back or not (%d ms)',
  async (holdMs) => {
    let asked = 0;
    await using house = await TestServer.open(
      { holdMs: () => (++asked % 100 === 0 ? holdMs : 0) },
      { packetsPerTurnMax: 10 },
    );
    using client = await house.raw();
    await client.connect({ will: { topic: 'gone', payload: Buffer.from('x') } });
    client.socket.cork();
    for (let each = 0; each < 350; each += 1) client.publish(each + 1, { qos: 0 });
    client.send({ cmd: 'disconnect', reasonCode: 0 });
    client.socket.uncork();
    client.socket.destroySoon();
    await eventually(() => house.closings.length === 1);
    expect(house.messages).toHaveLength(350);
    expect(house.closings).toMatchObject([{ clean: true }]);
    expect(house.wills).toEqual([]);
    await eventually(() => house.server.connections === 0);
  },
);

test('who says all at once and hangs up before it is known is heard too; who says nothing more is not let in', async () => {
  const decided = Promise.withResolvers<void>();
  const opened: string[] = [];
  await using house = await TestServer.open({
    authenticate: async ({ clientId }) => {
      await decided.promise;
      return { admitted: true, key: clientId, identity: clientId };
    },
    opened: ({ clientId }) => void opened.push(clientId),
  });
  for (const clientId of ['talks', 'silent']) {
    using client = await house.raw();
    void client.connect({ clientId });
    if (clientId === 'talks') client.publish(1, { qos: 0 });
    client.socket.destroySoon();
    await client.closed;
  }
  await eventually(() => house.refusals.length === 1);
  decided.resolve();
  await eventually(() => house.messages.length === 1);
  await eventually(() => house.server.connections === 0);
  expect(opened).toEqual(['talks']);
});
