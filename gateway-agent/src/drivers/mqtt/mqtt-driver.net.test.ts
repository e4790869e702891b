import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseDeviceId } from '@domicile/core/identities.ts';
import { type IClientOptions, type MqttClient, connectAsync } from 'mqtt';
import { generate } from 'mqtt-packet';
import { afterAll, expect, test } from 'vitest';
import { lanRulesSchema } from '../../model/lan-rule-schema.ts';
import { testBuilding, until } from '../../test-agent.ts';
import { type DriverUnderTest, TestHost, driverPromises } from '../driver-kit.ts';
import { type MqttDriverConfig, startMqttDriver } from './mqtt-driver.ts';

const directory = await mkdtemp(join(tmpdir(), 'gateway-mqtt-'));
afterAll(() => rm(directory, { recursive: true, force: true }));

function local() {
  return {
    host: '127.0.0.1',
    port: 0,
    answerTimeoutMs: 300,
    directory: join(directory, randomUUID()),
  };
}

const topic = `v1/${testBuilding}/r101-air/telemetry`;
const reading = '{"values":{"co2":612}}';
const device = parseDeviceId('r101-thermostat');

function client(port: number | undefined, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, ...options });
}

function kit(protocolVersion: 4 | 5): DriverUnderTest {
  return {
    name: `mqtt ${protocolVersion === 5 ? '5' : '3.1.1'}`,
    start: (host) => startMqttDriver(local(), host),
    device: async ({ port }) => {
      let connected = await client(port, { protocolVersion });
      return {
        send: async (payload) => {
          if (!connected.connected) connected = await client(port, { protocolVersion });
          return isAcked(connected, payload);
        },
        [Symbol.asyncDispose]: () => connected.endAsync(true),
      };
    },
  };
}

/** In 3.1.1 a refusal is the end of the connection. */
async function isAcked(sender: MqttClient, payload: string): Promise<boolean> {
  const closed = new Promise<boolean>((resolve) => sender.once('close', () => resolve(false)));
  const acked = sender.publishAsync(topic, payload, { qos: 1 }).then(
    () => true,
    () => false,
  );
  return Promise.race([acked, closed]);
}

test.each(driverPromises)('MQTT 3.1.1: $promise', async ({ prove }) => {
  await expect(prove(kit(4))).resolves.toBeUndefined();
});
test.each(driverPromises)('MQTT 5: $promise', async ({ prove }) => {
  await expect(prove(kit(5))).resolves.toBeUndefined();
});

async function started(config: Partial<MqttDriverConfig> = {}) {
  const host = new TestHost();
  return { host, driver: await startMqttDriver({ ...local(), ...config }, host) };
}

test('a device that does not know its building is understood', async () => {
  const { host, driver } = await started();
  await using mqtt = driver;
  const sender = await client(mqtt.port);
  await sender.publishAsync('r101-air/telemetry', reading, { qos: 1 });
  await sender.publishAsync('r101-air/backfill', reading, { qos: 2 });
  await sender.publishAsync('r101-air/status', '{"state":"online"}', { qos: 1 });
  await sender.endAsync();
  expect(host.taken.map(({ device: of, history }) => [of, history])).toEqual([
    ['r101-air', false],
    ['r101-air', true],
  ]);
  expect(host.statuses).toEqual(['r101-air online']);
});

test('another building, another kind and no topic at all are refused by code', async () => {
  const { host, driver } = await started();
  await using mqtt = driver;
  const sender = await client(mqtt.port, { protocolVersion: 5 });
  const codeOf = async (of: string) =>
    sender.publishAsync(of, reading, { qos: 1 }).then(
      () => 0,
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : -1),
    );
  expect(await codeOf('v1/us-other/r101-air/telemetry')).toBe(0x87);
  expect(await codeOf(`v1/${testBuilding}/gateway/account`)).toBe(0x87);
  expect(await codeOf('anything/else/at/all')).toBe(0x90);
  expect(await codeOf(topic)).toBe(0);
  await sender.endAsync();
  expect(host.taken).toHaveLength(1);
});

test('a retry on a resumed session is kept once; the same payload sent anew is kept again', async () => {
  const { host, driver } = await started();
  await using mqtt = driver;
  const disk = Promise.withResolvers<void>();
  let asked = 0;
  host.keep = () => {
    asked += 1;
    return disk.promise;
  };
  const options: IClientOptions = {
    clientId: 'pump',
    clean: false,
    reconnectPeriod: 20,
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 60 },
  };
  const sender = await client(mqtt.port, options);
  const sent = sender.publishAsync(topic, reading, { qos: 1 });
  await until(() => asked === 1);
  sender.stream.destroy();
  await until(() => sender.connected);
  await new Promise((resolve) => setTimeout(resolve, 100));
  disk.resolve();
  await sent;
  expect(host.taken).toHaveLength(1);
  await sender.publishAsync(topic, reading, { qos: 1 });
  expect(host.taken).toHaveLength(2);
  await sender.endAsync(true);
});

