import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commandStatePayload } from '@domicile/core/command.ts';
import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import { parseTelemetry } from '@domicile/core/telemetry.ts';
import { expect, test } from 'vitest';
import { configText, testAgent, testBuilding, testDirectory, until } from '../../test-agent.ts';
import { TestCell } from '../../test-cell.ts';

const occupancy = join(import.meta.dirname, '../../../../examples/occupancy');

async function mappingIn(directory: string, more: object): Promise<{ replay: object }> {
  const mapping = {
    files: ['datatest.txt', 'datatraining.txt', 'datatest2.txt'].map((file) =>
      join(occupancy, file),
    ),
    every: 'PT1S',
    history: 'PT1M',
    rooms: 'r1[01-03]',
    devices: {
      air: { temperature: 'Temperature', humidity: 'Humidity', co2: 'CO2' },
      presence: { occupied: { column: 'Occupancy', as: 'boolean' } },
    },
    ...more,
  };
  await writeFile(join(directory, 'replay.json'), JSON.stringify(mapping));
  return { replay: { mappingFile: 'replay.json' } };
}

const replayed = ['r101-air', 'r102-air', 'r103-presence'];

function seqsOf(
  readings: readonly { readonly device: string; readonly seq: number }[],
  device: string,
): readonly number[] {
  return readings.filter((one) => one.device === device).map(({ seq }) => seq);
}

test('the last minutes come as backfill, then one reading a tick, also over a restart, none twice or left out', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const drivers = await mappingIn(directory.path, {});
  const text = configText(cell.url, { drivers });
  for (const wanted of [370, 380]) {
    await using _agent = await testAgent(directory.path, text);
    // The newest come by another lane than the backlog, so what came may have gaps until all of it is there.
    const isWhole = () =>
      replayed.every((device) => {
        const seqs = seqsOf(cell.readings(), device);
        return Math.max(...seqs) < new Set(seqs).size;
      });
    await until(() => cell.readings().length > wanted && isWhole());
    if (wanted === 370) await new Promise((resolve) => setTimeout(resolve, 1500));
  }
  const readings = cell.readings();
  expect(new Set(readings.map(({ boot }) => boot)).size).toBe(1);
  expect(readings.filter(({ lane }) => lane === 'telemetry').length).toBeGreaterThan(5);
  for (const device of replayed) {
    const of = readings.filter((one) => one.device === device);
    const seqs = seqsOf(readings, device).toSorted((left, right) => left - right);
    expect(seqs).toEqual(Array.from({ length: of.length }, (_, seq) => seq));
    const times = new Set(of.map(({ at, seq }) => Date.parse(at) - seq * 1000));
    expect(times.size).toBe(1);
  }
});

test('what the example replays is what the built-in device types take', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const drivers = { replay: { mappingFile: join(occupancy, 'replay.yaml') } };
  const text = configText(cell.url, { drivers, uplink: { backfillPerSecond: 100_000 } });
  await using _agent = await testAgent(directory.path, text);
  const backfilled = () =>
    new Set(
      cell.messages
        .map(({ topic }) => topic.split('/'))
        .flatMap(([, , device, kind]) => (kind === 'backfill' ? device : [])),
    );
  await until(() => cell.messages.length > 300 && backfilled().size === 100);
  const types: Record<string, string> = {
    air: 'air-quality',
    light: 'light-meter',
    presence: 'presence',
    door: 'contact',
  };
  const devices = new Set<string>();
  for (const { topic, payload } of cell.messages) {
    const [, , device = '', kind = ''] = topic.split('/');
    if (kind !== 'backfill') continue;
    devices.add(device);
    const { readings, faults } = parseTelemetry(payload);
    expect(faults).toEqual([]);
    const metrics = builtInDeviceTypes[types[device.split('-')[1] ?? ''] ?? '']?.metrics;
    const names = readings.map(({ values }) => values.map(([name]) => name));
    expect(new Set(names.flat())).toEqual(new Set(Object.keys(metrics ?? {})));
  }
  expect(devices.size).toBe(100);
});

test('a long history that comes while it is being sent arrives whole', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const drivers = { replay: { mappingFile: join(occupancy, 'replay.yaml') } };
  const store = { segmentBytesMax: 1_000_000 };
  const text = configText(cell.url, { store, drivers, uplink: { backfillPerSecond: 1_000_000 } });
  await using agent = await testAgent(directory.path, text);
  await until(() => agent.store.next >= 108_000 && agent.store.unsent.length === 0, {
    timeoutMs: 50_000,
  });
  const seqs = new Map<string, Set<number>>();
  for (const { device, seq } of cell.readings()) {
    const of = seqs.get(device) ?? new Set();
    seqs.set(device, of.add(seq));
  }
  expect(seqs.size).toBe(100);
  const least = Math.min(...[...seqs.values()].map(({ size }) => size));
  const furthest = Math.max(...[...seqs.values()].map((of) => Math.max(...of)));
  expect(least).toBeGreaterThanOrEqual(1080);
  expect(furthest).toBeLessThanOrEqual(least + 1);
});

test('a simulated thermostat takes a command, reports it, and keeps it over a restart', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const drivers = await mappingIn(directory.path, { history: 'PT1S', thermostats: 'r101' });
  const text = configText(cell.url, { drivers });
  const device = 'r101-thermostat';
  const targets = () =>
    cell
      .readings()
      .filter((one) => one.device === device)
      .map(({ values }) => values['target_temperature']);
  {
    await using _agent = await testAgent(directory.path, text);
    await until(() => targets().length > 0);
    const command = { id: 'c1', set: { target_temperature: 18.5 } };
    await cell.send(`v1/${testBuilding}/${device}/commands/c1`, command);
    const states = () =>
      cell.bodies('command-states/c1').map((body) => commandStatePayload.parse(body).state);
    await until(() => states().length === 3);
    expect(states()).toEqual(['delivered', 'applying', 'applied']);
    await until(() => targets().at(-1) === 18.5);
  }
  const before = targets().length;
  await using _agent = await testAgent(directory.path, text);
  await until(() => targets().length > before);
  expect(targets().at(-1)).toBe(18.5);
});
