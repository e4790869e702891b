import { expect, test } from 'vitest';
import { placementAt } from './building.ts';
import { must } from './invariants.ts';
import { buildingsOf, expandRange, recordOfSpec } from './values.ts';

const standard = {
  roomTypes: {
    'standard-room': {
      air: 'air-quality',
      light: 'light-meter',
      door: 'contact',
      presence: 'presence',
    },
  },
  buildings: {
    'de-7f3k': {
      client: 'acme',
      timeZone: 'Europe/Berlin',
      floors: { '1': { rooms: { 'r1[01-25]': 'standard-room' } } },
    },
  },
};

test('five lines declare 25 rooms with 100 devices', () => {
  const [record] = buildingsOf(standard, 'DE');
  expect(record).toMatchObject({ id: 'de-7f3k', country: 'DE', client: 'acme', state: 'active' });
  expect(record?.devices).toHaveLength(100);
  expect(record?.devices[0]).toEqual({
    id: 'r101-air',
    placements: [{ validFromMs: null, floor: '1', room: 'r101', type: 'air-quality' }],
  });
  expect(Object.keys(record?.deviceTypes ?? {}).toSorted()).toEqual([
    'air-quality',
    'contact',
    'light-meter',
    'presence',
  ]);
});

test('a building of another country is refused, by id and by word', () => {
  const code = expect.objectContaining({ code: 'RESIDENCY_VIOLATION' });
  expect(() => buildingsOf(standard, 'US')).toThrow(code);
  const lying = structuredClone(standard);
  Object.assign(lying.buildings['de-7f3k'], { country: 'US' });
  expect(() => buildingsOf(lying, 'DE')).toThrow(code);
  expect(() => buildingsOf({ ...standard, country: 'US' }, 'DE')).toThrow(code);
  expect(buildingsOf({ ...standard, country: 'DE' }, 'DE')).toHaveLength(1);
});

test('every fault is told at once, by its place', () => {
  const faulty = {
    deviceTypes: { presence: { metrics: { x: { unit: 'Cel' } } } },
    buildings: {
      'de-a': {
        client: 'acme',
        timeZone: 'Europe/Berlin',
        floors: {
          '1': { rooms: { 'r[9-1]': 'standard-room', r1: { devices: { a: 'nothing' } } } },
        },
      },
    },
  };
  expect(() => buildingsOf(faulty, 'DE')).toThrow(
    /presence.*built-in[^]*no room type[^]*range[^]*nothing/,
  );
  const schema = { buildings: { 'de-a': { client: 'ACME', timeZone: 'Mars', flors: {} } } };
  expect(() => buildingsOf(schema, 'DE')).toThrow(/client[^]*timeZone[^]*floors/);
});

test('a device that moves is placed by when it was measured', () => {
  const moving = structuredClone(standard);
  Object.assign(moving.buildings['de-7f3k'], {
    devices: {
      'r101-air': {
        type: 'air-quality',
        placements: [
          { floor: '1', room: 'r102', validFrom: '2026-06-01T00:00:00+02:00' },
          { floor: '1', room: 'r101' },
        ],
      },
    },
  });
  const [record] = buildingsOf(moving, 'DE');
  const device = must(
    record?.devices.find(({ id }) => id === 'r101-air'),
    'it is declared',
  );
  expect(placementAt(device, Date.UTC(2026, 4, 31))?.room).toBe('r101');
  expect(placementAt(device, Date.UTC(2026, 5, 1))?.room).toBe('r102');
});

test('ranges', () => {
  expect(expandRange('r1[01-03]')).toEqual(['r101', 'r102', 'r103']);
  expect(expandRange('a[9-10]b')).toEqual(['a9b', 'a10b']);
  expect(expandRange('lobby')).toEqual(['lobby']);
  for (const text of ['r[3-1]', 'r[1-9999]', 'R1', '', 'r[1]'])
    expect(expandRange(text)).toBeUndefined();
});

test('device types of one building that disagree on the unit of a metric are refused', () => {
  const mixed = structuredClone(standard);
  Object.assign(mixed, {
    deviceTypes: { 'us-air': { metrics: { temperature: { unit: '[degF]' } } } },
  });
  expect(buildingsOf(mixed, 'DE')).toHaveLength(1);
  Object.assign(mixed.roomTypes['standard-room'], { other: 'us-air' });
  expect(() => buildingsOf(mixed, 'DE')).toThrow(/temperature two units/);
});

test('the resource declares what the values would have', () => {
  const { floors, ...rest } = standard.buildings['de-7f3k'];
  const rooms = { 'r1[01-25]': { type: 'standard-room' } };
  const spec = {
    ...rest,
    country: 'DE',
    roomTypes: standard.roomTypes,
    floors: { '1': { rooms } },
  };
  expect(floors).toBeDefined();
  expect(recordOfSpec('de-7f3k', spec, 'DE')).toEqual(buildingsOf(standard, 'DE')[0]);
  const quotas = { messagesPerSecond: 50 };
  expect(recordOfSpec('de-7f3k', { ...spec, quotas }, 'DE').quotas).toEqual(quotas);
  const abroad = expect.objectContaining({ code: 'RESIDENCY_VIOLATION' });
  expect(() => recordOfSpec('us-7f3k', spec, 'DE')).toThrow(abroad);
  expect(() => recordOfSpec('de-7f3k', { ...spec, country: 'US' }, 'DE')).toThrow(abroad);
  expect(() => recordOfSpec('de-7f3k', { ...spec, roomTypes: {} }, 'DE')).toThrow('no room type');
  expect(() => recordOfSpec('de-7f3k', { ...spec, rooms: 1 }, 'DE')).toThrow('/spec');
});
