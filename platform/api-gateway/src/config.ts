import { isCountryCode } from '@domicile/core/countries.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import {
  durationMsSetting,
  parsedBy,
  portSetting,
  readEnvironment,
} from '@domicile/runtime/environment.ts';
import { z } from 'zod';

const words = z.string().transform((text) => text.split(',').map((part) => part.trim()));

/** `DE=https://…,US=https://…` */
const cells = words
  .pipe(z.array(z.string().regex(/^[A-Z]{2}=https?:\/\/\S+$/)))
  .transform((pairs) => new Map(pairs.map((pair) => [pair.slice(0, 2), pair.slice(3)])))
  .refine((map) => [...map.keys()].every(isCountryCode), 'must be countries and addresses');

const count = z.coerce.number().int().min(1);

export const gatewaySettings = z.object({
  GATEWAY_COUNTRY: parsedBy(parseCountryCode).describe('The country of this cell, for example DE'),
  GATEWAY_HOST: z.string().default('127.0.0.1').describe('The address to listen on'),
  GATEWAY_PORT: portSetting.default(8443).describe('The port of the API; 0 takes a free one'),
  GATEWAY_ADMIN_PORT: portSetting.default(0).describe('The port of health and metrics'),
  GATEWAY_ISSUER: z.url().describe('Who must have issued a token'),
  GATEWAY_JWKS: z
    .string()
    .describe('The public keys of the issuer: an address (https://…/jwks) or the path of a copy'),
  GATEWAY_API_KEYS_FILE: z
    .string()
    .optional()
    .describe('Hashes of API keys and what each may do; without it there are none'),
  GATEWAY_INTERNAL_SECRET_FILE: z
    .string()
    .describe('The secret by which the services behind know this door'),
  GATEWAY_RAW_SECRET_FILE: z
    .string()
    .optional()
    .describe('One for the raw API alone, so that no other service can speak to it as the door'),
  GATEWAY_COMMANDS_SECRET_FILE: z.string().optional().describe('One for the command service alone'),
  GATEWAY_SERVING_URL: z.url().describe('The serving API'),
  GATEWAY_RAW_URL: z.url().describe('The raw API'),
  GATEWAY_COMMANDS_URL: z.url().describe('The command service'),
  GATEWAY_RESIDENCY_URL: z
    .url()
    .optional()
    .describe('Who answers /v1/residency; without it the serving API'),
  GATEWAY_EST_URL: z
    .url({ protocol: /^https$/ })
    .optional()
    .describe('The issuer of gateways’ certificates; without it enrolment answers 501'),
  GATEWAY_EST_RENEWAL_URL: z
    .url({ protocol: /^https$/ })
    .optional()
    .describe('The issuer as gateways outside reach it, to renew; without it GATEWAY_EST_URL'),
  GATEWAY_EST_CA_FILE: z
    .string()
    .optional()
    .describe('PEM of the authority that vouches for the issuer'),
  GATEWAY_CELLS: cells
    .default(new Map())
    .describe('Where the cells of served countries are: DE=https://…,US=https://…'),
  GATEWAY_WEB_ORIGINS: words
    .pipe(z.array(z.url()))
    .default([])
    .describe('The origins of the web app, which may ask from a browser'),
  GATEWAY_LIMIT_REQUESTS: count
    .default(1_200)
    .describe('Requests a subject may make in a window, all at once if it likes'),
  GATEWAY_LIMIT_WINDOW_MS: durationMsSetting.default(60_000).describe('The window of the limit'),
  GATEWAY_LIMIT_FAILURES: count
    .default(300)
    .describe('Refused credentials an address may show in a window'),
  GATEWAY_STREAMS_PER_SUBJECT: count.default(16).describe('Live streams a subject may hold open'),
  GATEWAY_STREAMS_MAX: count.default(2_000).describe('Live streams in all'),
  GATEWAY_UPSTREAM_TIMEOUT_MS: durationMsSetting
    .default(30_000)
    .describe('How long a service behind may take to begin its answer'),
});

export type GatewayConfig = Readonly<z.output<typeof gatewaySettings>>;

export function readConfig(env = process.env): GatewayConfig {
  return readEnvironment(gatewaySettings, env);
}

export const webSettings = z.object({
  WEB_HOST: z.string().default('127.0.0.1').describe('The address to listen on'),
  WEB_PORT: portSetting.default(8080).describe('The port of the web app; 0 takes a free one'),
  WEB_ADMIN_PORT: portSetting.default(0).describe('The port of health and metrics'),
  WEB_FILES: z.string().describe('The folder of the built web app'),
  WEB_CONFIG_FILE: z
    .string()
    .describe('The JSON that the page reads: issuer, client and the cells with their addresses'),
});

export type WebConfig = Readonly<z.output<typeof webSettings>>;

export function readWebConfig(env = process.env): WebConfig {
  return readEnvironment(webSettings, env);
}
