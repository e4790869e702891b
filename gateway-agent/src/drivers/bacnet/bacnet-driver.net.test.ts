import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseDeviceId } from '@domicile/core/identities.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../test-agent.ts';
import { TestHost } from '../driver-kit.ts';
import { type PolledPeer, pollPromises } from '../poll-kit.ts';
import { startBacnetDriver } from './bacnet-driver.ts';
import { bacnetSettings } from './bacnet-settings.ts';
import { BacnetPeer } from './test-peer.ts';

let peer: BacnetPeer;
beforeAll(async () => {
  peer = await BacnetPeer.start();
}, 120_000);
afterAll(() => peer[Symbol.asyncDispose]());

const device = parseDeviceId('r101-meter');
const meter = {
  temperature: { object: 'analog-input:1' },
  target_temperature: { object: 'analog-value:1', write: true },
};

/** Below what Linux gives to others that ask for any. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const probe = createSocket('udp4');
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.bind(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise<void>((resolve) => probe.close(() => resolve()));
    if (isFree) return port;
  }
}

async function settings(devices: Record<string, unknown>[], more: object = {}) {
  const parsed = bacnetSettings.parse({
    host: '127.0.0.1',
    port: await freePort(),
    timeoutMs: 200,
    retriesMax: 0,
    backOffMsMax: 500,
    maps: { meter },
    devices,
    ...more,
  });
  return parsed;
}

/** Faster than a setting can say. */
async function quickSettings(devices: Record<string, unknown>[], more: object = {}) {
  const parsed = await settings(devices, more);
  return { ...parsed, devices: parsed.devices.map((one) => ({ ...one, every: 100 })) };
}

const both = () => [
  { device: 'r101-meter', address: `127.0.0.1:${peer.ports['1']}`, map: 'meter' },
  { device: 'r102-meter', address: `127.0.0.1:${peer.ports['2']}`, map: 'meter' },
];

const underTest: PolledPeer = {
  measure: (value) => peer.set(1, 'temperature', value),
  silence: (isSilent) => peer.quiet(...(isSilent ? [1] : [])),
  target: () => peer.get(1, 'target'),
  start: async (host) => startBacnetDriver(await quickSettings(both()), host),
  [Symbol.asyncDispose]: () => peer.quiet(),
};

test.each(pollPromises)('$promise', async ({ prove }) => {
  await using fresh = underTest;
  await expect(prove(fresh)).resolves.toBeUndefined();
});

const readings = (host: TestHost) => host.payloads.map((text): unknown => JSON.parse(text));

const everything = {
  ...meter,
  open: { object: 'binary-input:1' },
  heating: { object: 'binary-value:1', write: true },
  missing: { object: 'analog-input:77' },
};

test.each([
  ['in one question', [], 'ReadPropertyMultipleRequest'],
  ['one by one, where a device takes no other question', [1], 'ReadPropertyRequest'],
])('objects are read %s; what is missing harms nothing', async (_how, plain, question) => {
  await peer.plain(...plain);
  await peer.set(1, 'temperature', 22.5);
  await peer.set(1, 'open', 'active');
  await peer.asked();
  const host = new TestHost();
  const [one] = both();
  {
    await using _driver = await startBacnetDriver(
      await quickSettings([{ ...one, objects: everything }], { timeoutMs: 5000 }),
      host,
    );
    await until(() => host.taken.length >= 2);
  }
  expect(readings(host)[1]).toMatchObject({
    values: { temperature: 22.5, open: true, heating: false },
  });
  expect((await host.refused())['object']).toBeGreaterThan(0);
  expect((await peer.asked()).at(-1)).toEqual([1, question]);
  await peer.plain();
});

test('a command sets analog and binary values, and the device’s own word is believed', async () => {
  const host = new TestHost();
  const [one] = both();
  await using driver = await startBacnetDriver(
    await quickSettings([{ ...one, objects: everything }], { timeoutMs: 5000 }),
    host,
  );
  await until(() => driver.drives(device));
  const set = { target_temperature: 21.4, heating: true };
  expect(await driver.apply({ id: 'c1', device, set })).toEqual({ state: 'applied' });
  expect(await peer.get(1, 'target')).toBeCloseTo(21.4, 5);
  expect(await peer.get(1, 'heating')).toBe(1);
});

test.each(['confirmed', 'unconfirmed'] as const)(
  'a %s change of value comes at once, long before the next question',
  async (cov) => {
    await peer.set(1, 'temperature', 20);
    const host = new TestHost();
    const [one] = both();
    await using _driver = await startBacnetDriver(await settings([{ ...one, cov }]), host);
    await until(() => host.taken.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await peer.set(1, 'temperature', 25);
    const isChanged = () => host.payloads.some((text) => text.includes('{"temperature":25}'));
    expect(await until(isChanged)).toBe(true);
  },
);

test('a confirmed change of value is confirmed only when it is on disk: until then the device tells it again', async () => {
  await peer.set(1, 'temperature', 20);
  const host = new TestHost();
  const [one] = both();
  await using _driver = await startBacnetDriver(
    await settings([{ ...one, cov: 'confirmed' }]),
    host,
  );
  await until(() => host.taken.length > 2);
  host.keep = async () => {
    throw new PlatformError('STORE_FULL', 'Cannot keep readings: the store is full');
  };
  await peer.set(1, 'temperature', 26);
  const refusals = async () => (await host.refused())['store'] ?? 0;
  const from = performance.now();
  while ((await refusals()) === 0 && performance.now() - from < 20_000)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await refusals()).toBeGreaterThan(0);
  host.keep = async () => undefined;
  await until(() => host.payloads.some((text) => text.includes('"temperature":26')));
});

test('settings say where they are wrong', () => {
  const address = '10.0.0.1';
  const read = bacnetSettings.safeParse({
    devices: [
      { device: 'r1', address },
      { device: 'r1', address, map: 'none' },
      { device: 'r2', address: 'ahu.example', objects: everything },
    ],
  });
  const told = read.error?.issues.map(({ path }) => path.join('.'));
  expect(told).toContain('devices.2.address');
});
