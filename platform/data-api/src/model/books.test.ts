import type { BuildingRecord } from '@domicile/core/building.ts';
import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import { expect, test } from 'vitest';
import { buildingPlanOf } from './buildings.ts';
import { deviceRowsOf } from './device-rows.ts';
import { LatestBook } from './latest-book.ts';

const at = Date.UTC(2026, 10, 23, 7);
const point = { value: 1, unit: 'Cel', measuredAtMs: at, receivedAtMs: at, offset: 5 };
const where = { building: 'de-1', device: 'd', floor: '1', room: 'r1' };

const building: BuildingRecord = {
  id: 'de-1',
  country: 'DE',
  client: 'acme',
  name: null,
  timeZone: 'Europe/Berlin',
  state: 'active',
  deviceTypes: { contact: builtInDeviceTypes['contact'] ?? { everyMs: 0, metrics: {} } },
  devices: [
    { id: 'd2', placements: [{ validFromMs: null, floor: '10', room: 'r2', type: 'contact' }] },
    {
      id: 'd1',
      placements: [
        { validFromMs: null, floor: '2', room: 'r1', type: 'contact' },
        { validFromMs: at, floor: '2', room: 'r9', type: 'contact' },
      ],
    },
  ],
  passwordHash: 'never shown',
};

test('latest goes by event time, then by offset, and says what was renewed', () => {
  const book = new LatestBook();
  expect(book.take({ ...where, points: { t: point } })).toHaveLength(1);
  expect(
    book.take({ ...where, points: { t: { ...point, measuredAtMs: at - 1, offset: 9 } } }),
  ).toEqual([]);
  expect(book.take({ ...where, points: { t: { ...point, offset: 4 } } })).toEqual([]);
  expect(book.take({ ...where, points: { t: { ...point, offset: 6, value: 2 } } })).toMatchObject([
    { device: 'd', room: 'r1', metric: 't', value: 2, measuredAt: '2026-11-23T07:00:00.000Z' },
  ]);
  expect(book.rows('de-1')).toHaveLength(1);
  expect(book.lastAtMs('de-1', 'd')).toBe(at);
  book.forget('de-1', 'd');
  expect(book.rows('de-1')).toEqual([]);
});

test('a plan goes floor by floor as placed at that time, and shows no secret', () => {
  const plan = buildingPlanOf(building, at);
  expect(plan.floors.map(({ id }) => id)).toEqual(['2', '10']);
  expect(plan.floors[0]?.rooms[0]).toMatchObject({
    id: 'r9',
    devices: [{ id: 'd1', type: 'contact', metrics: [{ name: 'open', unit: '1' }] }],
  });
  expect(buildingPlanOf(building, at - 1).floors[0]?.rooms[0]?.id).toBe('r1');
  expect(JSON.stringify(plan)).not.toContain('never shown');
  expect(plan).not.toHaveProperty('name');
});

test('a device is silent after three of its turns', () => {
  const stateAt = (nowMs: number) =>
    deviceRowsOf(
      building,
      { lastAtMs: (device) => (device === 'd1' ? at : undefined), reported: () => undefined },
      nowMs,
    ).map(({ state }) => state);
  expect(stateAt(at + 30_000)).toEqual(['never-seen', 'seen']);
  expect(stateAt(at + 30_001)).toEqual(['never-seen', 'silent']);
});
