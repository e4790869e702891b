import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseBuildingId } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Commands, type CommandsOptions } from './commands.ts';
import { createAgentEvents } from './events.ts';
import { commandBookSchema } from './model/command-book.ts';

const building = parseBuildingId('de-test');
const log = createLog('gateway-agent', { write: () => undefined });
const topic = 'v1/de-test/r101-thermostat/commands/c1';
const command = Buffer.from(JSON.stringify({ id: 'c1', set: { mode: 'eco' } }));
let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gateway-commands-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

function opened(apply: CommandsOptions['apply']): Promise<Commands> {
  return Commands.open({
    directory,
    building,
    apply,
    events: createAgentEvents(new Registry(), log),
    now: () => 1_800_000_000_000,
    fail: (error) => {
      throw error;
    },
  });
}

async function onDisk(): Promise<string | undefined> {
  const book = commandBookSchema.parse(
    JSON.parse(await readFile(join(directory, 'commands.json'), 'utf8')),
  );
  return book.commands[0]?.state;
}

const statesOf = (commands: Commands) =>
  commands
    .unsent()
    .map(({ payload }) => z.object({ state: z.string() }).parse(JSON.parse(payload.toString())))
    .map(({ state }) => state);

test('a command is on disk as delivered before it is acked, as applying before the device is touched', async () => {
  const seen: (string | undefined)[] = [];
  const commands = await opened(async () => {
    seen.push(await onDisk());
    return { state: 'applied' };
  });
  await commands.receive(topic, command);
  expect(['delivered', 'applying', 'applied']).toContain(await onDisk());
  await commands[Symbol.asyncDispose]();
  expect(seen).toEqual(['applying']);
  expect(statesOf(commands)).toEqual(['delivered', 'applying', 'applied']);
});

test('commands of one device follow each other; a delivered one goes on after a start', async () => {
  const order: string[] = [];
  const isApplying = Promise.withResolvers<void>();
  const first = await opened(() => {
    isApplying.resolve();
    return new Promise(() => undefined);
  });
  await first.receive(topic, command);
  await isApplying.promise;
  await first.receive(topic.replace('c1', 'c2'), command);
  const isApplied = Promise.withResolvers<void>();
  const again = await opened(async ({ id }) => {
    order.push(id);
    isApplied.resolve();
    return { state: 'applied' };
  });
  again.resume();
  await isApplied.promise;
  await again[Symbol.asyncDispose]();
  expect(order).toEqual(['c2']);
  expect(statesOf(again)).toContain('unknown');
});

test('a book that cannot be read is set aside, and the agent goes on', async () => {
  await writeFile(join(directory, 'commands.json'), '{');
  await using commands = await opened(async () => ({ state: 'applied' }));
  await commands.receive(topic, command);
  expect(await readdir(directory)).toContain('commands.json.unreadable');
});

test('what is no command of this building is not one', async () => {
  await using commands = await opened(async () => ({ state: 'applied' }));
  await commands.receive('v1/us-other/r101-thermostat/commands/c1', command);
  await commands.receive('v1/de-test/r101-thermostat/telemetry', command);
  expect(commands.unsent()).toEqual([]);
});
