import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accountReportPayload } from '@domicile/core/account.ts';
import { commandStatePayload } from '@domicile/core/command.ts';
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { configText, testAgent, testBuilding, testDirectory, until } from './test-agent.ts';
import { TestCell } from './test-cell.ts';
import { AgentProcess } from './test-process.ts';

async function post(port: number | undefined, device: string, body: object): Promise<number> {
  const { status } = await fetch(`http://127.0.0.1:${port}/v1/devices/${device}/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return status;
}

const accountsAt = (cell: TestCell) =>
  cell.bodies('gateway/account').map((body) => accountReportPayload.parse(body));

test('a store that lost its end begins a new run, and tells at once how far the old one went', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const text = configText(cell.url, { drivers: { http: { port: 0 } } });
  let before = '';
  {
    await using agent = await testAgent(directory.path, text);
    before = agent.store.boot;
    for (let n = 0; n < 10; n += 1) await post(agent.ports['http'], 'r101-air', { values: { n } });
    await until(() => cell.readings().length === 10);
  }
  const store = join(directory.path, 'data/store');
  const names = (await readdir(store)).filter((name) => name.endsWith('.segment'));
  const newest = join(store, names.toSorted().at(-1) ?? '');
  await writeFile(newest, (await readFile(newest)).subarray(0, -200));
  await using agent = await testAgent(directory.path, text);
  expect(agent.store.boot).not.toBe(before);
  // What comes before it is told is in it.
  await until(() =>
    accountsAt(cell).some(({ devices }) => devices.some(({ previous }) => previous)),
  );
  await post(agent.ports['http'], 'r101-air', { values: { n: 10 } });
  const last = await until(() => cell.readings().find(({ values }) => values['n'] === 10));
  expect(last).toMatchObject({ boot: agent.store.boot, seq: 0 });
  const told = accountsAt(cell).flatMap(({ devices }) => devices);
  expect(told).toContainEqual({
    device: 'r101-air',
    boot: agent.store.boot,
    next: 0,
    dropped: [],
    previous: { boot: before, next: 10 },
  });
});

test('an agent that is killed while a device has a command tells that its fate is unknown', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = new AgentProcess(directory.path);
  await agent.configure(cell.url, { drivers: { mqtt: { port: 0 } } });
  await agent.start();
  await until(() => cell.bodies('gateway/status').length > 0);
  const thermostat = await connectAsync(`mqtt://127.0.0.1:${agent.addresses?.mqtt}`, {
    reconnectPeriod: 0,
  });
  await thermostat.subscribeAsync('r101-thermostat/commands/+', { qos: 1 });
  const received = new Promise<void>((resolve) => thermostat.once('message', () => resolve()));
  const topic = `v1/${testBuilding}/r101-thermostat/commands/c1`;
  await cell.send(topic, { id: 'c1', set: { target_temperature: 22 } });
  await received;
  await agent.stop();
  thermostat.end(true);
  await agent.start();
  const states = () =>
    cell.bodies('command-states/c1').map((body) => commandStatePayload.parse(body).state);
  await until(() => states().includes('unknown'));
  await cell.send(topic, { id: 'c1', set: { target_temperature: 22 } });
  await until(() => states().filter((state) => state === 'unknown').length === 2);
  expect(new Set(states())).toEqual(new Set(['delivered', 'applying', 'unknown']));
});

test('two agents do not share a store', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const text = configText(cell.url, {});
  const first = await testAgent(directory.path, text);
  let hasStarted = false;
  const second = testAgent(directory.path, text).then((agent) => {
    hasStarted = true;
    return agent;
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(hasStarted).toBe(false);
  await first[Symbol.asyncDispose]();
  await using agent = await second;
  expect(agent.store.next).toBe(0);
});

test('a reading that no message could carry is refused, and does not stand in the way', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const drivers = { http: { port: 0 }, mqtt: { port: 0 } };
  await using agent = await testAgent(directory.path, configText(cell.url, { drivers }));
  const long = { values: { n: 1 }, more: 'x'.repeat(210_000) };
  expect(await post(agent.ports['http'], 'r101-air', long)).toBe(413);
  const sender = await connectAsync(`mqtt://127.0.0.1:${agent.ports['mqtt']}`, {
    reconnectPeriod: 0,
    protocolVersion: 5,
  });
  const disconnected = new Promise<number | undefined>((resolve) =>
    sender.once('disconnect', ({ reasonCode }) => resolve(reasonCode)),
  );
  sender.publish('r101-air/telemetry', JSON.stringify(long), { qos: 1 }, () => undefined);
  expect(await disconnected).toBe(0x95);
  sender.end(true);
  expect(await post(agent.ports['http'], 'r101-air', { values: { n: 2 } })).toBe(200);
  await until(() => cell.readings().length === 1);
});
