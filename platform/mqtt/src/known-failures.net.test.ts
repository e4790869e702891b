/**
 * What other brokers were seen to get wrong. The rest of the list, by the names of its tests: "a slow subscriber stalls
 * nobody", "__proto__ is a name like any other", "acks come in the order of the publishes", "while the owner hangs,
 * reading stops", "an oversize packet is refused by its header", "a client's receive maximum is kept", "a client's maximum
 * packet size is kept", "a refusal keeps its reason code", "QoS 2: a failed message is published again by its repeat, a
 * kept one is not" and "ten thousand deliveries at once end, each".
 */
import { expect, test } from 'vitest';
import type { Delivery } from './owner.ts';
import { eventually, TestServer } from './test-server.ts';

const keep = { clean: false, properties: { sessionExpiryInterval: 60 } };

test('TBMQ #207: packet ids come round at 65,535 past those in flight, of QoS 1 and 2', async () => {
  await using house = await TestServer.open(
    {},
    { outboundQueuedMax: 70_000, outboundInFlightMax: 1000 },
  );
  using client = await house.raw();
  await client.connect(keep);
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 2 }] });
  await client.hears(() => client.of('suback')[0]);
  const session = house.session('raw');
  const held: Promise<Delivery>[] = [1, 2].flatMap((qos) =>
    [1, 2].map((each) =>
      session.deliver({
        topic: 'a',
        payload: Buffer.from(`held ${qos} ${each}`),
        qos: qos === 1 ? 1 : 2,
      }),
    ),
  );
  await client.hears(() => client.of('publish').length === 4);
  const ids = client.of('publish').map(({ messageId }) => messageId);
  expect(ids).toEqual([1, 2, 3, 4]);
  // The others come and go, all the way round.
  const used = new Set<number>();
  let repeated = 0;
  client.socket.removeAllListeners('data');
  client.socket.on(
    'data',
    acking(client.socket, (id) => {
      if (ids.includes(id)) repeated += 1;
      used.add(id);
    }),
  );
  const others = Array.from({ length: 66_000 }, () =>
    session.deliver({ topic: 'a', payload: Buffer.from('x'), qos: 1 }),
  );
  expect(new Set(await Promise.all(others))).toEqual(new Set(['acked']));
  expect(repeated).toBe(0);
  expect(used.size).toBe(65_531);
  expect(session.state().inFlight.map(({ packetId }) => packetId)).toEqual(ids);
  expect(await Promise.race([...held, Promise.resolve('in flight')])).toBe('in flight');
});

/** Acks QoS 1 by hand: a hundred thousand packets are many for a parser of objects. */
function acking(socket: { write(bytes: Buffer): unknown }, seen: (packetId: number) => void) {
  let left = Buffer.alloc(0);
  return (chunk: Buffer): void => {
    left = Buffer.concat([left, chunk]);
    const acks: number[] = [];
    let at = 0;
    // PUBLISH to "a" of one byte: type, length, topic (3), id (2), properties, payload.
    for (; at + 9 <= left.length; at += 9) {
      const id = left.readUInt16BE(at + 5);
      seen(id);
      acks.push(0x40, 2, id >> 8, id & 0xff);
    }
    left = left.subarray(at);
    socket.write(Buffer.from(acks));
  };
}

test('TBMQ #320: over a reconnect nothing counts as delivered that was not', async () => {
  await using house = await TestServer.open({}, { outboundInFlightMax: 10 });
  using first = await house.raw();
  await first.connect(keep);
  first.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] });
  await first.hears(() => first.of('suback')[0]);
  const settled: string[] = [];
  const session = house.session('raw');
  const names = Array.from({ length: 50 }, (_, index) => `${index}`);
  for (const name of names) {
    void session
      .deliver({ topic: 'a', payload: Buffer.from(name), qos: 1 })
      .then((delivery) => settled.push(`${name} ${delivery}`));
  }
  await first.hears(() => first.of('publish').length === 10);
  // The last of them is acked, the nine before are not.
  first.send({ cmd: 'puback', messageId: 10, reasonCode: 0 });
  await eventually(() => settled.length === 1);
  for (let round = 0; round < 3; round += 1) {
    using between = await house.raw();
    await between.connect(keep);
    await between.hears(() => between.of('publish').length >= 9);
  }
  expect(settled).toEqual(['9 acked']);
  using last = await house.raw();
  await last.connect(keep);
  for (let taken = 0; taken < 49; taken += 1) {
    const next = await last.hears(() => last.of('publish')[taken]);
    last.send({ cmd: 'puback', messageId: next?.messageId ?? 0, reasonCode: 0 });
  }
  await eventually(() => settled.length === 50);
  const heard = last.of('publish').map(({ payload }) => payload.toString());
  expect(heard).toEqual(names.filter((name) => name !== '9'));
  expect(settled.slice(1)).toEqual(heard.map((name) => `${name} acked`));
});
