import { parseCountryCode } from '@domicile/core/identities.ts';
import { clientOptionsOf, kafkaSettings } from '@domicile/kafka/config.ts';
import {
  durationMsSetting,
  type Environment,
  parsedBy,
  portSetting,
  readEnvironment,
} from '@domicile/runtime/environment.ts';
import { z } from 'zod';

export const commandsSettings = z.object({
  ...kafkaSettings,
  CELL_COUNTRY: parsedBy(parseCountryCode).describe('The country of this cell, for example DE'),
  COMMANDS_HOST: z.string().default('127.0.0.1').describe('The address to listen on'),
  COMMANDS_PORT: portSetting.default(0).describe('The port of the API; 0 takes a free one'),
  COMMANDS_ADMIN_PORT: portSetting.default(0).describe('The port of health and metrics'),
  COMMANDS_INTERNAL_SECRET_FILE: z
    .string()
    .describe('The secret by which the API gateway is known; without it nobody is answered'),
  COMMANDS_DELIVERY_TIMEOUT_MS: durationMsSetting
    .default(10_000)
    .describe('How long Kafka may take to acknowledge a command before the asker is told'),
  COMMANDS_EXPIRY_CHECK_MS: durationMsSetting
    .default(1_000)
    .describe('How often to look for commands that nobody took in time'),
});

export type CommandsConfig = Readonly<z.output<typeof commandsSettings>>;

export function readConfig(env: Environment = process.env): CommandsConfig {
  return readEnvironment(commandsSettings, env);
}

export const kafkaOf = clientOptionsOf;
