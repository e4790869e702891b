import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { connect as connectMqtt, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestHouse } from './test-house.ts';

let house: TestHouse;
let building: string;
let good: GoodTraffic;
beforeAll(async () => {
  house = await TestHouse.open();
  building = freshName('de');
  await house.declare(building);
  good = new GoodTraffic(await house.clientSoon(building, { clientId: 'good' }), building);
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

/** A hundred messages a second, each acked or noted as failed. */
class GoodTraffic {
  readonly failed: unknown[] = [];
  readonly #client: MqttClient;
  readonly #timer: NodeJS.Timeout;
  readonly #ackMs: number[] = [];
  sent = 0;

  constructor(client: MqttClient, of: string) {
    this.#client = client;
    client.on('close', () => this.failed.push('closed'));
    this.#timer = setInterval(() => {
      const from = performance.now();
      client
        .publishAsync(`v1/${of}/d1/telemetry`, `${this.sent}`, { qos: 1 })
        .then(() => this.#ackMs.push(performance.now() - from))
        .catch((error: unknown) => this.failed.push(error));
      this.sent += 1;
    }, 10);
  }

  p99Ms(): number {
    return this.#ackMs.toSorted((a, b) => a - b)[Math.floor(this.#ackMs.length * 0.99)] ?? Infinity;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await waitFor('all acks', () => this.#ackMs.length + this.failed.length >= this.sent);
    this.#client.removeAllListeners('close');
    await this.#client.endAsync();
  }
}

const payloads: [string, string | Buffer][] = [
  ['malformed JSON', '{"values":{"co2":'],
  ['NaN', '{"values":{"co2":NaN}}'],
  ['1e400', '{"values":{"co2":1e400}}'],
  ['an unknown metric', '{"values":{"nothing":1}}'],
  ['wrong types', '{"values":{"co2":{"a":[]}}}'],
  ['the far future', '{"at":"9999-12-31T23:59:59Z","values":{"co2":1}}'],
  ['ancient times', '{"at":"0001-01-01T00:00:00Z","values":{"co2":1}}'],
  ['one bad element of a thousand', `[${'{"values":{"co2":1}},'.repeat(999)}7]`],
  ['nothing', ''],
  ['bytes that are no text', Buffer.from([0xff, 0xfe, 0, 1])],
  ['__proto__', '{"__proto__":{"values":{"co2":1}},"values":{"__proto__":1}}'],
  ['depth', '['.repeat(100_000)],
  ['a quarter of a megabyte', Buffer.alloc(262_000, 0x20)],
];

test.each(payloads)(
  '%s as payload is acked and kept as it came: the task judges it',
  async (_name, payload) => {
    const client = await house.client(building, { clientId: freshName('bad') });
    await client.publishAsync(`v1/${building}/d1/telemetry`, payload, { qos: 1 });
    await client.endAsync();
    const clientId = client.options.clientId;
    const kept = (await house.records('telemetry')).find(
      ({ headers }) => headers.get('client') === clientId,
    );
    expect(kept?.value?.equals(Buffer.from(payload))).toBe(true);
  },
);

const lastBreath: [string, (client: MqttClient) => void][] = [
  [
    'an oversize packet',
    (client) =>
      void client.publish(`v1/${building}/d1/telemetry`, Buffer.alloc(300_000), { qos: 0 }),
  ],
  [
    'a header that announces 256 MB',
    (client) => void client.stream.write(Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f])),
  ],
  ['a packet of a server', (client) => void client.stream.write(Buffer.from([0x20, 3, 0, 0, 0]))],
  ['bytes that are no packet', (client) => void client.stream.write(Buffer.from([0, 1, 2, 3]))],
];

test.each(lastBreath)('%s ends its own connection', async (_name, act) => {
  const client = await house.client(building, { clientId: freshName('bad') });
  const closed = new Promise((resolve) => {
    client.on('close', () => resolve('closed'));
  });
  act(client);
  expect(await closed).toBe('closed');
  await client.endAsync(true);
});

test('a topic of as many levels as MQTT can carry is refused, a client at a time', async () => {
  const client = await house.client(building, { clientId: freshName('bad') });
  for (let each = 0; each < 20; each += 1) {
    await expect(client.publishAsync('/'.repeat(65_535), 'x', { qos: 1 })).rejects.toMatchObject({
      code: 0x90,
    });
  }
  await client.endAsync();
});

test('connections that open, break off, stall and come back by the hundred', async () => {
  const sockets: Socket[] = [];
  for (let each = 0; each < 300; each += 1) {
    const socket = connect({ host: '127.0.0.1', port: house.broker.mqttPort ?? 0 });
    socket.on('error', () => undefined);
    sockets.push(socket);
    if (each % 3 === 0) socket.write(Buffer.from([0x10, 40, 0, 4, 77]));
    if (each % 3 === 1) socket.end(Buffer.from([0x10]));
    if (each % 50 === 0) await wait(10);
  }
  await wait(500);
  for (const socket of sockets) socket.destroy();
  const client = await house.client(building, { clientId: freshName('fine') });
  await client.endAsync();
  expect(await house.metrics()).toContain('mqtt_connects_refused_total');
});

test('wrong passwords by the hundred, and names of other countries, are refused', async () => {
  const guessed = freshName('de');
  await house.declare(guessed);
  const attempt = (username: string) =>
    new Promise((resolve) => {
      const client = connectMqtt({
        host: '127.0.0.1',
        port: house.broker.mqttPort ?? 0,
        protocolVersion: 5,
        reconnectPeriod: 0,
        username,
        password: freshName('wrong'),
      });
      client.on('error', (error) => {
        resolve('code' in error ? error.code : error);
        client.end(true);
      });
    });
  const codes = await Promise.all(
    Array.from({ length: 200 }, (_, index) => attempt(index % 2 === 0 ? guessed : 'us-7f3k')),
  );
  // Who guesses on is told to wait instead.
  expect(codes.filter((code) => code === 0x86 || code === 0x9f)).toHaveLength(100);
  expect(codes.filter((code) => code === 0x87)).toHaveLength(100);
});

test('beside all that every good message was acked in time, and stands in Kafka once', async () => {
  await waitFor('some more', () => good.sent > 300);
  await good.stop();
  const kept = (await house.records('telemetry'))
    .filter(({ headers }) => headers.get('client') === 'good')
    .map(({ value }) => value?.toString());
  expect(good.failed).toEqual([]);
  expect(kept).toEqual(Array.from({ length: good.sent }, (_, index) => `${index}`));
  expect(good.p99Ms()).toBeLessThan(1000);
  expect(house.failures).toEqual([]);
});
