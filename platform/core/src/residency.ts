import { type CountryCode, countryOfRegion } from './countries.ts';
import { PlatformError } from './errors.ts';
import { type BuildingId, lowerCountry, parseBuildingId } from './identities.ts';

/**
 * The border of a cell. Throws `RESIDENCY_VIOLATION` before anything is looked up; the message repeats nothing of what
 * came in, since log lines are data too.
 */
export function requireResident<Country extends CountryCode>(
  country: Country,
  building: BuildingId,
): BuildingId<Country> {
  if (isResident(country, building)) return building;
  throw new PlatformError(
    'RESIDENCY_VIOLATION',
    `Cannot serve this building: this cell serves ${country} alone`,
  );
}

export function isResident<Country extends CountryCode>(
  country: Country,
  building: BuildingId,
): building is BuildingId<Country> {
  return building.startsWith(`${lowerCountry(country)}-`);
}

/** Throws `VALUE_INVALID` for what is no building, `RESIDENCY_VIOLATION` for a building of another country. */
export function parseResident<Country extends CountryCode>(
  country: Country,
  text: string,
): BuildingId<Country> {
  return requireResident(country, parseBuildingId(text));
}

/** A name in a certificate: `urn:domicile:{cc}:{building}:{gateway}`. */
export interface GatewayIdentity {
  readonly country: string;
  readonly building: string;
  readonly gateway: string;
}

/** Undefined for what is no such name. The parts are not trusted yet. */
export function parseGatewayUrn(urn: string): GatewayIdentity | undefined {
  const match = /^urn:domicile:([a-z]{2}):([a-z0-9-]{1,63}):([a-z0-9-]{1,63})$/.exec(urn);
  if (!match) return undefined;
  const [, country = '', building = '', gateway = ''] = match;
  return { country, building, gateway };
}

/** Where something that holds readings is said to be. */
export interface Place {
  readonly country: CountryCode;
  readonly region?: string;
}

/** Why something may not be placed there, or undefined. Closed world: an unknown region is refused. */
export function placementBreach(country: CountryCode, place: Place): string | undefined {
  if (place.country !== country) return `it is in ${place.country}, and the cell in ${country}`;
  if (place.region === undefined) return undefined;
  const lies = countryOfRegion(place.region);
  if (lies === undefined) return `${place.region} is no region of one country`;
  return lies === country
    ? undefined
    : `${place.region} lies in ${lies}, and the cell in ${country}`;
}

/** The audience of a cell's tokens. */
export function audienceOf(country: CountryCode): string {
  return `domicile:${lowerCountry(country)}`;
}
