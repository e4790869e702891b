import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestClient } from '../sessions/test-client.ts';
import type { RunningBroker } from '../start.ts';
import { TestHouse } from '../test-house.ts';

let house: TestHouse;
let other: RunningBroker;
beforeAll(async () => {
  house = await TestHouse.open();
  other = await house.startAnother();
});
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await house[Symbol.asyncDispose]();
});

test('what one client of a building publishes reaches another at another replica, over its absence', async () => {
  const building = freshName('de');
  await house.declare(building);
  const below = `v1/${building}`;
  const here = (clientId: string) =>
    TestClient.come(house.broker.mqttPort ?? 0, building, { clientId });
  const there = (clientId: string) => TestClient.come(other.mqttPort ?? 0, building, { clientId });
  const display = await there('display');
  await display.client.subscribeAsync([`${below}/+/telemetry`, `${below}/+/status`], { qos: 1 });
  const gateway = await here('gateway');
  await gateway.client.publishAsync(`${below}/d1/telemetry`, 'one', { qos: 1 });
  await gateway.client.publishAsync(`${below}/d1/backfill`, 'not asked for', { qos: 1 });
  const status = '{"state":"online","at":"2026-01-01T00:00:00.000Z"}';
  await gateway.client.publishAsync(`${below}/d1/status`, status, { qos: 1, retain: true });
  await waitFor('both', () => display.heard.length >= 2);
  expect(display.heard.toSorted()).toEqual([
    `${below}/d1/status ${status}`,
    `${below}/d1/telemetry one`,
  ]);
  await display.client.endAsync();
  for (let n = 0; n < 100; n += 1)
    await gateway.client.publishAsync(`${below}/d1/telemetry`, `${n}`, { qos: 1 });
  const back = await here('display');
  await waitFor('the rest', () => back.heard.length >= 100);
  expect(back.heard).toEqual(Array.from({ length: 100 }, (_, n) => `${below}/d1/telemetry ${n}`));
  // Nothing of another building, and nothing twice.
  expect(await house.records('telemetry')).toHaveLength(101);
});
