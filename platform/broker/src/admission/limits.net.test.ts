import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { password, TestDoor } from './test-door.ts';

test('a building over its bytes is read from more slowly, loses nothing, and slows nobody', async () => {
  await using door = await TestDoor.open({ config: { buildingBytesPerSecondMax: 200_000 } });
  await door.declare('de-a');
  await door.declare('de-b');
  const flood = await door.client('tcp', door.known('de-a'));
  const calm = await door.client('tcp', door.known('de-b'));
  const fromMs = performance.now();
  const sent = Array.from({ length: 60 }, () =>
    flood.publishAsync('t', Buffer.alloc(10_000), { qos: 1 }),
  );
  for (let each = 0; each < 10; each += 1) await calm.publishAsync('t', 'x', { qos: 1 });
  const calmMs = performance.now() - fromMs;
  await Promise.all(sent);
  const floodMs = performance.now() - fromMs;
  // Two seconds' worth at once, though not all in one moment, and the rest at the rate.
  expect(floodMs).toBeGreaterThan(800);
  expect(calmMs).toBeLessThan(floodMs);
  expect(door.messages).toHaveLength(70);
  expect(await door.metrics()).toMatch(/mqtt_holds_total{limit="building-(bytes|peak)"} [1-9]/);
  await Promise.all([flood.endAsync(), calm.endAsync()]);
});

test.each([
  [4, 'Unspecified error'],
  [5, 'Quota exceeded'],
] as const)('a building has so many subscriptions, version %d', async (protocolVersion, answer) => {
  await using door = await TestDoor.open({ config: { buildingSubscriptionsMax: 3 } });
  await door.declare('de-a');
  const clients = await Promise.all(
    ['1', '2'].map((clientId) =>
      door.client('tcp', door.known('de-a', { clientId, protocolVersion })),
    ),
  );
  const [one, two] = clients;
  await one?.subscribeAsync(['a', 'b'], { qos: 1 });
  await two?.subscribeAsync('c', { qos: 1 });
  await expect(two?.subscribeAsync('d', { qos: 1 })).rejects.toThrow(answer);
  await two?.subscribeAsync('c', { qos: 0 });
  await one?.unsubscribeAsync('a');
  await two?.subscribeAsync('d', { qos: 1 });
  await Promise.all(clients.map((client) => client.endAsync()));
  expect(await door.metrics()).toContain('mqtt_subscriptions_refused_total 1');
});

test('who guesses is told to wait, in both versions, and who has a certificate comes in beside it', async () => {
  await using door = await TestDoor.open();
  await door.declare('de-a');
  const guess = (protocolVersion: 4 | 5) =>
    door.client('tcp', door.known('de-a', { password: 'guess', protocolVersion })).then(
      () => 'in',
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
    );
  const codes: unknown[] = [];
  for (let each = 0; each < 12; each += 1) codes.push(await guess(5));
  expect(codes).toEqual([...Array.from({ length: 11 }, () => 0x86), 0x9f]);
  expect(await guess(4)).toBe(3);
  const { certificate: cert, key } = await door.issue('de-a');
  await (await door.client('tls', { cert, key })).endAsync();
  // The wait after the eleventh failure is one second.
  await wait(1200);
  await (await door.client('tcp', door.known('de-a'))).endAsync();
});

test('a CONNECT that is not whole in time ends, and is counted', async () => {
  await using door = await TestDoor.open({ limits: { connectTimeoutMs: 300 } });
  const sockets = [Buffer.alloc(0), Buffer.from([0x10, 40, 0, 4, 77])].map((bytes) => {
    const socket = connect({ host: '127.0.0.1', port: door.listeners.mqttPort ?? 0 });
    socket.write(bytes);
    socket.resume();
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, 'close')));
  await waitFor('the end', () => door.connections === 0);
  expect(await door.metrics()).toMatch(/mqtt_connects_refused_total{reason="0x[0-9a-f]+"} 2/);
});

test('a peer that is gone without a word is found by its keep-alive', async () => {
  await using door = await TestDoor.open();
  await door.declare('de-a');
  const socket = connect({ host: '127.0.0.1', port: door.listeners.mqttPort ?? 0 });
  socket.write(
    generate({
      cmd: 'connect',
      clientId: 'silent',
      keepalive: 1,
      username: 'de-a',
      password: Buffer.from(password),
    }),
  );
  socket.resume();
  await waitFor('the end', () => door.closed.length === 1);
  expect(door.closed).toEqual([0x8d]);
  socket.destroy();
});
