import { expect, expectTypeOf, test } from 'vitest';
import { countryOfRegion, isCountryCode } from './countries.ts';
import { type BuildingId, countryOf, parseBuildingId } from './identities.ts';
import {
  audienceOf,
  parseGatewayUrn,
  parseResident,
  placementBreach,
  requireResident,
} from './residency.ts';

const german = requireResident('DE', parseBuildingId('de-7f3k'));

test('a building of one country cannot be passed where that of another is wanted', () => {
  expectTypeOf(german).toEqualTypeOf<BuildingId<'DE'>>();
  expectTypeOf<BuildingId<'DE'>>().not.toExtend<BuildingId<'US'>>();
  expectTypeOf<BuildingId>().not.toExtend<BuildingId<'DE'>>();
  expectTypeOf<BuildingId<'DE'>>().toExtend<BuildingId>();
});

test('the border refuses by prefix, without a look-up and without an echo', () => {
  expect(countryOf(german)).toBe('DE');
  expect(() => parseResident('DE', 'us-canary')).toThrow(
    expect.objectContaining({ code: 'RESIDENCY_VIOLATION' }),
  );
  expect(() => parseResident('DE', 'us-canary')).not.toThrow(/canary/);
  expect(() => parseResident('DE', 'dex7f3k')).toThrow(
    expect.objectContaining({ code: 'VALUE_INVALID' }),
  );
});

test.each(['EU', 'eur4', 'nam4', 'ASIA', 'europe', '', 'us'])('%j is no region', (region) => {
  expect(countryOfRegion(region)).toBeUndefined();
  expect(placementBreach('DE', { country: 'DE', region })).toMatch(/no region/);
});

test('a place abroad is a breach, one at home is none', () => {
  expect(placementBreach('DE', { country: 'DE', region: 'europe-west3' })).toBeUndefined();
  expect(placementBreach('DE', { country: 'DE' })).toBeUndefined();
  expect(placementBreach('DE', { country: 'DE', region: 'europe-west4' })).toMatch(/lies in NL/);
  expect(placementBreach('DE', { country: 'US' })).toMatch(/in US/);
});

test('countries are those of ISO 3166-1, and names of object members are none', () => {
  expect(isCountryCode('DE')).toBe(true);
  for (const text of ['de', 'XX', 'EU', 'constructor', '__proto__'])
    expect(isCountryCode(text)).toBe(false);
});

test('the name in a certificate is read in parts', () => {
  expect(parseGatewayUrn('urn:domicile:de:de-7f3k:gw-1')).toEqual({
    country: 'de',
    building: 'de-7f3k',
    gateway: 'gw-1',
  });
  expect(parseGatewayUrn('urn:domicile:de:de-7f3k')).toBeUndefined();
  expect(audienceOf('DE')).toBe('domicile:de');
});

test.each([
  ['onprem-eg-cairo', 'EG'],
  ['onprem-de-a', 'DE'],
  ['onprem-xx-cairo', undefined],
  ['onprem-eg-', undefined],
  ['onprem-eg', undefined],
  ['onprem-eg-cairo-', undefined],
  ['eg-cairo', undefined],
])('machines of one’s own: %s is in %s', (region, country) => {
  expect(countryOfRegion(region)).toBe(country);
});
