import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { expect, test } from 'vitest';
import { LatestBook } from '../model/latest-book.ts';
import { RegistryBook } from '../model/registry-book.ts';
import { testBuildings } from '../test-support.ts';
import { devicesSeenRoute } from './devices-seen-route.ts';

test('at the admin port it is told how many devices spoke lately, and nothing of what they said', async () => {
  const view = { registry: new RegistryBook(), latest: new LatestBook() };
  for (const building of testBuildings()) view.registry.take(building);
  let isCaughtUp = false;
  let nowMs = Date.UTC(2026, 10, 23, 9);
  const speak = (device: string) => {
    const point = {
      value: 817,
      unit: '[ppm]',
      measuredAtMs: nowMs,
      receivedAtMs: nowMs,
      offset: 1,
    };
    view.latest.take({
      building: 'de-one',
      device,
      floor: '1',
      room: 'r1',
      points: { co2: point },
    });
  };
  await using admin = await startAdmin({
    host: '127.0.0.1',
    port: 0,
    log: createLog('test', { write: () => undefined }),
    registry: createRegistry({}),
    ready: () => true,
    routes: devicesSeenRoute({ view, caughtUp: () => isCaughtUp, now: () => nowMs }),
  });
  const ask = () => fetch(`${admin.url}/devices-seen`);
  speak('r1-air');
  expect((await ask()).status).toBe(503);
  isCaughtUp = true;
  const first = await (await ask()).text();
  expect(JSON.parse(first)).toEqual({
    windowMs: 3_600_000,
    seen: { 'de-one': 1, 'de-two': 0, 'de-three': 0 },
  });
  expect(first).not.toContain('817');
  // One count does for everybody who asks within seconds.
  speak('r2-air');
  expect(await (await ask()).text()).toBe(first);
  nowMs += 5_000;
  expect(await (await ask()).json()).toMatchObject({ seen: { 'de-one': 2 } });
  nowMs += 3_600_000;
  expect(await (await ask()).json()).toMatchObject({ seen: { 'de-one': 0 } });
});
