import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { reason } from './reason-codes.ts';
import { eventually, TestServer } from './test-server.ts';

const publication = { topic: 'a', payload: 'x', qos: 0, dup: false, retain: false } as const;

test.each([
  ['a packet before CONNECT', [0xc0, 0x00]],
  ['a CONNECT with a reserved flag', [0x10, 12, 0, 4, 77, 81, 84, 84, 4, 3, 0, 60, 0, 0]],
  ['nothing of MQTT', [...Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
])('%s ends the connection', async (_name, bytes) => {
  await using house = await TestServer.open({}, { connectTimeoutMs: 200 });
  using client = await house.raw();
  client.socket.write(Buffer.from(bytes));
  client.socket.resume();
  await client.closed;
  expect(await eventually(() => house.refusals.length === 1)).toBe(true);
});

test.each([
  [3, [0x20, 2, 0, 1]],
  [6, [0x20, 2, 0, 1]],
])('protocol level %d is refused in words that its client knows', async (level, answer) => {
  await using house = await TestServer.open();
  using client = await house.raw();
  client.socket.write(Buffer.from([0x10, 12, 0, 4, 77, 81, 84, 84, level, 2, 0, 60, 0, 0]));
  const [bytes] = await once(client.socket, 'data');
  expect([...Buffer.from(bytes)]).toEqual(answer);
  await client.closed;
});

test('who says nothing is not waited for', async () => {
  await using house = await TestServer.open({}, { connectTimeoutMs: 100 });
  using client = await house.raw();
  client.socket.resume();
  await client.closed;
  using half = await house.raw();
  half.socket.write(Buffer.from([0x10, 100, 0, 4]));
  half.socket.resume();
  await half.closed;
  await eventually(() => house.refusals.length === 2);
  expect(house.refusals).toEqual([reason.keepAliveTimeout, reason.keepAliveTimeout]);
});

test('an owner that does not decide on a CONNECT in time is said to be away', async () => {
  await using house = await TestServer.open(
    { authenticate: () => new Promise(() => undefined) },
    { connectTimeoutMs: 100 },
  );
  using client = await house.raw();
  expect(await client.connect()).toMatchObject({ reasonCode: reason.serverUnavailable });
  await client.closed;
});

test('who falls silent is disconnected after one and a half times the keep alive', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect({ keepalive: 1 });
  const from = performance.now();
  await wait(900);
  client.send({ cmd: 'pingreq' });
  expect(await client.disconnected()).toBe(reason.keepAliveTimeout);
  expect(performance.now() - from).toBeGreaterThan(2300);
  expect(client.of('pingresp')).toHaveLength(1);
});

test('who was not heard because the server itself stood still is not silent', async () => {
  await using house = await TestServer.open({}, { packetTimeoutMs: 1000 });
  using client = await house.raw();
  await client.connect({ keepalive: 1 });
  using other = await house.raw();
  await other.connect({ clientId: 'other' });
  const publish = generate({ ...publication, cmd: 'publish' }, { protocolVersion: 5 });
  client.socket.write(publish.subarray(0, 3));
  // While what is ready is read, so that what comes meanwhile is ready after the time for it has passed.
  other.socket.once('data', () => {
    client.socket.write(publish.subarray(3));
    client.send({ cmd: 'pingreq' });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
  });
  other.send({ cmd: 'pingreq' });
  await client.hears(() => client.of('pingresp')[0]);
  expect(client.of('disconnect')).toEqual([]);
  expect(house.payloads).toEqual(['x']);
});

test('a client that names no keep alive, or a longer one, is given ours', async () => {
  await using house = await TestServer.open({}, { keepAliveSecondsMax: 30 });
  using none = await house.raw();
  expect(await none.connect({ keepalive: 0 })).toMatchObject({
    properties: { serverKeepAlive: 30 },
  });
  using short = await house.raw();
  const connack = await short.connect({ keepalive: 10, clientId: 'short' });
  expect(connack).not.toMatchObject({ properties: { serverKeepAlive: 30 } });
});

test('refusals keep their reason codes', async () => {
  await using house = await TestServer.open({
    authenticate: async ({ userName }) => {
      if (userName === 'broken') throw new Error('no look-up');
      return { admitted: false, reasonCode: reason.badUserNameOrPassword };
    },
  });
  const answers = [];
  for (const protocolVersion of [5, 4] as const) {
    for (const username of ['x', 'broken']) {
      using client = await house.raw();
      answers.push(await client.connect({ protocolVersion, username, password: Buffer.from('p') }));
      await client.closed;
    }
  }
  expect(answers).toMatchObject([
    { reasonCode: reason.badUserNameOrPassword },
    { reasonCode: reason.serverUnavailable },
    { returnCode: 4 },
    { returnCode: 3 },
  ]);
  using auth = await house.raw();
  expect(await auth.connect({ properties: { authenticationMethod: 'SCRAM' } })).toMatchObject({
    reasonCode: reason.badAuthenticationMethod,
  });
  using long = await house.raw();
  expect(await long.connect({ clientId: 'x'.repeat(300) })).toMatchObject({
    reasonCode: reason.clientIdInvalid,
  });
  using nameless = await house.raw();
  nameless.socket.write(Buffer.from([0x10, 12, 0, 4, 77, 81, 84, 84, 4, 0, 0, 60, 0, 0]));
  const [bytes] = await once(nameless.socket, 'data');
  expect([...Buffer.from(bytes)]).toEqual([0x20, 2, 0, 2]);
  await eventually(() => house.refusals.length === 7);
});

test('a client without a name gets one', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  const connack = await client.connect({ clientId: '' });
  expect(connack).toMatchObject({
    properties: { assignedClientIdentifier: expect.stringMatching(/^[\da-f-]{36}$/) },
  });
});

