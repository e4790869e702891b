import { createHash, createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';

/** The cell's authority: PEM of its certificate and of its key, on P-256. */
export interface SigningAuthority {
  readonly certificate: string;
  readonly key: string;
}

/**
 * A JWS in compact form (RFC 7515), ES256, with the authority's certificate in its header. Throws `CONFIG_INVALID` for an
 * authority that is not on P-256.
 */
export function signedJson(payload: unknown, { certificate, key }: SigningAuthority): string {
  const { raw } = new X509Certificate(certificate);
  const privateKey = createPrivateKey(key);
  if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new PlatformError('CONFIG_INVALID', 'Cannot sign: the authority is not on P-256');
  const header = {
    alg: 'ES256',
    typ: 'domicile-erasure+jws',
    'x5t#S256': createHash('sha256').update(raw).digest('base64url'),
    x5c: [raw.toString('base64')],
  };
  const signed = [header, payload].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const text = signed.join('.');
  const signature = sign('sha256', Buffer.from(text), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${text}.${signature.toString('base64url')}`;
}

/** Of a JWS that is our own, or was just read from where only we write. */
export function payloadOf(jws: string): unknown {
  const [, payload = ''] = jws.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString());
}
