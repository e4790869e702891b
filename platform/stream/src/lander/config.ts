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

export const landerSettings = z.object({
  ...kafkaSettings,
  CELL_COUNTRY: parsedBy(parseCountryCode).describe('The country whose readings are landed.'),
  ...lakeSettings,
  LANDER_FLUSH_MS: durationMsSetting
    .default(300_000)
    .describe('How long a record waits at most before its file is written, on quiet topics too.'),
  LANDER_PARTITION_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(1)
    .max(1 << 30)
    .default(16 << 20)
    .describe('Bytes of records of one partition that are held before they are written.'),
  LANDER_BYTES_MAX: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 33)
    .default(256 << 20)
    .describe('Bytes of records that are held in all; above it the largest partition is written.'),
  LANDER_AUDIT_MS: durationMsSetting
    .default(3_000)
    .describe('How often landed objects are compared with their manifests and counted.'),
  LANDER_CHECKPOINT_MS: durationMsSetting
    .default(600_000)
    .describe('How often manifests are looked at that can be copied together, for quick starts.'),
  LANDER_CHECKPOINT_MANIFESTS: z.coerce
    .number()
    .int()
    .min(2)
    .max(1_000)
    .default(256)
    .describe('Manifests that are copied together into one object.'),
  LANDER_RETENTION_DAYS: z.coerce
    .number()
    .int()
    .min(1)
    .max(36_500)
    .optional()
    .describe(
      'How long the landing zone keeps data by a rule of its store; unless it is set, whatever is gone counts as lost.',
    ),
  LANDER_PAUSE_BEFORE_PARQUET_MS: durationMsSetting
    .default(0)
    .describe('For tests that kill: a pause between plan and file.'),
  LANDER_PAUSE_BEFORE_MANIFEST_MS: durationMsSetting
    .default(0)
    .describe('For tests that kill: a pause between file and manifest.'),
  ADMIN_HOST: z.string().default('127.0.0.1').describe('The address of the admin port.'),
  ADMIN_PORT: portSetting.default(9090).describe('/livez, /readyz and /metrics; 0: a free port.'),
});

export interface LanderConfig {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly lake: LakeOptions;
  readonly flushMs: number;
  readonly partitionBytesMax: number;
  readonly bytesMax: number;
  readonly auditMs: number;
  readonly checkpoints: { readonly everyMs: number; readonly manifestsEach: number };
  readonly retentionDays: number | undefined;
  readonly pauses: { readonly beforeParquetMs: number; readonly beforeManifestMs: number };
  readonly admin: { readonly host: string; readonly port: number };
}

/** Throws `CONFIG_INVALID`. */
export function readConfig(env: Environment = process.env): LanderConfig {
  const read = readEnvironment(landerSettings, env);
  return {
    client: clientOptionsOf(read),
    country: read.CELL_COUNTRY,
    lake: lakeOptionsOf(read),
    flushMs: read.LANDER_FLUSH_MS,
    partitionBytesMax: read.LANDER_PARTITION_BYTES_MAX,
    bytesMax: read.LANDER_BYTES_MAX,
    auditMs: read.LANDER_AUDIT_MS,
    checkpoints: {
      everyMs: read.LANDER_CHECKPOINT_MS,
      manifestsEach: read.LANDER_CHECKPOINT_MANIFESTS,
    },
    retentionDays: read.LANDER_RETENTION_DAYS,
    pauses: {
      beforeParquetMs: read.LANDER_PAUSE_BEFORE_PARQUET_MS,
      beforeManifestMs: read.LANDER_PAUSE_BEFORE_MANIFEST_MS,
    },
    admin: { host: read.ADMIN_HOST, port: read.ADMIN_PORT },
  };
}
