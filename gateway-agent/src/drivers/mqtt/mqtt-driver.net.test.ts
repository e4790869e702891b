import { parseDeviceId } from '@domicile/core/identities.ts';
import { type IClientOptions, type MqttClient, connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { testBuilding, until } from '../../test-agent.ts';
import { type DriverUnderTest, TestHost, driverPromises } from '../driver-kit.ts';
import { type MqttDriverConfig, startMqttDriver } from './mqtt-driver.ts';

const local = { host: '127.0.0.1', port: 0, answerTimeoutMs: 300 };
const topic = `v1/${testBuilding}/r101-air/telemetry`;
const reading = '{"values":{"co2":612}}';
const device = parseDeviceId('r101-thermostat');

function client(port: number | undefined, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, ...options });
}

function kit(protocolVersion: 4 | 5): DriverUnderTest {
  return {
    name: `mqtt ${protocolVersion === 5 ? '5' : '3.1.1'}`,
    start: (host) => startMqttDriver(local, host),
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
  return { host, driver: await startMqttDriver({ ...local, ...config }, host) };
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
  host.keep = () => disk.promise;
  const options: IClientOptions = {
    clientId: 'pump',
    clean: false,
    reconnectPeriod: 20,
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 60 },
  };
  const sender = await client(mqtt.port, options);
  const sent = sender.publishAsync(topic, reading, { qos: 1 });
  await new Promise((resolve) => setTimeout(resolve, 100));
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
  const { driver } = await started();
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
