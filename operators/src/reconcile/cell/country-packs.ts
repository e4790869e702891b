import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CountryCode } from '@domicile/core/countries.ts';
import { type CountryPack, parseCountryPack } from '@domicile/core/country-pack.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import { parse } from 'yaml';

/** Undefined if the country has none. Throws `VALUE_INVALID` for a pack that cannot be read. */
export async function readPack(
  regionsDir: string,
  country: CountryCode,
): Promise<CountryPack | undefined> {
  const file = join(regionsDir, `${lowerCountry(country)}.yaml`);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : parseCountryPack(parse(text));
}
