import { parseCountryCode } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { foreignCountry, namedBuildings } from './border.ts';

const named = (path: string, query = '') =>
  namedBuildings(path.slice(1).split('/'), new URLSearchParams(query));
const foreign = (...buildings: string[]) => foreignCountry(parseCountryCode('DE'), buildings);

test('buildings are found wherever a request names them', () => {
  expect(named('/v1/buildings/us-1/latest', 'building=fr-1,de-1&building=us-2')).toEqual([
    'us-1',
    'fr-1',
    'de-1',
    'us-2',
  ]);
  expect(named('/v1/buildings')).toEqual([]);
  expect(named('/v1/data/us-1/x')).toEqual([]);
});

test('the first that is not at home is told; what is no building is no country’s', () => {
  expect(foreign('de-1', 'us-2', 'fr-1')).toBe('US');
  expect(foreign('de-1', 'de-2')).toBeUndefined();
  expect(foreign('US-2', 'zz-1', 'us_2', '', "us-2'--")).toBeUndefined();
});
