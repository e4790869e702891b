/** Keys and certificate requests (PKCS#10), and what an issuer answers with (PKCS#7). Loaded when it is needed alone. */
// oxlint-disable-next-line import/no-unassigned-import -- it changes a global, on which the library below builds
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
import {
  PemConverter,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509Certificates,
} from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A private key on P-256: PKCS#8, PEM. */
export async function createKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', privateKey), 'PRIVATE KEY')}\n`;
}

/** A request for the name `urn:domicile:{cc}:{building}:{gateway}`: DER. */
export async function certificateRequest(
  keyPem: string,
  { urn, gateway }: { readonly urn: string; readonly gateway: string },
): Promise<Buffer> {
  const publicDer = createPublicKey(createPrivateKey(keyPem)).export({
    type: 'spki',
    format: 'der',
  });
  const { subtle } = webcrypto;
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [gateway] }],
    keys: {
      privateKey: await subtle.importKey(
        'pkcs8',
        PemConverter.decodeFirst(keyPem),
        algorithm,
        false,
        ['sign'],
      ),
      publicKey: await subtle.importKey('spki', publicDer, algorithm, true, ['verify']),
    },
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'url', value: urn }])],
  });
  return Buffer.from(request.rawData);
}

/** The certificates of a PKCS#7 answer in base64, each in PEM, in their order. */
export function certificatesIn(base64: string): string[] {
  const der = Buffer.from(base64.replaceAll(/\s/g, ''), 'base64');
  try {
    return [...new X509Certificates(der)].map((one) => `${one.toString('pem')}\n`);
  } catch (cause) {
    throw new Error('Cannot enrol: what the issuer answers is no PKCS#7', { cause });
  }
}
