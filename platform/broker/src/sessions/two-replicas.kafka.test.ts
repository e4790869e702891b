import { setTimeout as wait } from 'node:timers/promises';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunningBroker } from '../start.ts';
import { TestHouse } from '../test-house.ts';
import { TestClient } from './test-client.ts';

let house: TestHouse;
let other: RunningBroker;
beforeAll(async () => {
  // Nobody here is waited for in vain.
  house = await TestHouse.open({ handoverTimeoutMs: 30_000 });
  other = await house.startAnother();
});
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await house[Symbol.asyncDispose]();
});

async function declared(): Promise<string> {
  const building = freshName('de');
  await house.declare(building);
  return building;
}

const onFirst = (building: string, options?: Parameters<typeof TestClient.come>[2]) =>
  TestClient.come(house.broker.mqttPort ?? 0, building, options);
const onOther = (building: string, options?: Parameters<typeof TestClient.come>[2]) =>
  TestClient.come(other.mqttPort ?? 0, building, options);

async function command(building: string, id: string): Promise<void> {
  await house.write('commands', building, {
    id,
    building,
    device: 'd1',
    set: { on: true },
    expiresAt: new Date(Date.now() + 60_000).toISOString(),
    acceptedAtMs: Date.now(),
    by: 'someone',
    idempotencyKey: null,
  });
}

/** Ids of the commands that came to it. */
const commandsOf = ({ heard }: TestClient) =>
  heard.map((each) => /commands\/(\S+) /.exec(each)?.[1]);

const sessionRecords = async (building: string) =>
  (await house.records('mqtt-sessions')).filter(({ key }) => key?.toString().includes(building));

/** Keys of the building's sessions that have a value. */
async function keptKeys(building: string): Promise<string[]> {
  const last = new Map(
    (await sessionRecords(building)).map((each) => [each.key?.toString() ?? '', each.value]),
  );
  return [...last].flatMap(([key, value]) => (value === null ? [] : (key.split('\0')[2] ?? '')));
}

test('a client moves to another replica: its subscriptions are there, and commands reach it where it is', async () => {
  const building = await declared();
  await using first = await onFirst(building);
  expect(first.resumed).toBe(false);
  await first.client.subscribeAsync(`v1/${building}/+/commands/+`, { qos: 1 });
  await using second = await onOther(building);
  expect(second.resumed).toBe(true);
  await waitFor('the end of the first', () => first.disconnects.length === 1);
  expect(first.disconnects).toEqual([reason.sessionTakenOver]);
  await command(building, 'c1');
  await waitFor('the command', () => commandsOf(second).length === 1);
  await second.leave();
  await command(building, 'c2');
  await using third = await onFirst(building);
  expect(third.resumed).toBe(true);
  // No state has been seen of the first one, so it comes again.
  await waitFor('both', () => commandsOf(third).length === 2);
  await wait(200);
  expect([commandsOf(first), commandsOf(second), commandsOf(third)]).toEqual([
    [],
    ['c1'],
    ['c1', 'c2'],
  ]);
  await third.leave();
});

test('two clients with one client id throw each other out, and neither waits for who has lost', async () => {
  const building = await declared();
  for (let round = 0; round < 10; round += 1) {
    const both = await Promise.all([onFirst(building), onOther(building)]);
    for (const { client } of both) await client.endAsync(true);
  }
  for (const url of [house.broker.adminUrl, other.adminUrl]) {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/broker_sessions_taken_total{[^}]*"released"[^}]*} [1-9]/);
    expect(metrics).not.toMatch(/broker_sessions_taken_total{[^}]*"timeout"[^}]*} [1-9]/);
  }
});

test('a session that began anew, or has no time, is not there for the next', async () => {
  const building = await declared();
  const filter = `v1/${building}/+/commands/+`;
  const first = await onFirst(building);
  await first.client.subscribeAsync(filter, { qos: 1 });
  await first.leave();
  const clean = await onOther(building, { clean: true });
  expect(clean.resumed).toBe(false);
  await command(building, 'c1');
  await clean.leave();
  const none = await onFirst(building, { properties: { sessionExpiryInterval: 0 } });
  expect(none.resumed).toBe(true);
  await none.leave();
  const last = await onOther(building, { properties: { sessionExpiryInterval: 0 } });
  expect(last.resumed).toBe(false);
  await last.leave();
  expect([clean, none, last].flatMap(commandsOf)).toEqual([]);
  const isGone = async () => (await keptKeys(building)).length === 0;
  await waitFor('nothing to be left of it', isGone);
});

test('of a session that moved about, the log keeps one claim and one state', async () => {
  const building = await declared();
  for (let round = 0; round < 3; round += 1) {
    for (const come of [onFirst, onOther]) {
      const client = await come(building);
      await client.client.subscribeAsync(`v1/${building}/${round}/commands/+`, { qos: 1 });
      await client.leave();
    }
  }
  await expect
    .poll(async () => (await keptKeys(building)).toSorted(), { timeout: 30_000 })
    .toEqual(['claim', 'progress', 'state']);
});

test('a return skips nothing that was sent and not acked (TBMQ #320)', async () => {
  const building = await declared();
  const topic = `v1/${building}/d1/telemetry`;
  const first = await onFirst(building);
  await first.client.subscribeAsync(topic, { qos: 1 });
  await first.leave();
  const publisher = await onOther(building, { clientId: 'p' });
  const sent = Array.from({ length: 300 }, (_, index) => `${topic} ${index}`);
  await Promise.all(
    sent.map((_, index) => publisher.client.publishAsync(topic, `${index}`, { qos: 1 })),
  );
  await publisher.leave();
  // Comes, acks nothing, and is gone again, here and there.
  for (const come of [onFirst, onOther, onFirst]) {
    const client = await come(building, { isSilent: true });
    await waitFor('some of it', () => client.heard.length > 0);
    client.vanish();
    await client.client.endAsync(true);
  }
  const last = await onOther(building);
  expect(last.resumed).toBe(true);
  await waitFor('all of it', () => new Set(last.heard).size === sent.length);
  expect([...new Set(last.heard)]).toEqual(sent);
  await last.leave();
});
