import { expect, test } from 'vitest';
import type { Delivery, OpenRequest, OutboundMessage, Session, SessionState } from './owner.ts';
import { reason } from './reason-codes.ts';
import { eventually, type RawClient, TestServer } from './test-server.ts';

/** Keeps sessions outside of any server, as Kafka does. */
class Shelf {
  readonly kept = new Map<string, SessionState>();
  readonly opened: OpenRequest<string>[] = [];
  readonly ended: string[] = [];
  saves = 0;
  saving: Promise<void> = Promise.resolve();

  readonly owner = {
    open: async (request: OpenRequest<string>) => {
      this.opened.push(request);
      const state = request.cleanStart ? undefined : this.kept.get(request.key);
      if (request.cleanStart) this.kept.delete(request.key);
      if (!state) return { resumed: false as const };
      return request.isHere ? { resumed: true as const } : { resumed: true as const, state };
    },
    save: async (session: Session<string>) => {
      const state = session.state();
      this.saves += 1;
      await this.saving;
      this.kept.set(session.key, state);
    },
    ended: (session: Session<string>) => void this.ended.push(session.key),
  };
}

const keep = { clean: false, properties: { sessionExpiryInterval: 60 } };
const message = (payload: string, more: Partial<OutboundMessage> = {}): OutboundMessage => ({
  topic: 'down/x',
  payload: Buffer.from(payload),
  qos: 2,
  token: `token-${payload}`,
  ...more,
});

async function subscribe(client: RawClient, topic = 'down/#', qos: 0 | 1 | 2 = 2): Promise<void> {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] });
  await client.hears(() => client.of('suback')[0]);
}

const answer = (client: RawClient, cmd: 'pubrec' | 'pubcomp', messageId = 0) =>
  client.send({ cmd, messageId, reasonCode: 0 });

test.each([4, 5] as const)(
  'QoS 2 to a version %d client: once each, in order, by an independent client',
  async (protocolVersion) => {
    const shelf = new Shelf();
    await using house = await TestServer.open(shelf.owner);
    const client = await house.client({
      clientId: 'c',
      protocolVersion,
      clean: false,
      ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: 60 } }),
    });
    const heard: string[] = [];
    client.on('message', (_topic, payload) => heard.push(payload.toString()));
    await client.subscribeAsync('down/#', { qos: 2 });
    const session = house.session('c');
    const names = Array.from({ length: 300 }, (_, index) => `${index}`);
    const done = await Promise.all(names.map((name) => session.deliver(message(name))));
    expect(new Set(done)).toEqual(new Set(['acked']));
    expect(heard).toEqual(names);
    expect(session.state().inFlight).toEqual([]);
    // Two per window, not two per message.
    expect(shelf.saves).toBeLessThan(200);
    await client.endAsync();
  },
);

test('a QoS 2 message is saved before it is sent, and its PUBREC before PUBREL', async () => {
  const shelf = new Shelf();
  await using house = await TestServer.open(shelf.owner);
  using client = await house.raw();
  await client.connect(keep);
  await subscribe(client);
  let gate = Promise.withResolvers<void>();
  shelf.saving = gate.promise;
  const done = [1, 2].map((each) => house.session('raw').deliver(message(`${each}`)));
  client.send({ cmd: 'pingreq' });
  await client.hears(() => client.of('pingresp')[0]);
  expect(client.of('publish')).toEqual([]);
  gate.resolve();
  await client.hears(() => client.of('publish').length === 2);
  expect(shelf.kept.get('raw')?.inFlight).toMatchObject([
    { packetId: 1, stage: 'sent', message: { token: 'token-1' } },
    { packetId: 2, stage: 'sent', message: { token: 'token-2' } },
  ]);
  gate = Promise.withResolvers<void>();
  shelf.saving = gate.promise;
  answer(client, 'pubrec', 1);
  client.send({ cmd: 'pingreq' });
  await client.hears(() => client.of('pingresp')[1]);
  expect(client.of('pubrel')).toEqual([]);
  gate.resolve();
  await client.hears(() => client.of('pubrel')[0]);
  expect(shelf.kept.get('raw')?.inFlight[0]).toEqual({
    packetId: 1,
    stage: 'received',
    token: 'token-1',
  });
  answer(client, 'pubcomp', 1);
  expect(await done[0]).toBe('acked');
});

