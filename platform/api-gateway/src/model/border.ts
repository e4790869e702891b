import type { CountryCode } from '@domicile/core/countries.ts';
import { countryOf, isBuildingId } from '@domicile/core/identities.ts';

/** The buildings that a request names, in its path and in its query, as it names them. */
export function namedBuildings(
  segments: readonly string[],
  query: URLSearchParams,
): readonly string[] {
  const [version, collection, building] = segments;
  const inPath = version === 'v1' && collection === 'buildings' && building !== undefined;
  const inQuery = query.getAll('building').flatMap((one) => one.split(','));
  return inPath ? [building, ...inQuery] : inQuery;
}

/** The country of the first building that is not at home here; undefined if all are, or are no buildings. */
export function foreignCountry(
  country: CountryCode,
  buildings: readonly string[],
): CountryCode | undefined {
  return buildings
    .filter(isBuildingId)
    .map((building) => countryOf(building))
    .find((one) => one !== country);
}