test('a retry is known also of a client that began anew in between', async () => {
  const { host, driver } = await started();
  await using mqtt = driver;
  const disk = Promise.withResolvers<void>();
  let asked = 0;
  host.keep = () => {
    asked += 1;
    return disk.promise;
  };
  const protocolVersion = 5;
  const open = async (clean: boolean): Promise<Socket> => {
    const socket = connect(mqtt.port ?? 0, '127.0.0.1');
    const properties = { sessionExpiryInterval: 60 };
    const hello = { cmd: 'connect', protocolId: 'MQTT', clientId: 'pump' } as const;
    socket.write(generate({ ...hello, protocolVersion, clean, properties }));
    await once(socket, 'data');
    return socket;
  };
  const publish = (dup: boolean) =>
    generate(
      { cmd: 'publish', topic, payload: reading, qos: 1, messageId: 7, dup, retain: false },
      { protocolVersion },
    );
  (await open(false)).destroy();
  const anew = await open(true);
  anew.write(publish(false));
  await until(() => asked === 1);
  anew.destroy();
  const again = await open(false);
  again.write(publish(true));
  // What comes behind it on the same connection is answered behind it.
  disk.resolve();
  await once(again, 'data');
  expect(host.taken).toHaveLength(1);
  again.destroy();
});

test('who comes with a wrong password is refused', async () => {
  const { driver } = await started({ passwords: { pump: 'right' } });
  await using mqtt = driver;
  const as = (username: string, password: string) => client(mqtt.port, { username, password });
  await expect(as('pump', 'wrong')).rejects.toThrow(/refused/);
  await expect(as('constructor', 'right')).rejects.toThrow(/refused/);
  await expect(client(mqtt.port)).rejects.toThrow(/refused/);
  const sender = await as('pump', 'right');
  await sender.publishAsync(topic, reading, { qos: 1 });
  await sender.endAsync();
});

test.each([
  ['applied', { state: 'applied' }],
  ['failed', { state: 'failed', reason: 'stuck' }],
])('a command reaches its device, and %s is its word', async (_state, outcome) => {
  const { driver } = await started({ answerTimeoutMs: 5000 });
  await using mqtt = driver;
  const thermostat = await client(mqtt.port);
  await thermostat.subscribeAsync(`${device}/commands/+`, { qos: 1 });
  const received = new Promise<string>((resolve) => {
    thermostat.once('message', (of, payload) => {
      resolve(payload.toString());
      const answer = JSON.stringify({ id: 'c1', at: Date.now(), ...outcome });
      thermostat.publish(of.replace('/commands/', '/command-states/'), answer, { qos: 1 });
    });
  });
  expect(mqtt.drives(device)).toBe(true);
  const set = { target_temperature: 22 };
  expect(await mqtt.apply({ id: 'c1', device, set })).toEqual(outcome);
  expect(JSON.parse(await received)).toEqual({ id: 'c1', set });
  await thermostat.endAsync();
});

test('a device that has the command and says nothing leaves it unknown; one that is away fails it', async () => {
  const { driver } = await started();
  await using mqtt = driver;
  expect(mqtt.drives(device)).toBe(false);
  expect(await mqtt.apply({ id: 'c1', device, set: {} })).toMatchObject({ state: 'failed' });
  const thermostat = await client(mqtt.port);
  await thermostat.subscribeAsync(`v1/${testBuilding}/${device}/commands/+`, { qos: 1 });
  expect(await mqtt.apply({ id: 'c2', device, set: {} })).toEqual({
    state: 'unknown',
    reason: 'the device did not answer',
  });
  await thermostat.endAsync();
});

const rules = lanRulesSchema.parse([
  {
    filter: 'tele/+/SENSOR',
    device: '{2}-air',
    values: { temperature: '/AM2301/Temperature' },
  },
  { filter: 'tele/+/LWT', device: '{2}-air', status: {} },
  { filter: 'sensors/+/temp', device: '{2}-air', values: { temperature: '' } },
  {
    filter: 'stat/+/RESULT',
    device: '{2}-thermostat',
    values: { target_temperature: '/Setpoint' },
    commands: { target_temperature: { topic: 'cmnd/{2}/Setpoint', payload: '{value}' } },
  },
]);
const names = { tasmota_1A2B: 'r101' };

