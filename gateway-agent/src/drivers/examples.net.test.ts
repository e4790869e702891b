import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../config.ts';
import { configText, testAgent, testDirectory, until } from '../test-agent.ts';
import { TestCell } from '../test-cell.ts';

const examples = join(import.meta.dirname, '../../../examples/gateway');

async function driversOf(name: string): Promise<Record<string, Record<string, unknown>>> {
  const file: { drivers: Record<string, Record<string, unknown>> } = parse(
    await readFile(join(examples, name), 'utf8'),
  );
  return file.drivers;
}

test('every example is a configuration, and every driver has one', async () => {
  const names = await readdir(examples);
  const configured = await Promise.all(
    names
      .filter((name) => name.endsWith('.yaml'))
      .map(async (name) => {
        const text = await readFile(join(examples, name), 'utf8');
        return Object.keys(parseConfig(text, examples).drivers);
      }),
  );
  expect(new Set(configured.flat())).toEqual(
    new Set(['mqtt', 'http', 'modbus', 'bacnet', 'simulate']),
  );
});

test('five lines are a building: 100 devices reach the cell with what their types allow', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const lines = (await readFile(join(examples, 'simulate.yaml'), 'utf8')).split('\n');
  const settings = lines.filter((line) => line !== '' && !line.startsWith('#'));
  expect(settings.length).toBeLessThanOrEqual(5);
  const text = configText(cell.url, {
    drivers: await driversOf('simulate.yaml'),
    uplink: { backfillPerSecond: 1_000_000 },
  });
  await using _agent = await testAgent(directory.path, text);
  const devices = () =>
    new Set(
      cell.messages
        .map(({ topic }) => topic.split('/')[2])
        .filter((device) => device !== 'gateway'),
    );
  await until(() => devices().size === 100, { timeoutMs: 40_000 });
  const readings = cell.readings();
  expect(readings.length).toBeGreaterThan(100);
  expect(readings.every(({ boot, seq }) => boot.startsWith('simulate-') && seq >= 0)).toBe(true);
});

test('a valve at zigbee2mqtt is read and set through the agent; of two commands while it is away the newer reaches it', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const { mqtt } = await driversOf('mqtt-zigbee2mqtt.yaml');
  const drivers = { mqtt: { ...mqtt, host: '127.0.0.1', port: 0 } };
  await writeFile(join(directory.path, 'password'), 'secret');
  await using agent = await testAgent(directory.path, configText(cell.url, { drivers }));
  await until(() => cell.bodies('gateway/status').length > 0);
  const commands = 'v1/de-test/r101-valve/commands';
  const expiresAt = new Date(Date.now() + 60_000).toISOString();
  const send = (id: string, value: number) =>
    cell.send(`${commands}/${id}`, { id, set: { target_temperature: value }, expiresAt });
  await send('old', 18);
  await send('new', 22.5);
  await until(() => cell.bodies('command-states/new').length > 0);
  const bridge = await connectAsync(`mqtt://127.0.0.1:${agent.ports['mqtt']}`);
  const asked: string[] = [];
  bridge.on('message', (topic, payload) => {
    asked.push(`${topic} ${payload.toString()}`);
    const state = JSON.stringify({
      last_seen: Date.now(),
      local_temperature: 20.4,
      ...JSON.parse(payload.toString()),
    });
    bridge.publish('zigbee2mqtt/r101-valve', state, { qos: 1 });
  });
  await bridge.subscribeAsync('zigbee2mqtt/+/set', { qos: 1 });
  const states = (id: string) =>
    cell.bodies(`command-states/${id}`).map((body) => JSON.stringify(body));
  await until(() => states('new').some((state) => state.includes('"applied"')));
  expect(asked).toEqual(['zigbee2mqtt/r101-valve/set {"occupied_heating_setpoint":22.5}']);
  expect(states('old').at(-1)).toContain('superseded');
  await until(() => cell.readings().length > 0);
  expect(cell.readings()[0]).toMatchObject({
    device: 'r101-valve',
    values: { temperature: 20.4, target_temperature: 22.5 },
  });
  await bridge.endAsync();
});
