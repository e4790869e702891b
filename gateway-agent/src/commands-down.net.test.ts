import { expect, test } from 'vitest';
import { z } from 'zod';
import { testBuilding, testDirectory, until } from './test-agent.ts';
import { TestCell } from './test-cell.ts';
import { AgentProcess } from './test-process.ts';

const device = 'r101-thermostat';
const drivers = { http: { port: 0, answerTimeoutMs: 2000 } };
const commandsSchema = z.object({
  commands: z.array(z.object({ id: z.string(), set: z.record(z.string(), z.unknown()) })),
});
const stateSchema = z.object({ state: z.string(), reason: z.string().default('') });

const statesOf = (cell: TestCell, id: string) =>
  cell.bodies(`command-states/${id}`).map((body) => stateSchema.parse(body).state);

async function send(cell: TestCell, id: string, value: number): Promise<void> {
  const expiresAt = new Date(Date.now() + 120_000).toISOString();
  const body = { id, set: { target_temperature: value }, expiresAt };
  await cell.send(`v1/${testBuilding}/${device}/commands/${id}`, body);
}

async function fetchCommands(agent: AgentProcess, waitSeconds: number) {
  const base = `http://127.0.0.1:${agent.addresses?.http}/v1/devices/${device}`;
  const answer = await fetch(`${base}/commands?waitSeconds=${waitSeconds}`);
  return commandsSchema.parse(await answer.json()).commands;
}

function sayApplied(agent: AgentProcess, id: string): Promise<Response> {
  const base = `http://127.0.0.1:${agent.addresses?.http}/v1/devices/${device}`;
  return fetch(`${base}/command-states/${id}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'state=applied',
  });
}

/** How often the agent said that it is here; what a killed one leaves is its will. */
const connections = (cell: TestCell) =>
  cell.bodies('gateway/status').filter((body) => stateSchema.parse(body).state === 'online').length;

/** Resolves when the agent runs and the cell can reach it. */
async function started(agent: AgentProcess, cell: TestCell): Promise<void> {
  const before = connections(cell);
  await agent.start();
  await until(() => connections(cell) > before);
}

test('a command outlives a killed agent, waits for its device, and is carried out once however often it comes', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = new AgentProcess(directory.path);
  await agent.configure(cell.url, { drivers });
  await started(agent, cell);
  await send(cell, 'c1', 21);
  await until(() => statesOf(cell, 'c1').includes('delivered'));
  await agent.stop('SIGKILL');
  await started(agent, cell);
  await send(cell, 'c1', 21);
  const fetched = await fetchCommands(agent, 30);
  expect(fetched).toEqual([{ id: 'c1', set: { target_temperature: 21 } }]);
  expect((await sayApplied(agent, 'c1')).status).toBe(200);
  await until(() => statesOf(cell, 'c1').includes('applied'));
  await send(cell, 'c1', 21);
  expect(await fetchCommands(agent, 1)).toEqual([]);
  const states = statesOf(cell, 'c1');
  expect(states.filter((state) => state === 'applying')).toHaveLength(1);
  expect(states.at(-1)).toBe('applied');
});

test('killed while a device has a command, the agent says that it does not know, and never gives it again', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = new AgentProcess(directory.path);
  await agent.configure(cell.url, { drivers });
  await started(agent, cell);
  const waiting = fetchCommands(agent, 30);
  await send(cell, 'c1', 21);
  expect(await waiting).toHaveLength(1);
  await agent.stop('SIGKILL');
  await started(agent, cell);
  await until(() => statesOf(cell, 'c1').includes('unknown'));
  await send(cell, 'c1', 21);
  expect(await fetchCommands(agent, 1)).toEqual([]);
  expect((await sayApplied(agent, 'c1')).status).toBe(404);
  await send(cell, 'c2', 22);
  const next = await fetchCommands(agent, 30);
  expect(next.map(({ id }) => id)).toEqual(['c2']);
  await sayApplied(agent, 'c2');
  await until(() => statesOf(cell, 'c2').includes('applied'));
});