test('a bought device is understood by rules: its values, its status, its will', async () => {
  const { host, driver } = await started({ rules, names });
  await using mqtt = driver;
  const will = { topic: 'tele/tasmota_1A2B/LWT', payload: Buffer.from('Offline'), retain: true };
  const tasmota = await client(mqtt.port, { will });
  await tasmota.publishAsync('tele/tasmota_1A2B/LWT', 'Online', { retain: true });
  const sensor = '{"Time":"2026-01-01T00:00:00","AM2301":{"Temperature":21.4}}';
  await tasmota.publishAsync('tele/tasmota_1A2B/SENSOR', sensor, { qos: 0 });
  await tasmota.publishAsync('sensors/r102/temp', '23.4', { qos: 1 });
  await tasmota.publishAsync('tele/tasmota_1A2B/STATE', '{"Uptime":1}', { qos: 1 });
  await until(() => host.taken.length === 2);
  expect(host.taken.map(({ device: of }) => of)).toEqual(['r101-air', 'r102-air']);
  expect(host.payloads).toEqual([
    '{"values":{"temperature":21.4}}',
    '{"values":{"temperature":23.4}}',
  ]);
  tasmota.stream.destroy();
  await until(() => host.statuses.length === 2);
  expect(host.statuses).toEqual(['r101-air online', 'r101-air offline']);
});

test('what does not fit a rule is counted and acked, and others are unharmed', async () => {
  const { host, driver } = await started({ rules, names });
  await using mqtt = driver;
  const sender = await client(mqtt.port);
  await sender.publishAsync('tele/Stranger_1/SENSOR', '{}', { qos: 1 });
  await sender.publishAsync('tele/tasmota_1A2B/SENSOR', '{', { qos: 1 });
  const warm = '{"AM2301":{"Temperature":{}}}';
  await sender.publishAsync('tele/tasmota_1A2B/SENSOR', warm, { qos: 2 });
  await sender.publishAsync('sensors/r102/temp', '23.4', { qos: 2 });
  await sender.endAsync();
  expect(host.payloads).toEqual(['{', '{"values":{"temperature":23.4}}']);
  expect(await host.refused()).toEqual({ rule: 3 });
});

test('what the store refuses of a rule’s message is refused, and taken when it comes again', async () => {
  const { host, driver } = await started({ rules });
  await using mqtt = driver;
  const sender = await client(mqtt.port, { protocolVersion: 5 });
  host.keep = async () => {
    throw new PlatformError('STORE_FULL', 'Cannot keep readings: the store is full');
  };
  const send = () => sender.publishAsync('sensors/r102/temp', '23.4', { qos: 1 });
  await expect(send()).rejects.toMatchObject({ code: 0x97 });
  host.keep = async () => undefined;
  await send();
  expect(host.taken).toHaveLength(1);
  await sender.endAsync();
});

interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
}

function hear(listener: MqttClient): Heard[] {
  const heard: Heard[] = [];
  listener.on('message', (of, payload, { qos, retain }) => {
    heard.push({ topic: of, payload: payload.toString(), qos, retain });
  });
  return heard;
}

test.each([0, 1, 2] as const)(
  'other topics go from device to device at QoS %i, and stay retained over a restart',
  async (qos) => {
    const kept = { otherTopics: 'relay' as const, directory: join(directory, randomUUID()) };
    const first = await started(kept);
    const of = `home/door-${qos}/state`;
    const listener = await client(first.driver.port, { protocolVersion: 5 });
    const heard = hear(listener);
    await listener.subscribeAsync('home/#', { qos: 2 });
    const sender = await client(first.driver.port, { protocolVersion: 4 });
    await sender.publishAsync(of, 'open', { qos, retain: true });
    await until(() => heard.some(({ topic: at }) => at === of));
    expect(heard.filter(({ topic: at }) => at === of)).toEqual([
      { topic: of, payload: 'open', qos, retain: false },
    ]);
    await Promise.all([listener.endAsync(), sender.endAsync()]);
    await first.driver[Symbol.asyncDispose]();
    const second = await started(kept);
    await using again = second.driver;
    const late = await client(again.port);
    const heardLate = hear(late);
    await late.subscribeAsync(of, { qos: 2 });
    await until(() => heardLate.length > 0);
    expect(heardLate).toEqual([{ topic: of, payload: 'open', qos, retain: true }]);
    await late.publishAsync(of, '', { qos: 1, retain: true });
    const later = await client(again.port);
    const heardLater = hear(later);
    await later.subscribeAsync('home/#');
    await later.publishAsync('home/end', 'x', { qos: 1 });
    await until(() => heardLater.some(({ topic: at }) => at === 'home/end'));
    expect(heardLater.filter(({ topic: at }) => at === of)).toEqual([]);
    await Promise.all([late.endAsync(), later.endAsync()]);
  },
);

