import { setTimeout as wait } from 'node:timers/promises';
import { accountReportPayload } from '@domicile/core/account.ts';
import { commandStatePayload } from '@domicile/core/command.ts';
import { expect, test } from 'vitest';
import type { Agent } from '../running-agent.ts';
import { configText, testAgent, testBuilding, testDirectory, until } from '../test-agent.ts';
import { TestCell } from '../test-cell.ts';

const drivers = { http: { port: 0 } };

async function post(
  agent: Agent,
  device: string,
  values: object,
  more: object = {},
): Promise<void> {
  const answer = await fetch(
    `http://127.0.0.1:${agent.ports['http']}/v1/devices/${device}/telemetry`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ values, ...more }),
    },
  );
  if (!answer.ok) throw new Error(`Cannot post: ${answer.status}`);
}

/** Answers of the agent that wait for the test's word. */
function held(cell: TestCell): { release: () => void; count: () => number } {
  const gate = Promise.withResolvers<undefined>();
  let count = 0;
  cell.answer = async ({ topic }) => {
    if (!/\/(telemetry|backfill)$/.test(topic)) return undefined;
    count += 1;
    return gate.promise;
  };
  return { release: () => gate.resolve(undefined), count: () => count };
}

async function online(cell: TestCell, times = 1): Promise<void> {
  const states = () => cell.bodies('gateway/status').map((body) => JSON.stringify(body));
  await until(() => states().filter((text) => text.includes('online')).length >= times);
}

const accounts = (cell: TestCell) =>
  cell.bodies('gateway/account').map((body) => accountReportPayload.parse(body));

test('what was sent and not acked is sent again on the next connection, in its order', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = await testAgent(directory.path, configText(cell.url, { drivers }));
  await online(cell);
  const gate = held(cell);
  for (let n = 0; n < 20; n += 1) await post(agent, 'r101-air', { n });
  await until(() => gate.count() === 20);
  await cell.close();
  cell.answer = async () => undefined;
  await cell.open();
  const readings = await until(() => cell.readings().length >= 20 && cell.readings());
  expect(readings.map(({ values }) => values['n'])).toEqual(
    Array.from({ length: 20 }, (_, n) => n),
  );
  expect(new Set(readings.map(({ lane }) => lane))).toEqual(new Set(['backfill']));
});

test('what the cell refuses is kept, tried again later, and holds nothing else up', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = await testAgent(directory.path, configText(cell.url, { drivers }));
  await online(cell);
  let refusals = 0;
  cell.answer = async ({ topic }) => {
    if (!topic.includes('r101-air') || refusals >= 3) return undefined;
    refusals += 1;
    return 0x97;
  };
  for (let n = 0; n < 5; n += 1)
    for (const device of ['r101-air', 'r102-air']) await post(agent, device, { n });
  await until(() => cell.readings().filter(({ device }) => device === 'r102-air').length === 5);
  await until(() => cell.readings().filter(({ device }) => device === 'r101-air').length === 5);
  expect(refusals).toBe(3);
  await until(() => agent.store.unsent.length === 0);
  expect(cell.readings()).toHaveLength(10);
});

test('at most so many messages are unacked, and the rest waits without loss', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const text = configText(cell.url, { drivers, uplink: { inFlightMax: 8 } });
  await using agent = await testAgent(directory.path, text);
  await online(cell);
  const gate = held(cell);
  for (let n = 0; n < 30; n += 1) await post(agent, `d${n}`, { n });
  await wait(200);
  expect(gate.count()).toBeLessThanOrEqual(8);
  gate.release();
  await until(() => cell.readings().length === 30);
});

test('live data does not wait for a backlog', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const text = configText(cell.url, { drivers, uplink: { backfillPerSecond: 50 } });
  await using agent = await testAgent(directory.path, text);
  await online(cell);
  await cell.close();
  for (let n = 0; n < 300; n += 1) await post(agent, `d${n % 50}`, { n });
  await cell.open();
  await online(cell, 2);
  await post(agent, 'r101-air', { n: 300 });
  await until(() => cell.readings().some(({ lane }) => lane === 'telemetry'));
  expect(cell.readings().length).toBeLessThan(200);
  await until(() => cell.readings().length === 301);
});

test('a cell that never acks does not keep the agent from stopping, nor from keeping', async () => {
  await using cell = await TestCell.start();
  cell.answer = () => new Promise(() => undefined);
  await using directory = await testDirectory();
  const text = configText(cell.url, { drivers, uplink: { drainTimeoutMs: 200 } });
  const agent = await testAgent(directory.path, text);
  for (let n = 0; n < 5; n += 1) await post(agent, 'r101-air', { n });
  await until(() => cell.connects.length > 0);
  const from = performance.now();
  await agent[Symbol.asyncDispose]();
  expect(performance.now() - from).toBeLessThan(5000);
  cell.answer = async () => undefined;
  await using _again = await testAgent(directory.path, text);
  await until(() => cell.readings().length === 5);
});

test('the account tells how far each numbering went, what is dropped, and is told at each new run', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = await testAgent(directory.path, configText(cell.url, { drivers }));
  await online(cell);
  const drop = await fetch(`${agent.adminUrl}/drop`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ device: 'r101-air', from: 1, to: 2 }),
  });
  expect(drop.status).toBe(202);
  for (let n = 0; n < 5; n += 1) await post(agent, 'r101-air', { n });
  await until(() => cell.readings().length === 3);
  expect(cell.readings().map(({ seq }) => seq)).toEqual([0, 3, 4]);
  const { boot } = agent.store;
  await post(agent, 'r102-air', { n: 0 }, { boot: 'first', seq: 6 });
  await post(agent, 'r102-air', { n: 0 }, { boot: 'second', seq: 0 });
  const told = await until(() =>
    accounts(cell).find(({ devices }) => devices.some(({ boot: of }) => of === 'second')),
  );
  expect(told.devices).toEqual([
    { device: 'r101-air', boot, next: 5, dropped: [{ from: 1, to: 2, reason: 'operator' }] },
    {
      device: 'r102-air',
      boot: 'second',
      next: 1,
      dropped: [],
      previous: { boot: 'first', next: 7 },
    },
  ]);
});

test('a command goes down once, and each of its states comes up', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const mqtt = { mqtt: { port: 0, answerTimeoutMs: 200 } };
  await using agent = await testAgent(directory.path, configText(cell.url, { drivers: mqtt }));
  await online(cell);
  expect(agent.ports['mqtt']).toBeGreaterThan(0);
  const topic = (id: string) => `v1/${testBuilding}/r101-thermostat/commands/${id}`;
  const set = { target_temperature: 22 };
  await cell.send(topic('c1'), { id: 'c1', set, expiresAt: new Date(Date.now() + 1500) });
  await cell.send(topic('c2'), { id: 'c2', set, expiresAt: new Date(Date.now() - 1000) });
  const states = (id: string) =>
    cell.bodies(`command-states/${id}`).map((body) => commandStatePayload.parse(body));
  await until(() => states('c1').length === 2 && states('c2').length === 2);
  expect(states('c1').map(({ state }) => state)).toEqual(['delivered', 'failed']);
  expect(states('c2')).toMatchObject([
    { state: 'delivered' },
    { state: 'failed', reason: 'expired' },
  ]);
  await cell.send(topic('c1'), { id: 'c1', set });
  await until(() => states('c1').length === 3);
  expect(states('c1').at(-1)).toMatchObject({ state: 'failed' });
});
