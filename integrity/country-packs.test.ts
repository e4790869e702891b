import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCountryPack } from '@domicile/core/country-pack.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const folder = join(import.meta.dirname, '../regions');
const files = readdirSync(folder).filter((file) => file !== 'README.md');

function packOf(file: string) {
  return parseCountryPack(parse(readFileSync(join(folder, file), 'utf8')));
}

test('the countries of the demo have their packs', () => {
  expect(files).toEqual(expect.arrayContaining(['de.yaml', 'us.yaml']));
});

test.each(files)('%s is the pack of the country that it is named after', (file) => {
  expect(file).toBe(`${lowerCountry(packOf(file).country)}.yaml`);
});

test.each(files)('%s recovers within its country', (file) => {
  const { recovery, regions } = packOf(file);
  expect(new Set(regions).size).toBe(regions.length);
  expect(recovery).toBe(regions.length > 1 ? 'second-region' : 'zones-only');
});

test.each(files)(
  '%s names time zones that exist, its calendar and a source for its law',
  (file) => {
    const { country, timeZones, holidays, localisation } = packOf(file);
    for (const timeZone of timeZones)
      expect(() => new Intl.DateTimeFormat('en', { timeZone })).not.toThrow();
    expect(holidays.calendar.split('-')[0]).toBe(country);
    for (const source of localisation.source.split(' '))
      expect(URL.canParse(source) && new URL(source).protocol).toBe('https:');
  },
);

test.each(files)('%s has limits that a room can keep', (file) => {
  for (const { min, max } of Object.values(packOf(file).comfort.limits)) {
    expect(min ?? max).toBeDefined();
    expect(min ?? -Infinity).toBeLessThan(max ?? Infinity);
  }
});

test('a pack with a region of another country is refused', () => {
  const pack = { ...packOf('de.yaml'), regions: ['europe-west3', 'europe-west9'] };
  expect(() => parseCountryPack(pack)).toThrow(/regions\/1: europe-west9 is no region of DE/);
});
