/** Authorities and the certificates that they issue: P-256, SHA-256, PEM. */
// oxlint-disable-next-line import/no-unassigned-import -- it changes a global, on which the library below builds
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate and its key, both in PEM; the key in PKCS#8, as Kafka wants it. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** A subject alternative name: `{ type: 'url', value: 'urn:…' }`. */
export interface AlternativeName {
  readonly type: 'dns' | 'ip' | 'url';
  readonly value: string;
}

export interface WantedCertificate {
  /** Its common name. */
  readonly name: string;
  readonly names?: readonly AlternativeName[];
  /** To a Kubernetes API server they are groups. */
  readonly organizations?: readonly string[];
  readonly usages: readonly ('clientAuth' | 'serverAuth')[];
  /** It ends with its authority at the latest. */
  readonly days: number;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

export const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

const dayMs = 86_400_000;
const authorityDays = 3650;
/** Clocks of gateways may be behind by as much. */
const backdatedMs = 3_600_000;

/** Of one level: what it issues can issue nothing. */
export async function createAuthority(name: string, nowMs = Date.now()): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: keyAlgorithm,
    serialNumber: serialNumber(),
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(nowMs + authorityDays * dayMs),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await keyPemOf(keys.privateKey) };
}

export async function issueCertificate(
  authority: KeyPair,
  { name, names = [], organizations = [], usages, days, nowMs }: WantedCertificate,
): Promise<KeyPair> {
  const issuer = new X509Certificate(authority.certificate);
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create({
    subject: [...organizations.map((one) => `O=${one}`), `CN=${name}`].join(', '),
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await signingKeyOf(authority.key),
    signingAlgorithm: keyAlgorithm,
    serialNumber: serialNumber(),
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(Math.min(nowMs + days * dayMs, issuer.notAfter.getTime())),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(usages.map((usage) => ExtendedKeyUsage[usage])),
      ...(names.length > 0 ? [new SubjectAlternativeNameExtension([...names])] : []),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await keyPemOf(keys.privateKey) };
}

/** Positive and of a fixed length, as RFC 5280 wants it: hex. */
export function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** A new private key: PKCS#8, PEM. */
export async function createKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  return keyPemOf(privateKey);
}

/** To sign with a private key in PEM; nothing gets it out again. */
export function signingKeyOf(
  pem: string,
  algorithm: webcrypto.EcKeyImportParams = keyAlgorithm,
): Promise<webcrypto.CryptoKey> {
  const der = PemConverter.decodeFirst(pem);
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

async function keyPemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}
