import type { CountryCode } from '@domicile/core/countries.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { clientOptionsOf, kafkaSettings } from '@domicile/kafka/config.ts';
import { type LakeOptions, lakeOptionsOf, lakeSettings } from '@domicile/lake/lake-settings.ts';
import {
  durationMsSetting,
  type Environment,
  parsedBy,
  portSetting,
  readEnvironment,
} from '@domicile/runtime/environment.ts';
import { z } from 'zod';

export const servingBuilderSettings = z.object({
  ...kafkaSettings,
  CELL_COUNTRY: parsedBy(parseCountryCode).describe('The country whose summaries are built.'),
  ...lakeSettings,
  SERVING_FLUSH_MS: durationMsSetting
    .default(60_000)
    .describe('How often a snapshot is made if anything has changed.'),
  SERVING_ROWS_MAX: z.coerce
    .number()
    .int()
    .min(1)
    .max(2_000_000)
    .default(200_000)
    .describe('Rows that are held at most before a snapshot is made.'),
  SERVING_PRUNE_AFTER_MS: durationMsSetting
    .default(3_600_000)
    .describe(
      'How long at least superseded snapshots, and files that no newer one names, stay for those who read them.',
    ),
  SERVING_RETENTION_DAYS: z.coerce
    .number()
    .int()
    .min(1)
    .max(36_500)
    .optional()
    .describe(
      'For how long summaries are kept, by their UTC days: the days of the rule of the bucket. Unset: for ever.',
    ),
  ADMIN_HOST: z.string().default('127.0.0.1').describe('The address of the admin port.'),
  ADMIN_PORT: portSetting.default(9090).describe('/livez, /readyz and /metrics; 0: a free port.'),
});

export interface ServingBuilderConfig {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly lake: LakeOptions;
  readonly flushMs: number;
  readonly rowsMax: number;
  readonly pruneAfterMs: number;
  readonly retentionDays: number | undefined;
  readonly admin: { readonly host: string; readonly port: number };
}

/** Throws `CONFIG_INVALID`. */
export function readConfig(env: Environment = process.env): ServingBuilderConfig {
  const read = readEnvironment(servingBuilderSettings, env);
  return {
    client: clientOptionsOf(read),
    country: read.CELL_COUNTRY,
    lake: lakeOptionsOf(read),
    flushMs: read.SERVING_FLUSH_MS,
    rowsMax: read.SERVING_ROWS_MAX,
    pruneAfterMs: read.SERVING_PRUNE_AFTER_MS,
    retentionDays: read.SERVING_RETENTION_DAYS,
    admin: { host: read.ADMIN_HOST, port: read.ADMIN_PORT },
  };
}
