import { webcrypto } from 'node:crypto';
import type { KeyPair } from '@domicile/runtime/certificates.ts';
import { PemConverter, X509Certificate, X509CrlGenerator } from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A list of revoked certificates, PEM. For tests. */
export async function revocationList(
  authority: KeyPair,
  serials: readonly string[],
  { nextUpdate = new Date(Date.now() + 86_400_000) }: { nextUpdate?: Date } = {},
): Promise<string> {
  const now = new Date(Date.now() - 10_000);
  const list = await X509CrlGenerator.create({
    issuer: new X509Certificate(authority.certificate).subject,
    thisUpdate: now,
    nextUpdate,
    entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: now })),
    signingAlgorithm: algorithm,
    signingKey: await webcrypto.subtle.importKey(
      'pkcs8',
      PemConverter.decodeFirst(authority.key),
      algorithm,
      false,
      ['sign'],
    ),
  });
  return list.toString('pem');
}
