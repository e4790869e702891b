import { createSign } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { OAuth2Client } from 'google-auth-library';
import { z } from 'zod';

const scope = 'https://www.googleapis.com/auth/devstorage.full_control';
const assertionLifetimeS = 3_600;
const tokenTimeoutMs = 10_000;
/** Where Google issues tokens; a key file of another issuer says where. */
const tokenUriDefault = 'https://oauth2.googleapis.com/token';

const keySchema = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().min(1),
  project_id: z.string().min(1),
  token_uri: z.url().default(tokenUriDefault),
});
const answerSchema = z.object({ access_token: z.string().min(1), expires_in: z.number() });

/** A service account's key, as its JSON file says it. */
export type GcsKey = z.output<typeof keySchema>;

/** Throws `CONFIG_INVALID`; the message holds nothing of the text. */
export function parseGcsKey(text: string): GcsKey {
  const read = z
    .string()
    .transform((json, context): unknown => {
      try {
        return JSON.parse(json);
      } catch {
        context.addIssue('expected JSON');
        return z.NEVER;
      }
    })
    .pipe(keySchema)
    .safeParse(text);
  if (read.success) return read.data;
  const faults = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new PlatformError(
    'CONFIG_INVALID',
    `Cannot read the key of the service account: ${faults.join('; ')}`,
  );
}

/**
 * Authorises by a key: a JWT bearer grant (RFC 7523) at the key's own `token_uri`, which the library's client of that kind does
 * not heed.
 */
export function keyClient(key: GcsKey): OAuth2Client {
  const client = new OAuth2Client();
  client.refreshHandler = async () => {
    const answer = await fetch(key.token_uri, {
      method: 'POST',
      signal: AbortSignal.timeout(tokenTimeoutMs),
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: assertionOf(key, Date.now()),
      }),
    });
    if (!answer.ok) throw refusedToken(answer.status);
    const { access_token, expires_in } = answerSchema.parse(await answer.json());
    return { access_token, expiry_date: Date.now() + expires_in * 1000 };
  };
  return client;
}

function refusedToken(status: number): PlatformError {
  const passes = status >= 500 || status === 429;
  return new PlatformError(
    passes ? 'UPSTREAM_UNAVAILABLE' : 'FORBIDDEN',
    `Cannot reach the store: its issuer of tokens answers ${status}`,
  );
}

function assertionOf(key: GcsKey, nowMs: number): string {
  const iat = Math.floor(nowMs / 1000);
  const head = { alg: 'RS256', typ: 'JWT', kid: key.private_key_id };
  const times = { iat, exp: iat + assertionLifetimeS };
  const claims = { iss: key.client_email, aud: key.token_uri, scope, ...times };
  const signed = [head, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = createSign('RSA-SHA256').update(signed).sign(key.private_key, 'base64url');
  return `${signed}.${signature}`;
}
