import { expect, test } from 'vitest';
import { configText, testAgent, testBuilding, testDirectory, until } from './test-agent.ts';
import { TestCell } from './test-cell.ts';

const http = { http: { port: 0 } };

async function post(port: number | undefined, device: string, body: unknown): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/v1/devices/${device}/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

async function online(cell: TestCell, times: number): Promise<void> {
  const states = () => cell.bodies('gateway/status').map((body) => JSON.stringify(body));
  await until(() => states().filter((text) => text.includes('online')).length >= times);
}

test('a reading that a device posts is numbered and reaches the cell', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = await testAgent(directory.path, configText(cell.url, { drivers: http }));
  await online(cell, 1);
  for (const co2 of [600, 601]) {
    const answer = await post(agent.ports['http'], 'r101-air', { values: { co2 } });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ kept: 1 });
  }
  const readings = await until(() => cell.readings().length === 2 && cell.readings());
  const { boot } = agent.store;
  expect(readings).toMatchObject([
    { device: 'r101-air', lane: 'telemetry', boot, seq: 0, values: { co2: 600 } },
    { device: 'r101-air', lane: 'telemetry', boot, seq: 1, values: { co2: 601 } },
  ]);
  expect(cell.messages.every(({ topic }) => topic.startsWith(`v1/${testBuilding}/`))).toBe(true);
});

test('what an outage leaves goes up as backfill, beside what is live, each device in its order', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = await testAgent(directory.path, configText(cell.url, { drivers: http }));
  await online(cell, 1);
  await cell.close();
  for (let value = 0; value < 50; value += 1)
    for (const device of ['r101-air', 'r102-air'])
      expect((await post(agent.ports['http'], device, { values: { value } })).status).toBe(200);
  await cell.open();
  await online(cell, 2);
  await post(agent.ports['http'], 'r101-air', { values: { value: 50 } });
  const readings = await until(() => cell.readings().length === 101 && cell.readings());
  const of = (device: string, lane: string) =>
    readings.filter((one) => one.device === device && one.lane === lane).map(({ seq }) => seq);
  const before = Array.from({ length: 50 }, (_, seq) => seq);
  expect(of('r101-air', 'backfill')).toEqual(before);
  expect(of('r102-air', 'backfill')).toEqual(before);
  expect(of('r101-air', 'telemetry')).toEqual([50]);
  await until(() => agent.store.unsent.length === 0);
});
