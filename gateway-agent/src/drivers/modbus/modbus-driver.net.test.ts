import { createServer } from 'node:net';
import { parseDeviceId } from '@domicile/core/identities.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../test-agent.ts';
import { TestHost } from '../driver-kit.ts';
import { type PolledPeer, pollPromises } from '../poll-kit.ts';
import { startModbusDriver } from './modbus-driver.ts';
import { modbusSettings } from './modbus-settings.ts';
import { ModbusPeer } from './test-peer.ts';

let peer: ModbusPeer;
beforeAll(async () => {
  peer = await ModbusPeer.start();
}, 120_000);
afterAll(() => peer[Symbol.asyncDispose]());

const device = parseDeviceId('r101-meter');
const meter = {
  temperature: { address: 0, type: 'int16', scale: 0.1 },
  target_temperature: { address: 1, scale: 0.1, write: true },
};

function settings(line: object, maps: object = { meter }) {
  const parsed = modbusSettings.parse({
    maps,
    lines: [{ host: '127.0.0.1', port: peer.port, timeoutMs: 200, backOffMsMax: 500, ...line }],
  });
  // Faster than a setting can say.
  const lines = parsed.lines.map((one) => ({
    ...one,
    devices: one.devices.map((of) => ({ ...of, every: 100 })),
  }));
  return { ...parsed, lines };
}

const both = [
  { device: 'r101-meter', unit: 1, map: 'meter' },
  { device: 'r102-meter', unit: 2, map: 'meter' },
];

const underTest: PolledPeer = {
  measure: (value) => peer.set(1, [3, 0], [Math.round(value * 10)]),
  silence: (isSilent) => peer.silence(...(isSilent ? [1] : [])),
  target: async () => (await peer.get(1, [3, 1], 1)).map((word) => word / 10)[0] ?? NaN,
  start: (host) => startModbusDriver(settings({ devices: both }), host),
  [Symbol.asyncDispose]: () => peer.silence(),
};

test.each(pollPromises)('$promise', async ({ prove }) => {
  await using fresh = underTest;
  await expect(prove(fresh)).resolves.toBeUndefined();
});

const valuesIn = (host: TestHost) => host.payloads.map((text): unknown => JSON.parse(text)).at(-1);

test('every table and type is read, in as few requests as may be', async () => {
  await peer.set(1, [3, 10], [0x41ab, 0x3333, 0xfffe, 0xffff, 0b0101_0000]);
  await peer.set(1, [4, 0], [0x0001, 0x0002]);
  await peer.set(1, [1, 5], [true]);
  await peer.set(1, [2, 7], [true]);
  const registers = {
    power: { address: 10, type: 'float32', from: 'kW', to: 'W' },
    delta: { address: 12, type: 'int32', words: 'little' },
    level: { address: 14, type: 'bitfield', bit: 4, bits: 3 },
    alarm: { address: 14, type: 'bool', bit: 4 },
    energy: { table: 'input', address: 0, type: 'uint32' },
    heating: { table: 'coil', address: 5 },
    open: { table: 'discrete', address: 7 },
  };
  const host = new TestHost();
  await peer.asked();
  {
    await using _driver = await startModbusDriver(
      settings({ timeoutMs: 5000, devices: [{ device: 'r101-meter', registers }] }),
      host,
    );
    await until(() => host.taken.length > 0);
  }
  expect(valuesIn(host)).toMatchObject({
    values: {
      power: 21_400,
      delta: -2,
      level: 5,
      alarm: true,
      energy: 0x1_0002,
      heating: true,
      open: true,
    },
  });
  const asked = (await peer.asked()).slice(0, 4).map(([, code]) => code);
  expect(new Set(asked)).toEqual(new Set([1, 2, 3, 4]));
});

test('a device with gaps is asked register by register, and what it has not is told once and counted', async () => {
  const registers = {
    temperature: { address: 195, type: 'int16' },
    missing: { address: 202, type: 'int16' },
  };
  await peer.set(1, [3, 195], [21]);
  const host = new TestHost();
  await using _driver = await startModbusDriver(
    settings({ timeoutMs: 5000, devices: [{ device: 'r101-meter', registers }] }),
    host,
  );
  await until(() => host.taken.length > 2);
  expect(valuesIn(host)).toMatchObject({ values: { temperature: 21 } });
  expect((await host.refused())['register']).toBeGreaterThan(0);
  expect(host.statuses).toEqual(['r101-meter online']);
});

test('two words and a coil are set, and the device’s own word is believed', async () => {
  const registers = {
    setpoint: { address: 20, type: 'float32', words: 'little', write: true },
    heating: { table: 'coil', address: 9, write: true },
    level: { address: 22, multiple: true, write: true },
    nowhere: { address: 300, write: true },
  };
  const host = new TestHost();
  await using driver = await startModbusDriver(
    settings({ timeoutMs: 5000, devices: [{ device: 'r101-meter', registers }] }),
    host,
  );
  await until(() => driver.drives(device));
  const set = { setpoint: 21.4, heating: true, level: 7 };
  expect(await driver.apply({ id: 'c1', device, set })).toEqual({ state: 'applied' });
  expect(await peer.get(1, [3, 20], 3)).toEqual([0x3333, 0x41ab, 7]);
  expect(await peer.get(1, [1, 9], 1)).toEqual([1]);
  expect(await driver.apply({ id: 'c2', device, set: { nowhere: 1 } })).toEqual({
    state: 'failed',
    reason: 'exception 2: the device has no such register',
  });
});

test('a line that nobody answers is tried less and less, and harms no other line', async () => {
  const dead = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve));
  const address = dead.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const one = settings({ port, devices: [{ device: 'r109-meter', map: 'meter' }] });
  const two = settings({ devices: both });
  const host = new TestHost();
  {
    await using driver = await startModbusDriver(
      { maps: two.maps, lines: [...one.lines, ...two.lines] },
      host,
    );
    await until(() => host.statuses.includes('r109-meter offline') && host.taken.length > 5);
    const away = parseDeviceId('r109-meter');
    expect(driver.drives(away)).toBe(false);
    const command = { id: 'c1', device: away, set: { target_temperature: 20 } };
    expect(await driver.apply(command)).toMatchObject({
      state: expect.stringMatching(/failed|unknown/),
    });
  }
  expect(host.failures).toEqual([]);
  await new Promise((resolve) => dead.close(resolve));
});

test('settings say where they are wrong', () => {
  const line = { host: 'x', devices: [{ device: 'r1' }, { device: 'r1', map: 'none' }] };
  const read = modbusSettings.safeParse({ lines: [line] });
  expect(read.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
    'lines.0.devices.0: needs a map or registers',
    'lines.0.devices.1.map: there is no map none',
    'lines.0.devices.1.device: r1 is there already',
  ]);
});
