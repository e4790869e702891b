import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseDeviceId } from '@domicile/core/identities.ts';
import { parseTelemetry } from '@domicile/core/telemetry.ts';
import { expect, test } from 'vitest';
import { type DeviceNumbers } from '../../model/numbering.ts';
import { testBuilding, testDirectory, until } from '../../test-agent.ts';
import { TestHost } from '../driver-kit.ts';
import { startSimulateDriver } from './simulate-driver.ts';
import { simulateSettings } from './simulate-settings.ts';

const noFaults = { stuck: 0, silent: 0, spikes: 0, skewed: 0, bursts: 0 };

/** A host that knows how far devices were numbered, as the store does. */
class NumberingHost extends TestHost {
  readonly #numbers = new Map<string, DeviceNumbers>();

  override numbersOf(device = ''): DeviceNumbers {
    return this.#numbers.get(device) ?? {};
  }

  override async take(taken: Parameters<TestHost['take']>[0]): Promise<void> {
    await super.take(taken);
    for (const { device, payload } of taken)
      for (const { boot, seq } of parseTelemetry(payload).readings)
        if (boot !== null && seq !== null)
          this.#numbers.set(device, { passed: { boot, next: seq + 1 } });
  }

  readings() {
    return this.taken.flatMap(({ device, payload, history = false }) =>
      parseTelemetry(payload).readings.map((one) => ({ device, history, ...one })),
    );
  }
}

test('100 devices of 25 rooms speak from one line of settings, by day and night as the store will have it', async () => {
  await using directory = await testDirectory();
  const host = new NumberingHost();
  await using _driver = await startSimulateDriver(simulateSettings.parse({}), directory.path, host);
  await until(() => host.readings().length >= 100 * 360);
  const readings = host.readings();
  expect(new Set(readings.map(({ device }) => device)).size).toBe(100);
  for (const { payload } of host.taken.slice(0, 2000))
    expect(parseTelemetry(payload).faults).toEqual([]);
  const start = readings.filter(({ history }) => history).map(({ atMs }) => atMs ?? 0);
  expect(Date.now() - Math.min(...start.slice(0, 100))).toBeGreaterThan(3_500_000);
});

test('killed and started again, no number is used twice, none is left out, and each has one meaning', async () => {
  await using directory = await testDirectory();
  const host = new NumberingHost();
  const settings = simulateSettings.parse({
    rooms: 'r1[01-03]',
    every: 'PT1S',
    history: 'PT30S',
    faults: { silent: 0.8, bursts: 0.5, skewed: 0.3, spikes: 0.1 },
  });
  for (let round = 0; round < 3; round += 1) {
    const before = host.taken.length;
    await using _driver = await startSimulateDriver(settings, directory.path, host);
    await until(() => host.taken.length > before + 10);
    await new Promise((resolve) => setTimeout(resolve, 1100));
  }
  for (const of of Map.groupBy(host.readings(), ({ device }) => device).values()) {
    expect(new Set(of.map(({ boot }) => boot)).size).toBe(1);
    const seqs = of.map(({ seq }) => seq ?? -1);
    expect(seqs).toEqual(Array.from(seqs, (_, index) => index));
  }
});

test('the same seed and time say the same', async () => {
  await using directory = await testDirectory();
  const said = async (seed: number) => {
    const host = new NumberingHost();
    const at = Date.parse('2026-11-23T10:00:00Z');
    Object.assign(host, { now: () => at });
    const settings = simulateSettings.parse({ rooms: 'r101', seed, history: 'PT10M' });
    await using _driver = await startSimulateDriver(settings, directory.path, host);
    await until(() => host.payloads.length >= 4 * 60);
    return host.payloads.slice(0, 4 * 60);
  };
  expect(await said(7)).toEqual(await said(7));
  expect(await said(7)).not.toEqual(await said(8));
});

