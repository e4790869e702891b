import { randomUUID } from 'node:crypto';
import { must } from '@domicile/core/invariants.ts';
import { expect, test } from 'vitest';
import type { MachineClock } from './clock-keeper.ts';
import type { Agent } from './running-agent.ts';
import { configText, testAgent, testDirectory, until } from './test-agent.ts';
import { TestCell } from './test-cell.ts';

const trueMs = Date.parse('2026-11-24T07:00:00Z');

/** A machine without a battery: up since some minutes, and it believes that it is 1970. */
class OldMachine implements MachineClock {
  upMs = 120_000;
  isSet = false;
  osBoot = randomUUID();
  readonly wallMs = () => (this.isSet ? trueMs + this.upMs : this.upMs);
  readonly monotonicMs = () => this.upMs;
}

async function post(agent: Agent, values: object, more: object = {}): Promise<void> {
  const port = must(agent.ports['http'], 'The driver listens');
  const answer = await fetch(`http://127.0.0.1:${port}/v1/devices/r101-air/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...more, values }),
  });
  expect(answer.status).toBe(200);
}

const drivers = { http: { port: 0 } };

/** Payloads of readings that the cell has, by their `n`. */
function sentAt(cell: TestCell, n: number): Record<string, unknown> | undefined {
  const bodies = cell.messages
    .filter(({ topic }) => /\/(telemetry|backfill)$/.test(topic))
    .flatMap(({ payload }): unknown[] => [JSON.parse(payload.toString())].flat());
  const found = bodies.map(Object).find(({ values }) => values.n === n);
  return found;
}

test('what came before the clock was set is kept, waits for it, and gets the time at which it came', async () => {
  await using cell = await TestCell.start();
  await cell.close();
  await using directory = await testDirectory();
  const machine = new OldMachine();
  const ports = { machine, now: machine.wallMs };
  const text = configText(cell.url, { drivers });
  {
    await using agent = await testAgent(directory.path, text, ports);
    await post(agent, { n: 0 });
    machine.upMs += 60_000;
    await post(agent, { n: 1 }, { at: 1000 });
    await post(agent, { n: 2 }, { at: trueMs - 500 });
  }
  machine.upMs += 60_000;
  await using agent = await testAgent(directory.path, text, ports);
  await cell.open();
  await until(() => agent.store.unsent.length > 0 && cell.connects.length > 0);
  await post(agent, { n: 3 });
  // Live, it has the cell's time of receipt.
  const live = await until(() => sentAt(cell, 3));
  expect(live).not.toHaveProperty('at');
  expect(sentAt(cell, 0)).toBeUndefined();
  machine.isSet = true;
  await until(() => agent.store.unsent.length === 0);
  const at = (upMs: number) => new Date(trueMs + upMs).toISOString();
  expect(sentAt(cell, 0)).toMatchObject({ at: at(120_000), timeSource: 'gateway' });
  expect(sentAt(cell, 1)).toMatchObject({ at: at(180_000), deviceAt: 1000, timeSource: 'gateway' });
  expect(sentAt(cell, 2)).toMatchObject({ at: trueMs - 500 });
  expect(sentAt(cell, 2)).not.toHaveProperty('timeSource');
});

test('of a boot that ended without the time, readings are sent without one', async () => {
  await using cell = await TestCell.start();
  await cell.close();
  await using directory = await testDirectory();
  const machine = new OldMachine();
  const ports = { machine, now: machine.wallMs };
  const text = configText(cell.url, { drivers });
  {
    await using agent = await testAgent(directory.path, text, ports);
    await post(agent, { n: 0 });
  }
  machine.osBoot = randomUUID();
  machine.isSet = true;
  await cell.open();
  await using agent = await testAgent(directory.path, text, ports);
  await until(() => agent.store.unsent.length === 0);
  expect(sentAt(cell, 0)).toEqual({ boot: agent.store.boot, seq: 0, values: { n: 0 } });
});
