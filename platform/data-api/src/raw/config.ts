import { tmpdir } from 'node:os';
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

const count = z.coerce.number().int().min(1);

export const rawSettings = z.object({
  ...kafkaSettings,
  CELL_COUNTRY: parsedBy(parseCountryCode).describe('The country of this cell, for example DE'),
  RAW_HOST: z.string().default('127.0.0.1').describe('The address to listen on'),
  RAW_PORT: portSetting.default(0).describe('The port of the API; 0 takes a free one'),
  RAW_ADMIN_PORT: portSetting.default(0).describe('The port of health and metrics'),
  RAW_INTERNAL_SECRET_FILE: z
    .string()
    .describe('The secret by which the API gateway is known; without it nobody is answered'),
  ...lakeSettings,
  RAW_SCRATCH_DIR: z
    .string()
    .default(tmpdir())
    .describe('Where answers in Parquet are made; a folder of its own is made below it'),
  RAW_CACHE_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A folder of its own for copies of landed files, if the lake is in buckets; unless it is set, one below the scratch folder',
    ),
  RAW_CACHE_MEGABYTES_MAX: count
    .default(4_096)
    .describe('Copies of landed files kept there; a question that needs more is refused'),
  RAW_REFRESH_MS: durationMsSetting
    .default(1_000)
    .describe('How often to look for what has newly landed'),
  RAW_TAIL_MEGABYTES_MAX: count
    .default(256)
    .describe('Readings kept that have not landed; at the bound newer ones wait in Kafka'),
  RAW_TAIL_WINDOWS_MAX: count
    .default(300_000)
    .describe('Windows of summaries kept beyond the newest snapshot'),
  RAW_QUERY_TIMEOUT_MS: durationMsSetting
    .default(30_000)
    .describe('How long one answer may take, waiting and sending included'),
  RAW_QUERIES_MAX: count.default(4).describe('Queries that run at once'),
  RAW_QUERIES_WAITING_MAX: count.default(32).describe('Queries that may wait for a place'),
  RAW_MEMORY_MEGABYTES_MAX: count.default(1_024).describe('Memory of the query engine'),
  RAW_THREADS: count.default(2).describe('Threads of the query engine'),
});

export type RawConfig = Readonly<z.output<typeof rawSettings>>;

export function readConfig(env: Environment = process.env): RawConfig {
  return readEnvironment(rawSettings, env);
}

export const kafkaOf = clientOptionsOf;
