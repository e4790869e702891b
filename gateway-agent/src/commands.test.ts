import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseBuildingId, parseDeviceId } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Commands, type CommandsOptions } from './commands.ts';
import type { Driver } from './drivers/driver.ts';
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

const nowMs = 1_800_000_000_000;

function opened(apply: Driver['apply'], options: Partial<CommandsOptions> = {}): Promise<Commands> {
  return Commands.open({
    directory,
    building,
    driverOf: () => ({ apply }),
    events: createAgentEvents(new Registry(), log),
    now: () => nowMs,
    fail: (error) => {
      throw error;
    },
    ...options,
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

const told = (commands: Commands) =>
  commands
    .unsent()
    .map(({ payload }) =>
      z
        .object({ id: z.string(), state: z.string(), reason: z.string().default('') })
        .parse(JSON.parse(payload.toString())),
    )
    .map(({ id, state, reason }) => `${id} ${state} ${reason}`.trim());

async function sendTo(commands: Commands, id: string, body: object): Promise<void> {
  const of = { id, set: { target_temperature: 20 }, ...body };
  await commands.receive(topic.replace('c1', id), Buffer.from(JSON.stringify(of)));
}

test('a command waits for its device, on disk as delivered, and goes out when it is back', async () => {
  let isThere = false;
  const applied = Promise.withResolvers<void>();
  const apply: Driver['apply'] = async () => {
    applied.resolve();
    return { state: 'applied' };
  };
  const driverOf = () => (isThere ? { apply } : undefined);
  const commands = await opened(apply, { driverOf });
  await commands.receive(topic, command);
  expect(await onDisk()).toBe('delivered');
  isThere = true;
  commands.reachable(parseDeviceId('r101-thermostat'));
  await applied.promise;
  await commands[Symbol.asyncDispose]();
  expect(statesOf(commands)).toEqual(['delivered', 'applying', 'applied']);
});

test('a stop leaves a waiting command delivered; patience and expiry end it', async () => {
  const away = { driverOf: () => undefined, patienceMs: 60_000 };
  const apply: Driver['apply'] = async () => ({ state: 'applied' });
  const first = await opened(apply, away);
  await first.receive(topic, command);
  await first[Symbol.asyncDispose]();
  expect(await onDisk()).toBe('delivered');
  let atMs = nowMs;
  const second = await opened(apply, { ...away, patienceMs: 50, now: () => (atMs += 60) });
  second.resume();
  await sendTo(second, 'c2', { expiresAt: new Date(nowMs).toISOString() });
  while (second.unsent().length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  await second[Symbol.asyncDispose]();
  expect(told(second)).toEqual([
    'c1 delivered',
    'c2 delivered',
    'c1 failed no driver has this device',
    'c2 failed expired',
  ]);
});

test('of two set points that wait for a device only the newer reaches it, also when it came first', async () => {
  const applied: string[] = [];
  let isThere = false;
  const apply: Driver['apply'] = async ({ id }) => {
    applied.push(id);
    return { state: 'applied' };
  };
  const commands = await opened(apply, { driverOf: () => (isThere ? { apply } : undefined) });
  await sendTo(commands, 'new', { acceptedAt: '2026-01-01T00:00:02Z' });
  await sendTo(commands, 'late', { acceptedAt: '2026-01-01T00:00:01Z' });
  await sendTo(commands, 'newest', { set: { mode: 'eco' } });
  isThere = true;
  commands.reachable(parseDeviceId('r101-thermostat'));
  while (commands.unsent().length < 8) await new Promise((resolve) => setTimeout(resolve, 5));
  await commands[Symbol.asyncDispose]();
  expect(applied).toEqual(['new', 'newest']);
  expect(told(commands)).toContain('late failed superseded: new is newer');
});

test('a command that comes over two connections at once is carried out once', async () => {
  const applied: string[] = [];
  const isOver = Promise.withResolvers<void>();
  const commands = await opened(async ({ id }) => {
    applied.push(id);
    if (id === 'c2') isOver.resolve();
    return { state: 'applied' };
  });
  await Promise.all([commands.receive(topic, command), commands.receive(topic, command)]);
  // Of one device, so it comes behind whatever was begun.
  await sendTo(commands, 'c2', {});
  await isOver.promise;
  await commands[Symbol.asyncDispose]();
  expect(applied).toEqual(['c1', 'c2']);
});

test('after its end no command is taken: the book is the next process’s', async () => {
  const commands = await opened(async () => ({ state: 'applied' }));
  const ended = commands[Symbol.asyncDispose]();
  await expect(commands.receive(topic, command)).rejects.toThrow(/stops/);
  await ended;
  expect(await readdir(directory)).toEqual([]);
});
