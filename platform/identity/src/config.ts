import { parseCountryCode } from '@domicile/core/identities.ts';
import {
  durationMsSetting,
  parsedBy,
  portSetting,
  readEnvironment,
} from '@domicile/runtime/environment.ts';
import { z } from 'zod';

const words = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .pipe(z.array(z.string()).min(1));
const urls = words.pipe(z.array(z.url()));
const countries = words.pipe(z.array(parsedBy(parseCountryCode)));

export const identitySettings = z.object({
  IDENTITY_ISSUER: z.url().describe('The address that browsers and tokens call this issuer by'),
  IDENTITY_HOST: z.string().default('127.0.0.1').describe('The address to listen on'),
  IDENTITY_PORT: portSetting.default(8090).describe('The port to listen on; 0 takes a free one'),
  IDENTITY_ADMIN_PORT: portSetting.default(0).describe('The port of health and metrics'),
  IDENTITY_STATE_DIR: z.string().describe('Where keys and log-ins are kept, for this user alone'),
  IDENTITY_USERS_FILE: z.string().describe('The users, as JSON; followed while it changes'),
  IDENTITY_COUNTRIES: countries.describe(
    'The countries whose cells believe this issuer, for example DE,US',
  ),
  IDENTITY_REDIRECT_URIS: urls.describe('Where the web app takes up a log-in'),
  IDENTITY_LOGOUT_URIS: urls.describe('Where the web app goes after a log-out'),
  IDENTITY_ACCESS_TOKEN_MS: durationMsSetting
    .default(10 * 60_000)
    .describe('How long an access token is good for'),
  IDENTITY_SESSION_MS: durationMsSetting
    .default(12 * 3_600_000)
    .describe('How long a log-in is good for'),
  IDENTITY_TRUST_PROXY: z
    .stringbool()
    .default(false)
    .describe('Whether x-forwarded headers are of our own proxy'),
});

export type IdentityConfig = Readonly<z.output<typeof identitySettings>>;

export function readConfig(env = process.env): IdentityConfig {
  return readEnvironment(identitySettings, env);
}
