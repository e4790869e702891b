import { buildingsOf } from '@domicile/core/values.ts';
import { expect, test } from 'vitest';
import { expiryMsMax, faultsOf } from './check-command.ts';

const nowMs = Date.UTC(2026, 10, 23, 7);
const [building] = buildingsOf(
  {
    buildings: {
      'de-1': {
        client: 'acme',
        timeZone: 'Europe/Berlin',
        floors: { '1': { rooms: { r1: { devices: { heat: 'thermostat' } } } } },
      },
    },
  },
  'DE',
);

function pointersOf(set: Record<string, number | boolean | string>, expiresAt?: string) {
  const body = { set, ...(expiresAt !== undefined && { expiresAt }) };
  if (!building) throw new Error('no building');
  return faultsOf(building, { device: 'r1-heat', body, nowMs })?.map(({ pointer }) => pointer);
}

test('what can be set, in range, is fine', () => {
  expect(pointersOf({ target_temperature: 21.5, mode: 'eco' })).toEqual([]);
  expect(pointersOf({ target_temperature: 5 })).toEqual([]);
});

test('everything else is told at once', () => {
  const set = { target_temperature: 35.1, mode: 7, temperature: 20, colour: 'red', toString: 1 };
  expect(pointersOf(set, '2026-11-23T06:59:59Z')).toEqual([
    '#/body/set/target_temperature',
    '#/body/set/mode',
    '#/body/set/temperature',
    '#/body/set/colour',
    '#/body/set/toString',
    '#/body/expiresAt',
  ]);
});

test('an expiry lies ahead, and not too far', () => {
  const at = (ms: number) => pointersOf({ mode: 'eco' }, new Date(nowMs + ms).toISOString());
  expect(at(1)).toEqual([]);
  expect(at(0)).toEqual(['#/body/expiresAt']);
  expect(at(expiryMsMax)).toEqual([]);
  expect(at(expiryMsMax + 1)).toEqual(['#/body/expiresAt']);
  expect(pointersOf({ mode: 'eco' }, 'soon')).toEqual(['#/body/expiresAt']);
});

test('there is no such device', () => {
  if (!building) throw new Error('no building');
  const body = { set: { mode: 'eco' } };
  expect(faultsOf(building, { device: 'r1-other', body, nowMs })).toBeUndefined();
});
