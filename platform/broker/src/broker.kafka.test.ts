import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { CommandRecord } from '@domicile/core/command.ts';
import type { StreamName } from '@domicile/core/streams.ts';
import { gatewayName, issueCertificate, loopbackNames } from '@domicile/devkit/certificates.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { type KeyPair, createAuthority } from '@domicile/runtime/certificates.ts';
import { connectAsync, type IClientOptions, type IConnackPacket, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { soon, TestHouse } from './test-house.ts';

let house: TestHouse;
let authority: KeyPair;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'broker-'));
  authority = await createAuthority('cell-de');
  const server = await issueCertificate(authority, { name: 'broker', names: loopbackNames });
  const tls = {
    certFile: join(folder, 'cert.pem'),
    keyFile: join(folder, 'key.pem'),
    caFile: join(folder, 'ca.pem'),
  };
  await writeFile(tls.certFile, server.certificate);
  await writeFile(tls.keyFile, server.key);
  await writeFile(tls.caFile, authority.certificate);
  house = await TestHouse.open({
    tls,
    buildingConnectionsMax: 4,
    buildingMessagesPerSecondMax: 500,
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const freshBuilding = () => freshName('de');
const recordsOf = async (stream: StreamName, building: string) =>
  (await house.records(stream)).filter(({ key }) => key?.toString() === building);
const valuesOf = async (stream: StreamName, building: string) =>
  (await recordsOf(stream, building)).map(({ value }) => value?.toString());

async function declared(options: IClientOptions = {}) {
  const building = freshBuilding();
  await house.declare(building);
  return { building, client: await house.clientSoon(building, options) };
}

/** What comes to a client, as `topic payload`. */
function heardBy(client: MqttClient): string[] {
  const heard: string[] = [];
  client.on('message', (topic, payload, { retain }) =>
    heard.push(`${topic} ${payload.toString()}${retain ? ' retained' : ''}`),
  );
  return heard;
}

test('what was acked stands in its stream, under its building and with where it came from', async () => {
  const { building, client } = await declared({ clientId: 'gw-1' });
  const send = (kind: string, payload: string, qos: 0 | 1 | 2) =>
    client.publishAsync(`v1/${building}/${kind}`, payload, { qos });
  await send('d1/telemetry', '{"values":{"co2":600}}', 1);
  await send('d1/telemetry', 'no JSON at all', 2);
  await send('d1/backfill', '{"values":{"co2":500}}', 1);
  await send('gateway/account', '{"devices":[]}', 1);
  await client.endAsync();
  const [registered] = await recordsOf('registry', building);
  const from = { client: 'gw-1', 'registry-offset': `${registered?.offset}` };
  expect(
    (await recordsOf('telemetry', building)).map(({ value, headers, partition }) => [
      value?.toString(),
      Object.fromEntries(headers),
      partition === registered?.partition,
    ]),
  ).toEqual([
    ['{"values":{"co2":600}}', { schema: 'telemetry/1', device: 'd1', ...from }, true],
    ['no JSON at all', { schema: 'telemetry/1', device: 'd1', ...from }, true],
    ['{"devices":[]}', { schema: 'account-report/1', device: 'gateway', ...from }, true],
  ]);
  expect(await valuesOf('backfill', building)).toEqual(['{"values":{"co2":500}}']);
});

test('a building that is declared may connect within a second, and one that is offboarded no more', async () => {
  const building = freshBuilding();
  await expect(house.client(building)).rejects.toMatchObject({
    code: reason.badUserNameOrPassword,
  });
  const cameAfterMs: number[] = [];
  for (const each of [freshBuilding(), freshBuilding(), building]) {
    await house.declare(each);
    const from = performance.now();
    const newcomer = await house.clientSoon(each);
    cameAfterMs.push(performance.now() - from);
    await newcomer.endAsync();
  }
  // A machine may stand still once.
  expect(cameAfterMs.toSorted((a, b) => a - b)[1]).toBeLessThan(1000);
  const client = await house.client(building);
  await expect(house.client(building, { password: 'wrong' })).rejects.toMatchObject({
    code: reason.badUserNameOrPassword,
  });
  const ended = new Promise((resolve) => {
    client.on('disconnect', ({ reasonCode }) => resolve(reasonCode));
  });
  await house.declare(building, { state: 'offboarded' });
  expect(await ended).toBe(reason.notAuthorized);
  await expect(house.client(building)).rejects.toMatchObject({
    code: reason.badUserNameOrPassword,
  });
  const old = house.client(building, { protocolVersion: 4 });
  await expect(old).rejects.toMatchObject({ code: 4 });
});

test('a building of another country is refused at CONNECT, and nothing of its packet is kept or logged', async () => {
  const canary = freshName('us');
  const will = {
    topic: `v1/${canary}/gateway/status`,
    payload: Buffer.from(canary),
    qos: 1 as const,
    retain: true,
  };
  const told = house.lines.length;
  await expect(
    house.client(canary, { clientId: `${canary}-client`, password: `${canary}-secret`, will }),
  ).rejects.toMatchObject({ code: reason.notAuthorized });
  expect(house.lines.slice(told).join('')).toContain('"reason":"0x87"');
  expect(house.lines.join('')).not.toContain(canary);
  expect(await house.metrics()).not.toContain(canary);
  for (const stream of ['telemetry', 'device-status', 'registry'] as const) {
    const records = await house.records(stream);
    expect(
      records.some(({ key, value }) => `${key?.toString()}${value?.toString()}`.includes(canary)),
    ).toBe(false);
  }
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a gateway comes by its certificate over %s',
  async (version) => {
    const building = freshBuilding();
    await house.declare(building, { passwordHash: null });
    const credentials = async (issuer: KeyPair, of: { country: string; building: string }) => {
      const own = await issueCertificate(issuer, {
        name: 'gateway',
        names: [gatewayName({ ...of, gateway: 'gw-1' })],
      });
      return {
        host: '127.0.0.1',
        port: house.broker.mqttsPort ?? 0,
        ca: authority.certificate,
        cert: own.certificate,
        key: own.key,
        minVersion: version,
        maxVersion: version,
      };
    };
    const come = async (of: { country: string; building: string }, issuer = authority) =>
      connectAsync({
        protocol: 'mqtts',
        reconnectPeriod: 0,
        protocolVersion: 5,
        ...(await credentials(issuer, of)),
      });
    const client = await soon(() => come({ country: 'DE', building }));
    await client.publishAsync(`v1/${building}/d1/telemetry`, version, { qos: 1 });
    expect(await valuesOf('telemetry', building)).toEqual([version]);
    await client.endAsync();
    const notAuthorized = { code: reason.notAuthorized };
    await expect(come({ country: 'US', building: 'us-a' })).rejects.toMatchObject(notAuthorized);
    const stranger = await createAuthority('cell-de');
    await expect(come({ country: 'DE', building }, stranger)).rejects.toMatchObject(notAuthorized);
    const { building: other, client: withPassword } = await declared({
      ca: authority.certificate,
      protocol: 'mqtts',
      port: house.broker.mqttsPort ?? 0,
    });
    await withPassword.publishAsync(`v1/${other}/d1/telemetry`, 'x', { qos: 1 });
    await withPassword.endAsync();
  },
);

test('a client reaches its own building alone', async () => {
  const { building, client } = await declared();
  const other = freshBuilding();
  const refusedWith = (topic: string, payload = 'x') =>
    client.publishAsync(topic, payload, { qos: 1 }).then(
      () => 0,
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
    );
  expect(await refusedWith(`v1/${other}/d1/telemetry`)).toBe(reason.notAuthorized);
  expect(await refusedWith(`v1/${building}/d1/commands/c1`)).toBe(reason.notAuthorized);
  expect(await refusedWith(`v1/${building}/d1/telemetry/x`)).toBe(reason.topicNameInvalid);
  expect(await refusedWith(`v1/${building}/d1/status`, 'asleep')).toBe(0x99);
  expect(await refusedWith(`v1/${building}/d1/telemetry`)).toBe(0);
  const granted = await client
    .subscribeAsync(['#', `v1/${other}/#`, `v1/+/d1/telemetry`, `v1/${building}/#`], { qos: 1 })
    .catch((error: unknown) => error);
  expect(granted).toBeInstanceOf(Error);
  const heard = heardBy(client);
  await client.publishAsync(`v1/${building}/d1/telemetry`, 'mine', { qos: 1 });
  await waitFor('its own message', () => heard.length === 1);
  expect(heard).toEqual([`v1/${building}/d1/telemetry mine`]);
  await client.endAsync();
  expect(await valuesOf('telemetry', other)).toEqual([]);
});

test('3.1.1 clients are served, and disconnected where they overstep', async () => {
  const { building, client } = await declared({ protocolVersion: 4 });
  await client.publishAsync(`v1/${building}/d1/telemetry`, 'x', { qos: 1 });
  const closed = new Promise((resolve) => {
    client.on('close', () => resolve('closed'));
  });
  client.publish(`v1/de-other/d1/telemetry`, 'x', { qos: 1 });
  expect(await closed).toBe('closed');
  await client.endAsync(true);
});

test('a command goes to the subscribed gateway, and again until a state says that it has it', async () => {
  const building = freshBuilding();
  await house.declare(building);
  const options = { clientId: 'gw-1' };
  const send = (id: string, inMs: number) => {
    const record: CommandRecord = {
      id,
      building,
      device: 'd1',
      set: { on: true },
      expiresAt: new Date(Date.now() + inMs).toISOString(),
      acceptedAtMs: Date.now(),
      by: 'someone',
      idempotencyKey: null,
    };
    return house.write('commands', building, record);
  };
  await send('early', 60_000);
  await send('expired', -1000);
  const filter = `v1/${building}/+/commands/+`;
  const first = await house.clientSoon(building, options);
  const heardFirst = heardBy(first);
  await first.subscribeAsync(filter, { qos: 1 });
  await waitFor('the command', () => heardFirst.length === 1);
  expect(heardFirst[0]).toMatch(
    new RegExp(
      `^v1/${building}/d1/commands/early {"id":"early","set":{"on":true},"expiresAt":"2[^"]+Z","acceptedAt":\\d+}$`,
    ),
  );
  await send('live', 60_000);
  await waitFor('the live command', () => heardFirst.length === 2);
  await first.endAsync();

  const second = await house.clientSoon(building, options);
  const heardSecond = heardBy(second);
  await second.subscribeAsync(filter, { qos: 1 });
  await waitFor('both again', () => heardSecond.length === 2);
  const state = { id: 'early', state: 'delivered', at: new Date().toISOString() };
  await second.publishAsync(`v1/${building}/d1/command-states/early`, JSON.stringify(state), {
    qos: 1,
  });
  expect(await valuesOf('command-states', building)).toEqual([
    JSON.stringify({ id: 'early', building, device: 'd1', state: 'delivered', at: state.at }),
  ]);
  await second.endAsync();

  await house.stop();
  await house.start();
  const third = await house.clientSoon(building, options);
  const heardThird = heardBy(third);
  await third.subscribeAsync(filter, { qos: 1 });
  await waitFor('the undelivered one', () => heardThird.length > 0);
  await wait(300);
  expect(heardThird.map((each) => each.split(' ')[0])).toEqual([`v1/${building}/d1/commands/live`]);
  await third.endAsync();
});

test('a status is retained over a restart, and a lost gateway is offline by its will', async () => {
  const building = freshBuilding();
  await house.declare(building);
  const topic = `v1/${building}/gateway/status`;
  const at = '2026-11-23T07:00:00.000Z';
  const status = (state: string) => JSON.stringify({ state, at });
  const will = { topic, payload: Buffer.from(status('offline')), qos: 1 as const, retain: true };
  const gateway = await house.clientSoon(building, { clientId: 'gw', will });
  await gateway.publishAsync(topic, status('online'), { qos: 1, retain: true });
  await gateway.publishAsync(`v1/${building}/d1/status`, status('online'), {
    qos: 1,
    retain: true,
  });
  const watcher = await house.clientSoon(building, { clientId: 'watcher' });
  const heard = heardBy(watcher);
  await watcher.subscribeAsync(`v1/${building}/+/status`, { qos: 1 });
  await waitFor('both', () => heard.length === 2);
  expect(heard.toSorted()).toEqual([
    `v1/${building}/d1/status ${status('online')} retained`,
    `${topic} ${status('online')} retained`,
  ]);
  gateway.stream.destroy();
  await waitFor('the will', () => heard.length === 3);
  expect(heard[2]).toBe(`${topic} ${status('offline')}`);
  await Promise.all([gateway.endAsync(true), watcher.endAsync()]);

  await house.stop();
  await house.start();
  const later = await house.clientSoon(building, { clientId: 'watcher' });
  const heardLater = heardBy(later);
  await later.subscribeAsync(`v1/${building}/+/status`, { qos: 1 });
  await waitFor('both', () => heardLater.length === 2);
  expect(heardLater.toSorted()).toEqual([
    `v1/${building}/d1/status ${status('online')} retained`,
    `${topic} ${status('offline')} retained`,
  ]);
  await later.endAsync();
});

test('a will must be allowed to its client', async () => {
  const building = freshBuilding();
  await house.declare(building);
  await house.clientSoon(building).then((client) => client.endAsync());
  const will = {
    topic: 'v1/de-other/gateway/status',
    payload: Buffer.from('{}'),
    qos: 1 as const,
    retain: true,
  };
  await expect(house.client(building, { will })).rejects.toMatchObject({
    code: reason.notAuthorized,
  });
});

test('a building has so many connections, and others theirs', async () => {
  const { building, client } = await declared({ clientId: '0' });
  const more = await Promise.all(
    ['1', '2', '3'].map((clientId) => house.client(building, { clientId })),
  );
  await expect(house.client(building, { clientId: '4' })).rejects.toMatchObject({
    code: reason.quotaExceeded,
  });
  const { client: other } = await declared();
  await Promise.all([client, other, ...more].map((each) => each.endAsync()));
});

test('a building over its rate is held back, loses nothing and slows nobody', async () => {
  const { building, client } = await declared();
  const { building: other, client: calm } = await declared();
  const from = performance.now();
  const flood = Array.from({ length: 1600 }, (_, index) =>
    client.publishAsync(`v1/${building}/d1/telemetry`, `${index}`, { qos: 1 }),
  );
  for (let each = 0; each < 10; each += 1) {
    await calm.publishAsync(`v1/${other}/d1/telemetry`, `${each}`, { qos: 1 });
  }
  const calmMs = performance.now() - from;
  await Promise.all(flood);
  const floodMs = performance.now() - from;
  // A thousand at once, then five hundred a second.
  expect(floodMs).toBeGreaterThan(1150);
  expect(calmMs).toBeLessThan(floodMs);
  expect(await valuesOf('telemetry', building)).toEqual(
    Array.from(flood, (_, index) => `${index}`),
  );
  expect(await house.metrics()).toMatch(/mqtt_holds_total{[^}]*} [1-9]/);
  await Promise.all([client.endAsync(), calm.endAsync()]);
});

test('a session that is taken over goes on with the newer client', async () => {
  const { building, client } = await declared({ clientId: 'gw' });
  const ended = new Promise((resolve) => {
    client.on('disconnect', ({ reasonCode }) => resolve(reasonCode));
  });
  const newer = await house.client(building, { clientId: 'gw' });
  expect(await ended).toBe(reason.sessionTakenOver);
  // The same client id in another building is another session.
  const { client: other } = await declared({ clientId: 'gw' });
  await newer.publishAsync(`v1/${building}/d1/telemetry`, 'newer', { qos: 1 });
  await Promise.all([newer.endAsync(), other.endAsync(), client.endAsync(true)]);
});

test('a stop acks what was taken, tells the clients, and everything acked is in Kafka', async () => {
  const { building, client } = await declared();
  const acked: string[] = [];
  let disconnectedWith: number | undefined;
  client.on('disconnect', ({ reasonCode }) => {
    disconnectedWith = reasonCode;
  });
  let sent = 0;
  const sending = setInterval(() => {
    const payload = `${sent}`;
    sent += 1;
    client
      .publishAsync(`v1/${building}/d1/telemetry`, payload, { qos: 1 })
      .then(() => acked.push(payload))
      .catch(() => undefined);
  }, 1);
  await waitFor('some acks', () => acked.length > 50);
  const stopped = house.stop();
  await stopped;
  clearInterval(sending);
  await waitFor('the good-bye', () => disconnectedWith !== undefined);
  await client.endAsync(true);
  expect(disconnectedWith).toBe(reason.serverShuttingDown);
  const kept = new Set(await valuesOf('telemetry', building));
  expect(acked.filter((payload) => !kept.has(payload))).toEqual([]);
  await house.start();
});

test('the connack says what the broker keeps to', async () => {
  const building = freshBuilding();
  await house.declare(building);
  const connacks: IConnackPacket[] = [];
  const client = await house.clientSoon(building);
  client.on('connect', (connack) => connacks.push(connack));
  await new Promise((resolve) => {
    client.once('connect', resolve);
    client.reconnect();
  });
  expect(connacks[0]?.properties).toMatchObject({
    maximumPacketSize: 262_144,
  });
  await client.endAsync();
});

test('the admin port tells when the broker is ready, and what it does', async () => {
  const ready = await fetch(`${house.broker.adminUrl}/readyz`);
  expect([ready.status, (await fetch(`${house.broker.adminUrl}/livez`)).status]).toEqual([
    200, 200,
  ]);
  const metrics = await house.metrics();
  for (const name of [
    'mqtt_publish_ack_seconds',
    'mqtt_connections',
    'mqtt_in_flight_messages',
    'mqtt_connects_refused_total',
  ]) {
    expect(metrics.match(`# TYPE ${name}`)?.[0]).toBe(`# TYPE ${name}`);
  }
  expect(house.failures).toEqual([]);
});
