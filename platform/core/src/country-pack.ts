import { z } from 'zod';
import { type CountryCode, countryOfRegion, isCountryCode } from './countries.ts';
import { PlatformError } from './errors.ts';
import { isUnit } from './units.ts';

const limit = z.strictObject({
  unit: z.string().refine(isUnit, 'expected a UCUM code of the unit table'),
  min: z.number().optional(),
  max: z.number().optional(),
});

/** A country as data: `regions/{cc}.yaml`. */
export const countryPackSchema = z
  .strictObject({
    country: z.string().refine(isCountryCode, 'expected an ISO 3166-1 alpha-2 code'),
    name: z.string().min(1),
    /** Where cells may stand: regions of cloud providers, and `onprem-{cc}-{site}` for machines of one's own. */
    regions: z.array(z.string()).min(1),
    localisation: z.strictObject({
      /** `hard`: by law it is stored at home alone. `conditional`: the law allows it under conditions. `contract`: we promise it. */
      mode: z.enum(['hard', 'conditional', 'contract']),
      law: z.string().min(1),
      source: z.string().min(1),
      asOf: z.iso.date(),
    }),
    /** Whether a client's browser outside the country may show summaries. */
    summariesAbroad: z.boolean(),
    recovery: z.enum(['second-region', 'zones-only']),
    retentionDays: z.strictObject({
      landing: z.number().int().min(1).max(36_500),
      serving: z.number().int().min(1).max(36_500),
    }),
    timeZones: z.array(z.string()).min(1),
    units: z.strictObject({ temperature: z.enum(['Cel', '[degF]']) }),
    comfort: z.strictObject({ standard: z.string().min(1), limits: z.record(z.string(), limit) }),
    /** Of the package date-holidays; null: it has none of this country. */
    holidays: z.strictObject({ calendar: z.string().min(2).nullable() }),
  })
  .superRefine(({ country, regions }, context) => {
    for (const [index, region] of regions.entries())
      if (countryOfRegion(region) !== country)
        context.addIssue({
          code: 'custom',
          path: ['regions', index],
          message: `${region} is no region of ${country}`,
        });
  });

export type CountryPack = z.output<typeof countryPackSchema> & { readonly country: CountryCode };

/** Throws `VALUE_INVALID` with every fault at once. `pack` is parsed YAML. */
export function parseCountryPack(pack: unknown): CountryPack {
  const parsed = countryPackSchema.safeParse(pack);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => ({
    pointer: path.map((part) => `/${String(part)}`).join(''),
    detail: message,
  }));
  throw new PlatformError(
    'VALUE_INVALID',
    `Cannot read the country pack: ${faults.map((one) => `${one.pointer}: ${one.detail}`).join('; ')}`,
    { faults },
  );
}
