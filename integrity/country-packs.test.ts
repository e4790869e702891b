import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { countryOfRegion, isCountryCode, regionsOf } from '@domicile/core/countries.ts';
import { type CountryPack, parseCountryPack } from '@domicile/core/country-pack.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import Holidays from 'date-holidays';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const folder = join(import.meta.dirname, '../regions');
const files = readdirSync(folder).filter((file) => file !== 'README.md');

function packOf(file: string): CountryPack {
  return parseCountryPack(parse(readFileSync(join(folder, file), 'utf8')));
}

test('every country of which a provider has a region has its pack, with every region', () => {
  const letters = Array.from({ length: 26 }, (_, index) => String.fromCodePoint(65 + index));
  const served = letters
    .flatMap((a) => letters.map((b) => a + b))
    .filter(isCountryCode)
    .filter((country) => regionsOf(country).length > 0);
  expect(files).toEqual(
    expect.arrayContaining(served.map((country) => `${lowerCountry(country)}.yaml`)),
  );
  for (const country of served)
    expect(packOf(`${lowerCountry(country)}.yaml`).regions).toEqual(regionsOf(country));
});

test('five countries and more are served on premises', () => {
  const onPremises = files.filter((file) =>
    packOf(file).regions.every((region) => region.startsWith('onprem-')),
  );
  expect(onPremises.length).toBeGreaterThanOrEqual(5);
});

test.each(files)('%s is the pack of the country that it is named after', (file) => {
  expect(file).toBe(`${lowerCountry(packOf(file).country)}.yaml`);
});

test.each(files)('%s recovers within its country', (file) => {
  const { country, recovery, regions } = packOf(file);
  expect(new Set(regions).size).toBe(regions.length);
  expect(regions.filter((region) => countryOfRegion(region) !== country)).toEqual([]);
  expect(recovery).toBe(regions.length > 1 ? 'second-region' : 'zones-only');
});

test.each(files)('%s tells its law with a date and a source', (file) => {
  const { localisation } = packOf(file);
  expect(Date.parse(localisation.asOf)).toBeLessThan(Date.now());
  for (const source of localisation.source.split(' '))
    expect(URL.canParse(source) && new URL(source).protocol).toBe('https:');
});

test('where the law keeps data at home, summaries are not shown abroad either', () => {
  const hard = files.map(packOf).filter(({ localisation }) => localisation.mode === 'hard');
  expect(hard.length).toBeGreaterThan(0);
  expect(hard.filter(({ summariesAbroad }) => summariesAbroad)).toEqual([]);
});

test.each(files)('%s names the time zones of its country, all of them and no other', (file) => {
  const { country, timeZones } = packOf(file);
  expect(new Set(timeZones.map(canonical))).toEqual(new Set(zonesOf(country).map(canonical)));
  expect(new Set(timeZones).size).toBe(timeZones.length);
});

function zonesOf(country: string): readonly string[] {
  const locale: Intl.Locale & { getTimeZones?: () => string[] | undefined } = new Intl.Locale(
    `und-${country}`,
  );
  return locale.getTimeZones?.() ?? [];
}

/** Zones have older names too: Asia/Calcutta is Asia/Kolkata. Throws for what is no zone. */
function canonical(timeZone: string): string {
  return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone;
}

const withHolidays = files.filter((file) => packOf(file).holidays.calendar !== null);

test.each(withHolidays)('%s names a calendar in which there are holidays', (file) => {
  const { country, holidays } = packOf(file);
  expect(holidays.calendar?.split('-')[0]).toBe(country);
  const days = new Holidays(country).getHolidays(2026);
  expect(days.filter(({ type }) => type === 'public').length).toBeGreaterThan(0);
});

test('only what the library does not know has no calendar', () => {
  const known = Object.keys(new Holidays().getCountries('en'));
  const without = files.map(packOf).filter(({ holidays }) => holidays.calendar === null);
  expect(without.map(({ country }) => country).filter((one) => known.includes(one))).toEqual([]);
});

test.each(files)('%s has limits that a room can keep', (file) => {
  for (const { min, max } of Object.values(packOf(file).comfort.limits)) {
    expect(min ?? max).toBeDefined();
    expect(min ?? -Infinity).toBeLessThan(max ?? Infinity);
  }
});

describe('the world is closed', () => {
  const refused: Record<string, object> = {
    'a region of another country': { regions: ['europe-west3', 'europe-west9'] },
    'a site of another country': { regions: ['onprem-fr-paris'] },
    'a multi-region': { regions: ['EU'] },
    'a dual-region': { regions: ['eur4'] },
    'a region that nobody knows': { regions: ['europe-west99'] },
    'a site of no country': { regions: ['onprem-xx-nowhere'] },
    'a site without a name': { regions: ['onprem-de-'] },
    'no region': { regions: [] },
    'a country that is none': { country: 'XX', regions: ['onprem-xx-nowhere'] },
    'a country in small letters': { country: 'de' },
    'a mode that is none': { localisation: { ...packOf('de.yaml').localisation, mode: 'none' } },
    'a field that is none': { fallbackRegion: 'us-east1' },
  };

  test.each(Object.entries(refused))('%s is refused', (_name, given) => {
    expect(() => parseCountryPack({ ...packOf('de.yaml'), ...given })).toThrow(
      /Cannot read the country pack/,
    );
  });

  test('the refusal says which region, and of which country it is none', () => {
    const pack = { ...packOf('de.yaml'), regions: ['europe-west3', 'europe-west9'] };
    expect(() => parseCountryPack(pack)).toThrow(/regions\/1: europe-west9 is no region of DE/);
  });
});
