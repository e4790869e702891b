import { expect, test } from 'vitest';
import { cellOf, configurationSchema, countryWords } from './configuration.ts';

const de = { country: 'DE', name: 'Germany', api: 'http://de.test/', audience: 'domicile:de' };
const us = { country: 'US', name: 'United States', api: 'http://us.test', audience: 'domicile:us' };
const given = { issuer: 'http://issuer.test', clientId: 'domicile-web', cells: [de, us] };

test('a building belongs to the cell that its id begins with, and to no other', () => {
  const { cells } = configurationSchema.parse(given);
  expect(cellOf('de-us', cells)?.api).toBe('http://de.test');
  expect(cellOf('fr-1', cells)).toBeUndefined();
});

test('a configuration without cells is refused', () => {
  expect(configurationSchema.safeParse({ ...given, cells: [] }).success).toBe(false);
});

test('countries are named as in a sentence', () => {
  expect([de, us].map((cell) => countryWords(cell))).toEqual(['Germany', 'the United States']);
});
