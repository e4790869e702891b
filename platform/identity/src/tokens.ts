import { randomUUID, sign } from 'node:crypto';
import { type CountryCode } from '@domicile/core/countries.ts';
import { must } from '@domicile/core/invariants.ts';
import { audienceOf } from '@domicile/core/residency.ts';
import { type Keys, privateKeyOf } from './keys.ts';
import type { User } from './users.ts';

export interface MintRequest {
  readonly issuer: string;
  readonly country: CountryCode;
  readonly user: Pick<User, 'user' | 'client' | 'scopes'> & { buildings?: readonly string[] };
  readonly lifetimeSeconds: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A ready access token for one cell, signed by the issuer's key: for the demo, scripts and tests. */
export function mintToken(keys: Keys, request: MintRequest): string {
  const { issuer, country, user, lifetimeSeconds, now } = request;
  const key = must(keys.signing[0], 'An issuer has a key');
  const issuedAt = Math.floor(now / 1000);
  const head = { alg: key.alg, typ: 'at+jwt', kid: key.kid };
  const payload = {
    iss: issuer,
    aud: audienceOf(country),
    sub: user.user,
    client: user.client,
    scope: user.scopes.join(' '),
    ...(user.buildings && { buildings: user.buildings }),
    iat: issuedAt,
    exp: issuedAt + lifetimeSeconds,
    jti: randomUUID(),
  };
  const signed = [head, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const options = { key: privateKeyOf(key), dsaEncoding: 'ieee-p1363' } as const;
  return `${signed}.${sign('sha256', Buffer.from(signed), options).toString('base64url')}`;
}
