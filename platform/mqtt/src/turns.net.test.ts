import { setTimeout as wait } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { reason } from './reason-codes.ts';
import { eventually, TestServer } from './test-server.ts';

test('a packet that trickles in is cut, however many of its bytes still come', async () => {
  await using server = await TestServer.open({}, { packetTimeoutMs: 600 });
  using client = await server.raw();
  await client.connect({ keepalive: 0 });
  const packet = generate(
    { cmd: 'publish', topic: 'a', payload: 'x'.repeat(100), qos: 0, dup: false, retain: false },
    { protocolVersion: 5 },
  );
  let sent = 0;
  const trickling = setInterval(() => {
    client.socket.write(packet.subarray(sent, sent + 1));
    sent += 1;
  }, 50);
  expect(await client.disconnected()).toBe(reason.keepAliveTimeout);
  clearInterval(trickling);
  expect(sent).toBeLessThan(packet.length);
  expect(server.messages).toEqual([]);
});

test('slow but whole packets, and packets in pieces, go on', async () => {
  await using server = await TestServer.open({}, { packetTimeoutMs: 600 });
  using client = await server.raw();
  await client.connect({ keepalive: 0 });
  for (let each = 0; each < 5; each += 1) {
    const packet = generate(
      { cmd: 'publish', topic: 'a', payload: `${each}`, qos: 0, dup: false, retain: false },
      { protocolVersion: 5 },
    );
    client.socket.write(packet.subarray(0, 3));
    await wait(200);
    client.socket.write(packet.subarray(3));
    await wait(100);
  }
  await eventually(() => server.messages.length === 5);
  expect(client.socket.destroyed).toBe(false);
});

test('time in which the client is not read from is not its own', async () => {
  let holds = 1000;
  await using server = await TestServer.open(
    { holdMs: () => [holds, (holds = 0)][0] ?? 0 },
    { packetTimeoutMs: 400 },
  );
  using client = await server.raw();
  await client.connect({ keepalive: 0 });
  const packets = [0, 1].map((payload) =>
    generate(
      { cmd: 'publish', topic: 'a', payload: `${payload}`, qos: 0, dup: false, retain: false },
      { protocolVersion: 5 },
    ),
  );
  const all = Buffer.concat(packets);
  client.socket.write(all.subarray(0, all.length - 2));
  await wait(900);
  client.socket.write(all.subarray(all.length - 2));
  await eventually(() => server.messages.length === 2);
  expect(client.socket.destroyed).toBe(false);
});

test('a flood of small packets leaves a turn to the others in between', async () => {
  await using server = await TestServer.open();
  using flood = await server.raw();
  using calm = await server.raw();
  await flood.connect({ clientId: 'flood' });
  await calm.connect({ clientId: 'calm' });
  const pings = Buffer.alloc(2 * 30_000);
  for (let at = 0; at < pings.length; at += 2) pings[at] = 0xc0;
  flood.socket.write(pings);
  calm.publish(1);
  let answersBefore = -1;
  await calm.hears(() => {
    if (calm.of('puback').length === 0) return undefined;
    answersBefore = flood.of('pingresp').length;
    return true;
  });
  await flood.hears(() => flood.of('pingresp').length === 30_000 || undefined);
  expect(answersBefore).toBeLessThan(30_000);
});

test.each(['pingreq', 'subscribe', 'unsubscribe'] as const)(
  'who floods by %s is held like who floods by messages',
  async (cmd) => {
    let asked = 0;
    await using server = await TestServer.open({
      holdMs() {
        asked += 1;
        return 200;
      },
    });
    using client = await server.raw();
    await client.connect();
    const fromMs = performance.now();
    for (let messageId = 1; messageId <= 3; messageId += 1) {
      if (cmd === 'pingreq') client.send({ cmd });
      else if (cmd === 'subscribe') {
        client.send({ cmd, messageId, subscriptions: [{ topic: 'a', qos: 0 }] });
      } else client.send({ cmd, messageId, unsubscriptions: ['a'] });
    }
    await eventually(() => asked === 3);
    expect(performance.now() - fromMs).toBeGreaterThan(380);
  },
);
