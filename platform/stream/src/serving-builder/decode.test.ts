import { parseCountryCode } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { decodeSummary, decodeZone } from './decode.ts';

const country = parseCountryCode('DE');
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const summary = {
  building: 'de-a',
  windowStartMs: 60_000,
  level: 'room',
  id: 'r101',
  kind: 'window',
  revision: 0,
  final: false,
  offset: -1,
  metrics: { co2: { unit: '[ppm]', aggregate: [1, 4, 4, [4], [16], [1, 1]] } },
};

test('a summary of this country is read', () => {
  expect(decodeSummary(country, bytes(summary))).toEqual(summary);
});

test.each([
  ['nothing', null],
  ['no JSON', Buffer.from('{')],
  ['a list', bytes([])],
  ['another country', bytes({ ...summary, building: 'us-a' })],
  ['no building', bytes({ ...summary, building: 'Deutschland' })],
  ['another level', bytes({ ...summary, level: 'city' })],
  ['another kind', bytes({ ...summary, kind: 'draft' })],
  ['half a minute', bytes({ ...summary, windowStartMs: 0.5 })],
  ['no metrics', bytes({ ...summary, metrics: null })],
  ['half an aggregate', bytes({ ...summary, metrics: { co2: { unit: '1', aggregate: [1] } } })],
])('%s is refused', (_name, value) => {
  expect(decodeSummary(country, value)).toBeUndefined();
});

test('a zone is read of buildings of this country', () => {
  const zone = { id: 'de-a', timeZone: 'Europe/Berlin' };
  expect(decodeZone(country, bytes({ ...zone, client: 'acme' }))).toEqual(zone);
  expect(decodeZone(country, bytes({ ...zone, id: 'us-a' }))).toBeUndefined();
  expect(decodeZone(country, null)).toBeUndefined();
});