test('another server goes on where the first one stopped: PUBREL for what was received, DUP for the rest', async () => {
  const shelf = new Shelf();
  await using first = await TestServer.open(shelf.owner);
  using client = await first.raw();
  await client.connect(keep);
  await subscribe(client);
  for (const each of ['1', '2', '3']) void first.session('raw').deliver(message(each));
  client.publish(70, { qos: 2 });
  await client.hears(() => client.of('publish').length === 3 && client.of('pubrec')[0]);
  answer(client, 'pubrec', 2);
  await client.hears(() => client.of('pubrel')[0]);
  first.session('raw').abandon(reason.sessionTakenOver);
  expect(await client.disconnected()).toBe(reason.sessionTakenOver);
  expect(first.server.sessions).toBe(0);
  expect(shelf.ended).toEqual(['raw']);

  await using second = await TestServer.open(shelf.owner);
  using again = await second.raw();
  expect(await again.connect(keep)).toMatchObject({ sessionPresent: true });
  await again.hears(() => again.of('publish').length === 2 && again.of('pubrel')[0]);
  expect(again.of('publish')).toMatchObject([
    { messageId: 1, dup: true, qos: 2, payload: Buffer.from('1') },
    { messageId: 3, dup: true, qos: 2, payload: Buffer.from('3') },
  ]);
  expect(again.of('pubrel')).toMatchObject([{ messageId: 2 }]);
  // The QoS 2 message of the client is known too: only acked again.
  again.publish(70, { qos: 2, dup: true });
  await again.hears(() => again.of('pubrec')[0]);
  expect(second.messages).toEqual([]);
  for (const id of [1, 3]) answer(again, 'pubrec', id);
  await again.hears(() => again.of('pubrel').length === 3);
  for (const id of [1, 2, 3]) answer(again, 'pubcomp', id);
  await eventually(() => second.session('raw').state().inFlight.length === 0);
});

test('when a save fails nothing is told, the connection ends, and the next one tries again', async () => {
  const shelf = new Shelf();
  await using house = await TestServer.open(shelf.owner);
  using client = await house.raw();
  await client.connect(keep);
  await subscribe(client);
  shelf.saving = Promise.reject(new Error('Kafka is away'));
  const done = house.session('raw').deliver(message('1'));
  expect(await client.disconnected()).toBe(reason.unspecified);
  expect(client.of('publish')).toEqual([]);
  shelf.saving = Promise.resolve();
  using again = await house.raw();
  await again.connect(keep);
  expect(await again.hears(() => again.of('publish')[0])).toMatchObject({ dup: false });
  answer(again, 'pubrec', 1);
  await again.hears(() => again.of('pubrel')[0]);
  answer(again, 'pubcomp', 1);
  expect(await done).toBe('acked');
});

test('an offer that finds no room is told when there is room again', async () => {
  let rooms = 0;
  await using house = await TestServer.open(
    { room: () => (rooms += 1) },
    { outboundQueuedMax: 10 },
  );
  using client = await house.raw();
  await client.connect();
  await subscribe(client, 'down/#', 1);
  const session = house.session('raw');
  const matching = [...session.subscriptions.values()];
  const settled: Delivery[] = [];
  const offers = Array.from({ length: 12 }, (_, index) =>
    session.offer(message(`${index}`), matching, (delivery) => settled.push(delivery)),
  );
  expect(offers).toEqual([...Array.from({ length: 10 }, () => true), false, false]);
  expect(settled).toEqual([]);
  await eventually(() => rooms === 1);
  await client.hears(() => client.of('publish').length === 10);
  for (const { messageId = 0 } of client.of('publish')) {
    client.send({ cmd: 'puback', messageId, reasonCode: 0 });
  }
  await eventually(() => settled.length === 10);
  expect(rooms).toBe(1);
});

test('nothing of a client is handled while its subscription is being decided', async () => {
  const verdict = Promise.withResolvers<number>();
  const order: string[] = [];
  await using house = await TestServer.open({
    subscribe: (_session, asked) => {
      order.push(`ask ${asked.name} = ${asked.share} ${asked.filter}`);
      return verdict.promise;
    },
    subscribed: () => void order.push('subscribed'),
    unsubscribed: (_session, { name }) => void order.push(`unsubscribed ${name}`),
    publish: async () => {
      order.push('publish');
      return 0x10;
    },
  });
  using client = await house.raw();
  await client.connect();
  client.send({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: [{ topic: '$share/g/down/#', qos: 2 }],
  });
  client.publish(1);
  client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['$share/g/down/#'] });
  await eventually(() => order.length > 0);
  verdict.resolve(2);
  await client.hears(() => client.of('unsuback')[0]);
  expect(order).toEqual([
    'ask $share/g/down/# = g down/#',
    'subscribed',
    'publish',
    'unsubscribed $share/g/down/#',
  ]);
  expect(client.heard.map(({ cmd }) => cmd).slice(1)).toEqual(['suback', 'puback', 'unsuback']);
  expect(client.of('puback')[0]?.reasonCode).toBe(0x10);
});

