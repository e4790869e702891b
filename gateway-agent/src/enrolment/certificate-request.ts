/** Certificate requests (PKCS#10), and what an issuer answers with (PKCS#7). Loaded when it is needed alone. */
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
import { keyAlgorithm, signingKeyOf } from '@domicile/runtime/certificates.ts';
import {
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509Certificates,
} from '@peculiar/x509';

/** A request for the name `urn:domicile:{cc}:{building}:{gateway}`: DER. */
export async function certificateRequest(
  keyPem: string,
  { urn, gateway }: { readonly urn: string; readonly gateway: string },
): Promise<Buffer> {
  const publicDer = createPublicKey(createPrivateKey(keyPem)).export({
    type: 'spki',
    format: 'der',
  });
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [gateway] }],
    keys: {
      privateKey: await signingKeyOf(keyPem),
      publicKey: await webcrypto.subtle.importKey('spki', publicDer, keyAlgorithm, true, [
        'verify',
      ]),
    },
    signingAlgorithm: keyAlgorithm,
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
