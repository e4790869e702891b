/** ISO 3166-1 alpha-2, the officially assigned codes. */
const codes =
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW' as const;

type Words<
  Text extends string,
  Read extends string = never,
> = Text extends `${infer Word} ${infer Rest}` ? Words<Rest, Read | Word> : Read | Text;

/** A country by its ISO 3166-1 alpha-2 code, upper case. */
export type CountryCode = Words<typeof codes>;

const known: ReadonlySet<string> = new Set(codes.split(' '));

export function isCountryCode(text: string): text is CountryCode {
  return known.has(text);
}

/**
 * The regions of cloud providers, each in exactly one country. What spans countries (`EU`, `eur4`, `nam4`, `ASIA`) is
 * no region here, so nothing can be placed there. Source: Google Cloud, "Regions and zones".
 */
const regionsOfCountry: Partial<Record<CountryCode, readonly string[]>> = {
  AU: ['australia-southeast1', 'australia-southeast2'],
  BE: ['europe-west1'],
  BR: ['southamerica-east1'],
  CA: ['northamerica-northeast1', 'northamerica-northeast2'],
  CH: ['europe-west6'],
  CL: ['southamerica-west1'],
  DE: ['europe-west3', 'europe-west10'],
  ES: ['europe-southwest1'],
  FI: ['europe-north1'],
  FR: ['europe-west9'],
  GB: ['europe-west2'],
  HK: ['asia-east2'],
  ID: ['asia-southeast2'],
  IL: ['me-west1'],
  IN: ['asia-south1', 'asia-south2'],
  IT: ['europe-west8', 'europe-west12'],
  JP: ['asia-northeast1', 'asia-northeast2'],
  KR: ['asia-northeast3'],
  MX: ['northamerica-south1'],
  NL: ['europe-west4'],
  PL: ['europe-central2'],
  QA: ['me-central1'],
  SA: ['me-central2'],
  SE: ['europe-north2'],
  SG: ['asia-southeast1'],
  TH: ['asia-southeast3'],
  TW: ['asia-east1'],
  US: [
    'us-central1',
    'us-east1',
    'us-east4',
    'us-east5',
    'us-south1',
    'us-west1',
    'us-west2',
    'us-west3',
    'us-west4',
  ],
  ZA: ['africa-south1'],
};

const countryOfRegions: ReadonlyMap<string, CountryCode> = new Map(
  Object.entries(regionsOfCountry).flatMap(([country, regions]) =>
    isCountryCode(country) ? regions.map((region) => [region, country] as const) : [],
  ),
);

const onPremises = /^onprem-([a-z]{2})-[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

/**
 * The country that a region lies in: a provider's by the table, one on premises by its name, `onprem-{cc}-{site}`; undefined
 * for what is no region of one country.
 */
export function countryOfRegion(region: string): CountryCode | undefined {
  const name = region.toLowerCase();
  const code = onPremises.exec(name)?.[1]?.toUpperCase();
  if (code !== undefined) return isCountryCode(code) ? code : undefined;
  return countryOfRegions.get(name);
}

export function regionsOf(country: CountryCode): readonly string[] {
  return regionsOfCountry[country] ?? [];
}
