import { parseCountryCode } from '@domicile/core/identities.ts';
import { parsedBy, portSetting, readEnvironment } from '@domicile/runtime/environment.ts';
import { z } from 'zod';

const dayMs = 86_400_000;
const count = z.coerce.number().int().min(1);

export const issuerSettings = z.object({
  CELL_COUNTRY: parsedBy(parseCountryCode).describe('The country whose gateways get certificates'),
  ISSUER_HOST: z.string().default('127.0.0.1').describe('The address to listen on'),
  ISSUER_PORT: portSetting.default(8444).describe('EST over TLS; 0 takes a free port'),
  ISSUER_ADMIN_PORT: portSetting.default(0).describe('The port of health and metrics'),
  ISSUER_CA_CERT_FILE: z.string().describe("PEM of the cell's authority"),
  ISSUER_CA_KEY_FILE: z
    .string()
    .describe('PEM of its key, PKCS#8; no other process of the cell may read it'),
  ISSUER_TLS_CERT_FILE: z.string().describe('PEM of this server: its chain'),
  ISSUER_TLS_KEY_FILE: z.string().describe('PEM of its private key'),
  ISSUER_ENROLMENTS_DIR: z
    .string()
    .describe('A JSON file for each building that may enrol; read at each request'),
  ISSUER_STATE_DIR: z
    .string()
    .describe('Where it is kept what was issued and which tokens are used'),
  ISSUER_CERTIFICATE_MS: count
    .max(3650 * dayMs)
    .default(90 * dayMs)
    .describe('How long a certificate is good for; gateways renew at two thirds of it'),
  ISSUER_REQUESTS_PER_MINUTE: count
    .default(600)
    .describe('Requests taken in a minute, of all gateways together; above it they come again'),
});

export type IssuerConfig = Readonly<z.output<typeof issuerSettings>>;

export function readConfig(env = process.env): IssuerConfig {
  return readEnvironment(issuerSettings, env);
}
