import { isBuildingId, parseCountryCode } from '@domicile/core/identities.ts';
import { kafkaSettings } from '@domicile/kafka/config.ts';
import { erasurePasses } from '@domicile/lake/erasure/erasure.ts';
import { lakeSettings } from '@domicile/lake/lake-settings.ts';
import { type Environment, parsedBy, readEnvironment } from '@domicile/runtime/environment.ts';
import { z } from 'zod';

const count = z.coerce.number().int();

export const eraserSettings = z.object({
  ...kafkaSettings,
  ...lakeSettings,
  CELL_COUNTRY: parsedBy(parseCountryCode).describe('The country of the cell'),
  ERASER_BUILDING: z
    .string()
    .refine(isBuildingId, 'expected the id of a building, as de-7f3k')
    .describe('The building that is erased'),
  ERASER_ID: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/)
    .describe('Of the erasure: reports of another one are not believed'),
  ERASER_PASS: z
    .enum(erasurePasses)
    .describe('export: copies its readings. erase: takes it out. verify: once more, later'),
  ERASER_EXPORT: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true')
    .describe('What is erased is copied to the export first'),
  ERASER_PARTITIONS: count.min(1).max(1024).describe('Of the streams of the cell'),
  ERASER_SOFT_DELETE_DAYS: count
    .min(0)
    .max(365)
    .optional()
    .describe('How long the store can bring back what it takes away: told in its report'),
  ERASER_GRACE_MS: count
    .min(0)
    .max(3_600_000)
    .default(60_000)
    .describe('How long readers may hold a snapshot that is not the newest'),
});

export type EraserConfig = Readonly<z.output<typeof eraserSettings>>;

export function readConfig(env: Environment = process.env): EraserConfig {
  return readEnvironment(eraserSettings, env);
}
