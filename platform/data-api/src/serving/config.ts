import { parseCountryCode } from '@domicile/core/identities.ts';
import { clientOptionsOf, kafkaSettings } from '@domicile/kafka/config.ts';
import { lakeSettings } from '@domicile/lake/lake-settings.ts';
import {
  durationMsSetting,
  type Environment,
  parsedBy,
  portSetting,
  readEnvironment,
} from '@domicile/runtime/environment.ts';
import { z } from 'zod';
import { cellPlaces } from './places.ts';

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue('expected JSON');
    return z.NEVER;
  }
});

export const servingSettings = z.object({
  ...kafkaSettings,
  CELL_COUNTRY: parsedBy(parseCountryCode).describe('The country of this cell, for example DE'),
  SERVING_HOST: z.string().default('127.0.0.1').describe('The address to listen on'),
  SERVING_PORT: portSetting.default(0).describe('The port of the API; 0 takes a free one'),
  SERVING_ADMIN_PORT: portSetting.default(0).describe('The port of health and metrics'),
  SERVING_INTERNAL_SECRET_FILE: z
    .string()
    .describe('The secret by which the API gateway is known; without it nobody is answered'),
  ...lakeSettings,
  SERVING_REFRESH_MS: durationMsSetting
    .default(2_000)
    .describe('How often to look for a newer snapshot of the serving layer'),
  SERVING_TAIL_WINDOWS_MAX: z.coerce
    .number()
    .int()
    .min(1_000)
    .default(300_000)
    .describe('Windows kept beyond the newest snapshot; at the bound answers end earlier'),
  SERVING_ANSWERS_MEGABYTES_MAX: z.coerce
    .number()
    .int()
    .min(0)
    .default(64)
    .describe('Ready answers kept, so that the same question over the same data is read once'),
  SERVING_LIVE_READERS_MAX: z.coerce
    .number()
    .int()
    .min(1)
    .default(1_000)
    .describe('Live streams that may be open at once'),
  SERVING_RESIDENCY_EVERY_MS: durationMsSetting
    .default(60_000)
    .describe('How often it is proved anew where the parts of the cell are'),
  SERVING_PLACES: json
    .pipe(cellPlaces)
    .optional()
    .describe('Where the parts of the cell must be, as JSON; without it /v1/residency proves less'),
});

export type ServingConfig = Readonly<z.output<typeof servingSettings>>;

export function readConfig(env: Environment = process.env): ServingConfig {
  return readEnvironment(servingSettings, env);
}

export const kafkaOf = clientOptionsOf;