test('an owner that cannot open a session refuses the CONNECT, and what was here stays', async () => {
  const shelf = new Shelf();
  let away = false;
  await using house = await TestServer.open({
    ...shelf.owner,
    open: async (request) => (away ? reason.serverBusy : shelf.owner.open(request)),
  });
  using client = await house.raw();
  await client.connect(keep);
  await subscribe(client);
  client.socket.destroy();
  away = true;
  using refused = await house.raw();
  expect(await refused.connect(keep)).toMatchObject({ reasonCode: reason.serverBusy });
  away = false;
  using again = await house.raw();
  expect(await again.connect(keep)).toMatchObject({ sessionPresent: true });
  expect(house.session('raw').wants('down/x')).toBe(true);
  expect(shelf.opened.map(({ isHere }) => isHere)).toEqual([false, true]);
});

test('QoS 1 that was on its way is sent again by another server with its id and DUP, unsubscribed or not', async () => {
  const shelf = new Shelf();
  await using first = await TestServer.open(shelf.owner);
  using client = await first.raw();
  await client.connect(keep);
  await subscribe(client);
  for (const each of ['1', '2']) void first.session('raw').deliver(message(each, { qos: 1 }));
  await client.hears(() => client.of('publish').length === 2);
  client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['down/#'] });
  await client.hears(() => client.of('unsuback')[0]);
  first.session('raw').abandon(reason.sessionTakenOver);

  await using second = await TestServer.open(shelf.owner);
  using again = await second.raw();
  await again.connect(keep);
  await again.hears(() => again.of('publish').length === 2);
  expect(again.of('publish')).toMatchObject([
    { messageId: 1, dup: true, qos: 1, payload: Buffer.from('1') },
    { messageId: 2, dup: true, qos: 1, payload: Buffer.from('2') },
  ]);
  for (const id of [1, 2]) again.send({ cmd: 'puback', messageId: id, reasonCode: 0 });
  await eventually(() => second.session('raw').inFlight === 0);
});

test('what was offered and not sent can be taken back', async () => {
  await using house = await TestServer.open();
  using client = await house.raw();
  await client.connect({ properties: { receiveMaximum: 1 } });
  await subscribe(client, 'down/#', 1);
  const session = house.session('raw');
  const matching = [...session.subscriptions.values()];
  const settled: string[] = [];
  for (const each of ['1', '2', '3']) {
    session.offer(message(each), matching, (delivery) => settled.push(`${each} ${delivery}`));
  }
  const sent = await client.hears(() => client.of('publish')[0]);
  expect([session.inFlight, session.queued]).toEqual([1, 2]);
  expect(['1', '2', '2'].map((each) => session.withdraw(`token-${each}`))).toEqual([
    false,
    true,
    false,
  ]);
  client.send({ cmd: 'puback', messageId: sent?.messageId ?? 0, reasonCode: 0 });
  const next = await client.hears(() => client.of('publish')[1]);
  expect(next).toMatchObject({ payload: Buffer.from('3') });
  client.send({ cmd: 'puback', messageId: next?.messageId ?? 0, reasonCode: 0 });
  await eventually(() => settled.length === 2);
  expect(settled).toEqual(['1 acked', '3 acked']);
  expect([...house.server.eachSession()]).toEqual([session]);
});

test('what another server has now is saved here no more, and nothing is told for it', async () => {
  const shelf = new Shelf();
  const order: string[] = [];
  await using house = await TestServer.open({
    ...shelf.owner,
    closed: () => void order.push('closed'),
    ended: () => void order.push('ended'),
    will: () => void order.push('will'),
  });
  using client = await house.raw();
  await client.connect({ ...keep, will: { topic: 'gone', payload: Buffer.from('x') } });
  await subscribe(client);
  const gate = Promise.withResolvers<void>();
  shelf.saving = gate.promise;
  const session = house.session('raw');
  void session.deliver(message('1'));
  await eventually(() => shelf.saves === 2);
  client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['down/#'] });
  client.publish(1);
  await eventually(() => session.subscriptions.size === 0);
  session.abandon(reason.sessionTakenOver);
  gate.resolve();
  await client.closed;
  expect(shelf.saves).toBe(2);
  expect(client.of('unsuback')).toEqual([]);
  expect(client.of('publish')).toEqual([]);
  expect(order).toEqual(['closed', 'ended']);
});