test('a device with a wrong clock says a wrong time, and one that saves its radio several readings at once', async () => {
  await using directory = await testDirectory();
  const host = new NumberingHost();
  const settings = simulateSettings.parse({
    rooms: 'r1[01-05]',
    every: 'PT1S',
    history: 'none',
    faults: { ...noFaults, skewed: 0.5, bursts: 0.5 },
  });
  await using _driver = await startSimulateDriver(settings, directory.path, host);
  await until(() => host.taken.some(({ payload }) => payload[0] === '['.charCodeAt(0)), {
    timeoutMs: 30_000,
  });
  const off = () => host.readings().map(({ atMs }) => Math.abs((atMs ?? 0) - Date.now()));
  expect(await until(() => off().some((ms) => ms > 150_000))).toBe(true);
  expect(await until(() => off().some((ms) => ms < 60_000))).toBe(true);
});

const values = `
roomTypes: { hall: { heat: thermostat, meter: our-meter } }
deviceTypes: { our-meter: { metrics: { ph: { min: 0, max: 14 }, target: { min: 0, max: 10, settable: true } } } }
buildings:
  ${testBuilding}:
    client: acme
    timeZone: Europe/Berlin
    floors: { '1': { rooms: { hall: hall } } }
`;

test('a building’s own values file gives its devices; commands are kept over a restart and come back as states', async () => {
  await using directory = await testDirectory();
  const valuesFile = join(directory.path, 'values.yaml');
  await writeFile(valuesFile, values);
  const parts = { valuesFile, every: 'PT1S', history: 'none', faults: noFaults };
  const settings = simulateSettings.parse(parts);
  const host = new NumberingHost();
  const device = parseDeviceId('hall-heat');
  const said = (metric: string) =>
    host
      .readings()
      .flatMap(({ values: all }) => all.filter(([name]) => name === metric))
      .map(([, value]) => value)
      .at(-1);
  {
    await using driver = await startSimulateDriver(settings, directory.path, host);
    expect(driver.drives(device)).toBe(true);
    expect(driver.drives(parseDeviceId('r101-air'))).toBe(false);
    await until(() => said('target_temperature') === 21 && said('ph') !== undefined);
    const wanted = { target_temperature: 18.5, mode: 'eco' };
    expect(await driver.apply({ id: 'c1', device, set: wanted })).toEqual({ state: 'applied' });
    await until(() => said('target_temperature') === 18.5);
    const wrong = { id: 'c2', device, set: { target_temperature: 99 } };
    expect(await driver.apply(wrong)).toMatchObject({ state: 'failed' });
  }
  await using _again = await startSimulateDriver(settings, directory.path, host);
  const before = host.taken.length;
  await until(() => host.taken.length > before + 2);
  expect([said('target_temperature'), said('mode')]).toEqual([18.5, 'eco']);
  expect(await readFile(join(directory.path, 'set-points.json'), 'utf8')).toContain('eco');
});

test('what the store refuses is said again until it is kept', async () => {
  await using directory = await testDirectory();
  const host = new NumberingHost();
  let refusals = 0;
  host.keep = async () => {
    refusals += 1;
    if (refusals < 2) throw new PlatformError('STORE_FULL', 'Cannot keep readings: it is full');
  };
  const settings = simulateSettings.parse({ rooms: 'r101', history: 'PT1M', faults: noFaults });
  await using _driver = await startSimulateDriver(settings, directory.path, host);
  await until(() => host.readings().length >= 24);
  const air = host.readings().filter(({ device }) => device === 'r101-air');
  expect(air.map(({ seq }) => seq)).toEqual(Array.from(air, (_, index) => index));
});

test('a type that nobody knows ends the start, and says which', async () => {
  await using directory = await testDirectory();
  const settings = simulateSettings.parse({ rooms: 'r101', roomType: { x: 'no-such' } });
  await expect(startSimulateDriver(settings, directory.path, new TestHost())).rejects.toThrow(
    'Cannot simulate r101-x: there is no device type no-such',
  );
});