test.each(['__proto__', 'constructor', 'toString'])(
  '%s is a name like any other',
  async (clientId) => {
    await using house = await TestServer.open();
    const client = await house.client({ clientId, protocolVersion: 5 });
    await client.subscribeAsync('__proto__/#');
    await client.publishAsync('__proto__/constructor', 'x', { qos: 2 });
    expect(
      await house
        .session(clientId)
        .deliver({ topic: '__proto__/x', payload: Buffer.from('y'), qos: 0 }),
    ).toBe('sent');
    await client.endAsync();
    expect(house.payloads).toEqual(['x']);
  },
);

test('what comes before the CONNACK is kept for after it', async () => {
  await using house = await TestServer.open({
    authenticate: async ({ clientId }) => {
      await wait(50);
      return { admitted: true, key: clientId, identity: clientId };
    },
  });
  using client = await house.raw();
  const connected = client.connect();
  client.publish(1);
  client.publish(2);
  await connected;
  await client.hears(() => client.of('puback').length === 2);
  expect(house.payloads).toEqual(['1', '2']);
});

test('a session is taken over by who comes with its key', async () => {
  await using house = await TestServer.open();
  const will = { topic: 'gone', payload: Buffer.from('bye'), qos: 1 as const, retain: true };
  using first = await house.raw();
  await first.connect({ will });
  using second = await house.raw();
  expect(await second.connect()).toMatchObject({ sessionPresent: false });
  expect(await first.disconnected()).toBe(reason.sessionTakenOver);
  expect(house.wills).toMatchObject([{ topic: 'gone', retain: true }]);
  second.publish(1);
  await second.hears(() => second.of('puback')[0]);
  expect(house.server.sessions).toBe(1);
});

test('a session lives as long as it was promised', async () => {
  await using house = await TestServer.open({}, { sessionExpirySecondsMax: 3600 });
  const keep = { clean: false, properties: { sessionExpiryInterval: 5000 } };
  using first = await house.raw();
  expect(await first.connect(keep)).toMatchObject({ properties: { sessionExpiryInterval: 3600 } });
  first.socket.destroy();
  await eventually(() => house.server.connections === 0);
  using second = await house.raw();
  expect(await second.connect(keep)).toMatchObject({ sessionPresent: true });
  second.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
  await second.closed;
  await eventually(() => house.server.sessions === 0);
  using third = await house.raw();
  expect(await third.connect({ clean: true, protocolVersion: 4 })).toMatchObject({
    sessionPresent: false,
  });
  third.socket.destroy();
  await eventually(() => house.server.sessions === 0);
});

test('a will goes out when the client is lost, and not when it says good-bye', async () => {
  await using house = await TestServer.open();
  const will = { topic: 'gone', payload: Buffer.from('x'), qos: 1 as const };
  const ends: ((client: Awaited<ReturnType<typeof house.raw>>) => void)[] = [
    (client) => client.send({ cmd: 'disconnect', reasonCode: 0 }),
    (client) => client.send({ cmd: 'disconnect', reasonCode: reason.disconnectWithWill }),
    (client) => client.send({ cmd: 'disconnect', reasonCode: reason.unspecified }),
    (client) => client.socket.destroy(),
    (client) => client.socket.write(Buffer.from([0, 0])),
  ];
  const published: number[] = [];
  for (const end of ends) {
    using client = await house.raw();
    await client.connect({ will });
    end(client);
    await client.closed;
    await eventually(() => house.server.sessions === 0);
    published.push(house.wills.length);
  }
  expect(published).toEqual([0, 1, 2, 3, 4]);
});

test('a will with a delay waits for the client to come back', async () => {
  await using house = await TestServer.open();
  const will = {
    topic: 'gone',
    payload: Buffer.from('x'),
    properties: { willDelayInterval: 1 },
  };
  const options = { will, clean: false, properties: { sessionExpiryInterval: 60 } };
  using first = await house.raw();
  await first.connect(options);
  first.socket.destroy();
  using second = await house.raw();
  await second.connect(options);
  await wait(1400);
  expect(house.wills).toEqual([]);
  second.socket.destroy();
  await eventually(() => house.wills.length === 1);
});

test('a drain acks what was taken in, then says that the server goes', async () => {
  const takes: (() => void)[] = [];
  await using house = await TestServer.open({
    publish: () => new Promise((resolve) => takes.push(() => resolve(0))),
  });
  using client = await house.raw();
  await client.connect();
  client.publish(1);
  client.publish(2);
  await eventually(() => takes.length === 2);
  const drained = house.server.drain(5000);
  client.publish(3);
  await wait(50);
  for (const take of takes) take();
  expect(await client.disconnected()).toBe(reason.serverShuttingDown);
  await drained;
  expect(client.of('puback').map(({ messageId }) => messageId)).toEqual([1, 2]);
  expect(takes).toHaveLength(2);
});

test('a drain does not wait for ever', async () => {
  await using house = await TestServer.open({ publish: () => new Promise(() => undefined) });
  using client = await house.raw();
  await client.connect();
  client.publish(1);
  await eventually(() => house.server.inFlight === 1);
  const from = performance.now();
  await house.server.drain(200);
  expect(performance.now() - from).toBeLessThan(5000);
  await client.closed;
  expect(client.of('puback')).toEqual([]);
});

test('connections beyond the limit are closed at once', async () => {
  await using house = await TestServer.open({}, { connectionsMax: 1 });
  using first = await house.raw();
  await first.connect();
  using second = await house.raw();
  second.socket.resume();
  await second.closed;
  first.send({ cmd: 'pingreq' });
  await first.hears(() => first.of('pingresp')[0]);
  expect(house.refusals).toEqual([reason.serverBusy]);
});
