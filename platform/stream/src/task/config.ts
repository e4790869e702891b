import { parseCountryCode } from '@domicile/core/identities.ts';
import { kafkaSettings } from '@domicile/kafka/config.ts';
import {
  durationMsSetting,
  type Environment,
  parsedBy,
  portSetting,
  readEnvironment,
} from '@domicile/runtime/environment.ts';
import { z } from 'zod';

export const taskSettings = z.object({
  ...kafkaSettings,
  CELL_COUNTRY: parsedBy(parseCountryCode).describe('The country of the cell, for example DE'),
  TASK_GROUP: z
    .string()
    .regex(/^task[a-z0-9-]{0,40}$/, 'expected a name that begins with task')
    .default('task')
    .describe('The consumer group that shares the partitions of a cell'),
  TASK_INSTANCE_ID: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
    .default('0')
    .describe('Names this process in its group; the same after a restart, and unique'),
  TASK_COMMIT_INTERVAL_MS: durationMsSetting
    .default(200)
    .describe('How long records are gathered before they are committed together'),
  TASK_RECORDS_MAX: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(4_000)
    .describe('Received records that are committed together at most'),
  TASK_BACKFILL_SHARE: z.coerce
    .number()
    .min(0.001)
    .max(1)
    .default(0.2)
    .describe('The part of a commit that a backlog may take'),
  TASK_COMMIT_BYTES: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(100_000_000)
    .default(2_000_000)
    .describe('About what a commit takes in payloads'),
  TASK_TICK_INTERVAL_MS: durationMsSetting
    .default(10_000)
    .describe('How often time moves in a partition without readings'),
  TASK_SNAPSHOT_INTERVAL_MS: durationMsSetting
    .default(10_000)
    .describe('How often the state is written whole at most'),
  TASK_SESSION_TIMEOUT_MS: durationMsSetting
    .default(6_000)
    .describe('After what silence Kafka gives the partitions of this process to another'),
  TASK_MUTANT: z
    .enum(['commit-offsets-early'])
    .optional()
    .describe('Breaks a promise on purpose, so that a test can see itself fail; never set it'),
  TASK_HOST: z.string().default('127.0.0.1').describe('The address of health and metrics'),
  TASK_ADMIN_PORT: portSetting.default(0).describe('The port of health and metrics; 0: a free one'),
});

export type TaskConfig = Readonly<z.output<typeof taskSettings>>;

export function readConfig(env: Environment = process.env): TaskConfig {
  return readEnvironment(taskSettings, env);
}
