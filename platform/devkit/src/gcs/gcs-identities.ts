import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  verify,
} from 'node:crypto';
import { z } from 'zod';
import { badRequest, GcsFault } from './gcs-fault.ts';

const tokenLifetimeS = 3_600;
const clockSkewS = 60;
const project = 'domicile-test';

const headerSchema = z.object({ alg: z.literal('RS256'), kid: z.string() });
const claimsSchema = z.object({
  iss: z.string(),
  aud: z.string(),
  scope: z.string().min(1),
  iat: z.number(),
  exp: z.number(),
});

interface Identity {
  readonly email: string;
  readonly keyId: string;
  readonly privateKeyPem: string;
  /** Has every right in the project, by no bucket's leave. */
  readonly isAdmin: boolean;
}

/** Who asks: the member of an IAM policy. */
export interface GcsCaller {
  /** `serviceAccount:{email}`, or undefined for whoever says no name. */
  readonly member: string | undefined;
  readonly isAdmin: boolean;
}

/** Service accounts with a key each, and the tokens that they were given (RFC 7523). */
export class GcsIdentities {
  readonly #identities = new Map<string, Identity>();
  readonly #tokens = new Map<string, { readonly identity: Identity; readonly expiresMs: number }>();

  constructor(names: readonly string[], admins: readonly string[]) {
    for (const name of names) {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      this.#identities.set(name, {
        email: `${name}@${project}.iam.gserviceaccount.com`,
        keyId: randomBytes(20).toString('hex'),
        privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        isAdmin: admins.includes(name),
      });
    }
  }

  get names(): readonly string[] {
    return [...this.#identities.keys()];
  }

  emailOf(name: string): string {
    return this.#identity(name).email;
  }

  /** The text of a service-account key file, whose tokens are issued at `tokenUri`. */
  keyOf(name: string, tokenUri: string): string {
    const { email, keyId, privateKeyPem } = this.#identity(name);
    const key = {
      type: 'service_account',
      project_id: project,
      private_key_id: keyId,
      private_key: privateKeyPem,
      client_email: email,
      client_id: '100000000000000000000',
      token_uri: tokenUri,
    };
    return `${JSON.stringify(key, null, 2)}\n`;
  }

  /** Answers a JWT bearer grant. */
  grant(form: URLSearchParams, tokenUri: string): string {
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')
      throw badRequest('unsupported_grant_type');
    const identity = this.#verified(form.get('assertion') ?? '', tokenUri);
    const token = `ya29.${randomBytes(32).toString('base64url')}`;
    this.#tokens.set(token, { identity, expiresMs: Date.now() + tokenLifetimeS * 1000 });
    return JSON.stringify({
      access_token: token,
      expires_in: tokenLifetimeS - 1,
      token_type: 'Bearer',
    });
  }

  /** Throws 401 for a token that was not issued here or is over. */
  callerOf(authorization: string | undefined): GcsCaller {
    if (authorization === undefined) return { member: undefined, isAdmin: false };
    const found = this.#tokens.get(authorization.replace(/^Bearer /, ''));
    if (!found || found.expiresMs <= Date.now())
      throw new GcsFault(401, 'authError', 'Invalid Credentials');
    return {
      member: `serviceAccount:${found.identity.email}`,
      isAdmin: found.identity.isAdmin,
    };
  }

  /** Tokens given so far are over, as after their hour. */
  expireTokens(): void {
    this.#tokens.clear();
  }

  #identity(name: string): Identity {
    const found = this.#identities.get(name);
    if (!found)
      throw new Error(`Cannot find the identity ${name}: the emulator was started without`);
    return found;
  }

  #verified(assertion: string, tokenUri: string): Identity {
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    const refusal = new GcsFault(400, 'invalid_grant', 'Invalid JWT Signature.');
    const head = headerSchema.safeParse(jsonOf(header));
    const said = claimsSchema.safeParse(jsonOf(claims));
    if (!head.success || !said.success) throw refusal;
    const identity = [...this.#identities.values()].find(({ keyId }) => keyId === head.data.kid);
    if (!identity || said.data.iss !== identity.email || said.data.aud !== tokenUri) throw refusal;
    const publicKey = createPublicKey(createPrivateKey(identity.privateKeyPem));
    const signed = Buffer.from(`${header}.${claims}`);
    if (!verify('RSA-SHA256', signed, publicKey, Buffer.from(signature, 'base64url')))
      throw refusal;
    const nowS = Date.now() / 1000;
    const { iat, exp } = said.data;
    if (iat > nowS + clockSkewS || exp <= nowS || exp - iat > tokenLifetimeS) throw refusal;
    return identity;
  }
}

function jsonOf(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return undefined;
  }
}