test('the platform’s topics are not relayed, and reserved filters not granted', async () => {
  const { driver } = await started({ otherTopics: 'relay' });
  await using mqtt = driver;
  const listener = await client(mqtt.port, { protocolVersion: 5 });
  const heard = hear(listener);
  const refused = /Not authorized/i;
  await listener.subscribeAsync('#', { qos: 1 });
  await listener.publishAsync(topic, reading, { qos: 1 });
  await listener.publishAsync('home/x', 'y', { qos: 1 });
  await until(() => heard.length > 0);
  expect(heard.map(({ topic: at }) => at)).toEqual(['home/x']);
  await expect(listener.subscribeAsync('v1/us-other/#', { qos: 1 })).rejects.toThrow(refused);
  await expect(listener.subscribeAsync('$SYS/#', { qos: 1 })).rejects.toThrow(refused);
  expect(mqtt.drives(device)).toBe(false);
  await listener.endAsync();
});

const thermostatId = parseDeviceId('r101-thermostat');

test('a command by rule reaches the device’s own topic, and its report is its word', async () => {
  const { host, driver } = await started({ rules, names, answerTimeoutMs: 5000 });
  await using mqtt = driver;
  expect(mqtt.drives(thermostatId)).toBe(false);
  const tasmota = await client(mqtt.port);
  await tasmota.subscribeAsync('cmnd/tasmota_1A2B/#', { qos: 1 });
  expect(host.reached).not.toEqual([]);
  expect(mqtt.drives(thermostatId)).toBe(true);
  const heard = hear(tasmota);
  const set = { target_temperature: 21.5 };
  const outcome = mqtt.apply({ id: 'c1', device: thermostatId, set });
  await until(() => heard.length > 0);
  expect(heard).toMatchObject([{ topic: 'cmnd/tasmota_1A2B/Setpoint', payload: '21.5' }]);
  const report = (value: number) =>
    tasmota.publishAsync('stat/tasmota_1A2B/RESULT', JSON.stringify({ Setpoint: value }));
  await report(19);
  await report(21.5);
  expect(await outcome).toEqual({ state: 'applied' });
  expect(await mqtt.apply({ id: 'c2', device: thermostatId, set: { mode: 'eco' } })).toEqual({
    state: 'failed',
    reason: 'no rule sets mode',
  });
  await tasmota.endAsync();
});

test('a device that never reports what it was set to leaves the command unknown; a stop ends the wait', async () => {
  const { driver } = await started({ rules, answerTimeoutMs: 200 });
  await using mqtt = driver;
  const listener = await client(mqtt.port);
  await listener.subscribeAsync('cmnd/r101/#', { qos: 1 });
  const set = { target_temperature: 21.5 };
  expect(await mqtt.apply({ id: 'c1', device: thermostatId, set })).toEqual({
    state: 'unknown',
    reason: 'the device did not report it',
  });
  await listener.endAsync();
  const slow = await started({ rules, answerTimeoutMs: 60_000 });
  const other = await client(slow.driver.port);
  await other.subscribeAsync('cmnd/r101/#', { qos: 1 });
  const outcome = slow.driver.apply({ id: 'c2', device: thermostatId, set });
  await slow.driver[Symbol.asyncDispose]();
  expect(await outcome).toEqual({ state: 'unknown', reason: 'the agent stopped' });
  await other.endAsync(true);
});

test('of a connection that this agent half-closed QoS 0 is taken, QoS 1 and its will are not', async () => {
  const host = new TestHost();
  const sockets: Socket[] = [];
  const listen = host.listen.bind(host);
  host.listen = async (name, at) => {
    const server = await listen(name, at);
    server.on('connection', (socket: Socket) => void sockets.push(socket));
    return server;
  };
  await using mqtt = await startMqttDriver({ ...local(), rules }, host);
  const raw = connect({ port: mqtt.port ?? 0, host: '127.0.0.1', allowHalfOpen: true });
  const will = { topic: 'tele/r101/LWT', payload: 'Offline', qos: 0 as const, retain: false };
  raw.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId: 'pump',
      keepalive: 60,
      will,
    }),
  );
  await once(raw, 'data');
  sockets[0]?.end();
  raw.resume();
  await once(raw, 'end');
  const publish = (qos: 0 | 1, payload: string) =>
    raw.write(
      generate({
        cmd: 'publish',
        topic: 'sensors/r101/temp',
        payload,
        qos,
        messageId: 7,
        dup: false,
        retain: false,
      }),
    );
  publish(0, '1');
  publish(1, '2');
  publish(0, '3');
  raw.end();
  await until(() => sockets[0]?.destroyed);
  await until(() => host.taken.length === 2);
  expect(host.payloads).toEqual(['{"values":{"temperature":1}}', '{"values":{"temperature":3}}']);
  expect(host.statuses).toEqual([]);
});
