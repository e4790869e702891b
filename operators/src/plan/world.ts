import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CountryCode, isCountryCode } from '@domicile/core/countries.ts';
import { type CountryPack, parseCountryPack } from '@domicile/core/country-pack.ts';
import { parse } from 'yaml';

/** The countries that can be served. */
export type Packs = ReadonlyMap<CountryCode, CountryPack>;

/** Reads every country pack of the folder. Throws `VALUE_INVALID` for a pack with a fault. */
export async function readPacks(folder: string): Promise<Packs> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml'));
  const packs = await Promise.all(
    files.map(async (file) => parseCountryPack(parse(await readFile(join(folder, file), 'utf8')))),
  );
  return new Map(packs.map((pack) => [pack.country, pack]));
}

/** The pack of a country by its code, undefined if there is none. */
export function packOf(packs: Packs, country: unknown): CountryPack | undefined {
  return typeof country === 'string' && isCountryCode(country) ? packs.get(country) : undefined;
}
