import { setTimeout as wait } from 'node:timers/promises';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { connect, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { password } from '../test-house.ts';
import { TestClient } from './test-client.ts';
import { TestReplicas } from './test-replicas.ts';

let replicas: TestReplicas;
beforeAll(async () => {
  replicas = await TestReplicas.open(2);
});
afterAll(() => replicas[Symbol.asyncDispose]());

async function declared(): Promise<string> {
  const building = freshName('de');
  await replicas.house.declare(building);
  return building;
}

/** Goes from replica to replica until one takes it. */
function roaming(building: string, clientId: string): MqttClient {
  const client = connect({
    servers: replicas.ports.map((port) => ({ host: '127.0.0.1', port })),
    reconnectPeriod: 50,
    reconnectOnConnackError: true,
    connectTimeout: 2000,
    protocolVersion: 5,
    username: building,
    password,
    clientId,
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  });
  client.on('error', () => undefined);
  return client;
}

async function statusesOf(building: string): Promise<(string | undefined)[]> {
  const records = await replicas.house.records('device-status');
  const own = records.filter(({ key }) => key?.toString() === building);
  return own.map(({ value }) => /"state":"(\w+)"/.exec(`${value?.toString()}`)?.[1]);
}

/** Keys of the session that have a value in the log. */
async function keysOf(session: string): Promise<string[]> {
  const records = await replicas.house.records('mqtt-sessions');
  const last = new Map(records.map(({ key, value }) => [key?.toString() ?? '', value]));
  return [...last].flatMap(([key, value]) =>
    value !== null && key.split('\0')[1] === session ? key : [],
  );
}

test('what a replica does that was stopped meanwhile reaches only a connection that the client has left', async () => {
  const building = await declared();
  const topic = (device: string) => `v1/${building}/${device}/telemetry`;
  await using stale = await TestClient.come(replicas.port(0), building);
  await stale.client.subscribeAsync(topic('d1'), { qos: 1 });
  replicas.signal(0, 'SIGSTOP');
  // It takes it, though the other gives no answer.
  await using fresh = await TestClient.come(replicas.port(1), building, { connectTimeout: 10_000 });
  expect(fresh.resumed).toBe(true);
  await fresh.client.subscribeAsync(topic('d2'), { qos: 1 });
  await using publisher = await TestClient.come(replicas.port(1), building, { clientId: 'p' });
  // What the stopped one finds on its old connection when it goes on.
  stale.client.publish(topic('d3'), 'from the left connection', { qos: 0 });
  stale.client.unsubscribe(topic('d1'));
  await publisher.client.publishAsync(topic('d1'), 'one', { qos: 1 });
  await publisher.client.publishAsync(topic('d2'), 'two', { qos: 1 });
  await waitFor('both', () => fresh.heard.length === 2);
  replicas.signal(0, 'SIGCONT');
  await waitFor('the end of the left connection', () => stale.disconnects.length === 1);
  expect(stale.disconnects).toEqual([reason.sessionTakenOver]);
  await wait(1000);
  await publisher.client.publishAsync(topic('d1'), 'three', { qos: 1 });
  await waitFor('the third', () => fresh.heard.length === 3);
  expect(fresh.client.connected).toBe(true);
  await fresh.leave();
  // Nothing of what it made of the session stands.
  await using back = await TestClient.come(replicas.port(0), building);
  expect(back.resumed).toBe(true);
  await publisher.client.publishAsync(topic('d1'), 'four', { qos: 1 });
  await publisher.client.publishAsync(topic('d2'), 'five', { qos: 1 });
  await waitFor('both again', () => back.heard.length === 2);
  expect([fresh.heard, back.heard].map((heard) => heard.map((each) => each.split(' ')[1]))).toEqual(
    [
      ['one', 'two', 'three'],
      ['four', 'five'],
    ],
  );
});

test('a replica is killed: its clients are back at another and get what they subscribed to, in seconds', async () => {
  const building = await declared();
  const topic = `v1/${building}/d1/telemetry`;
  const heard = new Map<string, Set<string>>();
  const clients = Array.from({ length: 100 }, (_, index) => {
    const client = roaming(building, `c${index}`);
    const ofClient = new Set<string>();
    heard.set(`c${index}`, ofClient);
    client.on('message', (__, payload) => ofClient.add(payload.toString()));
    return client;
  });
  await waitFor('all', () => clients.every(({ connected }) => connected));
  await Promise.all(clients.map((client) => client.subscribeAsync(topic, { qos: 1 })));
  const publisher = roaming(building, 'p');
  await publisher.publishAsync(topic, 'before', { qos: 1 });
  await waitFor('the first', () => heard.values().every((of) => of.has('before')));
  const will = {
    topic: `v1/${building}/gateway/status`,
    payload: Buffer.from('{"state":"offline","at":"2026-11-27T07:00:00.000Z"}'),
    qos: 1 as const,
    retain: true,
  };
  const lost = await TestClient.come(replicas.port(0), building, {
    clientId: 'lost',
    will,
    properties: { sessionExpiryInterval: 1 },
  });
  const fromMs = performance.now();
  await replicas.end(0, 'SIGKILL');
  await publisher.publishAsync(topic, 'after', { qos: 1 });
  await waitFor('the second', () => heard.values().every((of) => of.has('after')));
  expect(performance.now() - fromMs).toBeLessThan(10_000);
  // Who does not come back has its will said, and its session ended, by who is left.
  await waitFor('the will', async () => (await statusesOf(building)).length > 0, 20_000);
  await waitFor('the end', async () => (await keysOf(`${building}/lost`)).length === 0, 20_000);
  expect(await statusesOf(building)).toEqual(['offline']);
  await lost.client.endAsync(true);
  await replicas.startAgain(0);
  await Promise.all([...clients, publisher].map((client) => client.endAsync()));
});

// Three processes are started within it.
const patient = { timeout: 180_000 };

test(
  'replicas are restarted one after the other under load: nothing is lost, nothing comes twice',
  patient,
  async () => {
    const building = await declared();
    const topic = `v1/${building}/d1/telemetry`;
    const heard: string[] = [];
    let again = 0;
    const subscriber = roaming(building, 's');
    subscriber.on('message', (_, payload, { dup }) => {
      if (heard.includes(payload.toString()) && dup) again += 1;
      else heard.push(payload.toString());
    });
    await waitFor('the subscriber', () => subscriber.connected);
    await subscriber.subscribeAsync(topic, { qos: 1 });
    const publisher = roaming(building, 'p');
    const acked = new Set<string>();
    let sent = 0;
    const timer = setInterval(() => {
      if (sent - acked.size > 20) return;
      const payload = `${sent}`;
      sent += 1;
      publisher.publishAsync(topic, payload, { qos: 1 }).then(
        () => acked.add(payload),
        () => undefined,
      );
    }, 5);
    for (const index of [0, 1]) {
      const before = acked.size;
      await waitFor('some acks', () => acked.size > before + 100);
      await replicas.end(index, 'SIGTERM');
      await waitFor('acks by the other', () => acked.size > before + 200);
      if (index === 0) await replicas.startAgain(index);
    }
    clearInterval(timer);
    await waitFor('the rest', () => acked.size === sent);
    await waitFor('all to come', () => new Set(heard).size >= sent);
    await Promise.all([subscriber.endAsync(), publisher.endAsync()]);
    const kept = (await replicas.house.records('telemetry'))
      .filter(({ key }) => key?.toString() === building)
      .map(({ value }) => value?.toString());
    expect(kept).toEqual(Array.from({ length: sent }, (_, index) => `${index}`));
    expect(heard).toEqual(kept);
    // Acks that the stop has cut: QoS 1 lets these come again, marked.
    expect(again).toBeLessThan(100);
  },
);

test('what is acked between a restart and the return of a client reaches it (RMQTT #477)', async () => {
  const building = await declared();
  const topic = `v1/${building}/d1/telemetry`;
  const before = await TestClient.come(replicas.port(0), building);
  await before.client.subscribeAsync(topic, { qos: 1 });
  await before.leave();
  await replicas.end(1, 'SIGKILL');
  await replicas.end(0, 'SIGKILL');
  await replicas.startAgain(0);
  const publisher = await TestClient.come(replicas.port(0), building, { clientId: 'p' });
  const sent = Array.from({ length: 50 }, (_, index) => `${index}`);
  await Promise.all(
    sent.map((payload) => publisher.client.publishAsync(topic, payload, { qos: 1 })),
  );
  await publisher.leave();
  const after = await TestClient.come(replicas.port(0), building);
  expect(after.resumed).toBe(true);
  await waitFor('all of it', () => after.heard.length >= sent.length);
  await after.leave();
  expect(after.heard).toEqual(sent.map((payload) => `${topic} ${payload}`));
});
