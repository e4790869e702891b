import { must } from '@domicile/core/invariants.ts';
import { expect, test } from 'vitest';
import { unsentRangesMax } from '../model/recovery.ts';
import type { Agent } from '../running-agent.ts';
import { configText, testAgent, testDirectory, until } from '../test-agent.ts';
import { TestCell } from '../test-cell.ts';

const devices = ['r101-air', 'r102-air', 'r103-air'];

async function post(agent: Agent, device: string, n: number): Promise<void> {
  const port = must(agent.ports['http'], 'The driver listens');
  const answer = await fetch(`http://127.0.0.1:${port}/v1/devices/${device}/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ values: { n } }),
  });
  expect(answer.status).toBe(200);
}

/** First arrivals only: what a cut connection had on its way may come twice. */
function arrivals(cell: TestCell, device: string, lane: string): number[] {
  const of = cell.readings().filter((one) => one.device === device && one.lane === lane);
  return [...new Set(of.map(({ seq }) => seq))];
}

test('after outages the newest goes up at once, the backlog beside it, each lane in each device’s order', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  const drivers = { http: { port: 0, requestsPerSecondMax: 10_000 } };
  const text = configText(cell.url, { drivers, uplink: { backfillPerSecond: 100 } });
  await using agent = await testAgent(directory.path, text);
  let n = 0;
  const round = async () => {
    await Promise.all(devices.map((device) => post(agent, device, n)));
    n += 1;
  };
  for (let outage = 0; outage < 3; outage += 1) {
    await until(() => cell.connects.length > outage);
    for (let times = 0; times < 10; times += 1) await round();
    await cell.close();
    for (let times = 0; times < 60; times += 1) await round();
    const backlog = agent.store.unsent.reduce((sum, { from, to }) => sum + to - from, 0);
    expect(backlog).toBeGreaterThan(100);
    await cell.open();
    await until(() => cell.connects.length > outage + 1);
    expect(agent.store.unsent.length).toBeLessThanOrEqual(unsentRangesMax);
    // Until the uplink has said hello, what comes is backlog too.
    const isLive = () =>
      cell.readings().some(({ lane, values }) => lane === 'telemetry' && values['n'] === n - 1);
    for (const endMs = performance.now() + 20_000; !isLive() && performance.now() < endMs;)
      await round();
    expect(isLive()).toBe(true);
    expect(agent.store.unsent.length).toBeGreaterThan(0);
  }
  await until(() => agent.store.unsent.length === 0, { timeoutMs: 30_000 });
  for (const device of devices) {
    const live = arrivals(cell, device, 'telemetry');
    const backlog = arrivals(cell, device, 'backfill');
    expect(live).toEqual(live.toSorted((left, right) => left - right));
    expect(backlog).toEqual(backlog.toSorted((left, right) => left - right));
    expect(new Set([...live, ...backlog]).size).toBe(n);
  }
}, 60_000);
