/** The authority of a cell and the certificates of its servers: P-256, SHA-256. */
// oxlint-disable-next-line import/no-unassigned-import -- it changes a global, on which the library below builds
import 'reflect-metadata';
import {
  createPrivateKey,
  randomBytes,
  webcrypto,
  X509Certificate as NodeCertificate,
} from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { z } from 'zod';

/** Both in PEM; the key in PKCS#8. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;
const authorityDays = 3650;
const serverDays = 90;
/** A third of its life before its end, as gateways do it. */
const renewBeforeDays = serverDays / 3;
const backdatedMs = 3_600_000;

export async function createAuthority(name: string, nowMs: number): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
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

export interface ServerNames {
  readonly commonName: string;
  /** Names and addresses by which it is called. */
  readonly hosts: readonly string[];
}

export async function issueServer(
  authority: KeyPair,
  { commonName, hosts }: ServerNames,
  nowMs: number,
): Promise<KeyPair> {
  const issuer = new X509Certificate(authority.certificate);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    PemConverter.decodeFirst(authority.key),
    algorithm,
    false,
    ['sign'],
  );
  const until = Math.min(nowMs + serverDays * dayMs, issuer.notAfter.getTime());
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${commonName}`,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    serialNumber: serialNumber(),
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(until),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(hosts.map(nameOf)),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await keyPemOf(keys.privateKey) };
}

/** Of that authority, for all of these hosts, and good for a while yet. */
export function isServing(
  { certificate, key }: KeyPair,
  of: { readonly authority: string; readonly hosts: readonly string[]; readonly nowMs: number },
): boolean {
  try {
    const read = new NodeCertificate(certificate);
    const authority = new NodeCertificate(of.authority);
    const leftMs = read.validToDate.getTime() - of.nowMs;
    return (
      read.checkPrivateKey(createPrivateKey(key)) &&
      read.verify(authority.publicKey) &&
      leftMs > renewBeforeDays * dayMs &&
      of.hosts.every((host) =>
        isAddress(host)
          ? read.checkIP(host) !== undefined
          : read.checkHost(host, { subject: 'never' }) !== undefined,
      )
    );
  } catch {
    // No certificate at all: a new one is issued.
    return false;
  }
}

function nameOf(host: string): JsonGeneralName {
  return isAddress(host) ? { type: 'ip', value: host } : { type: 'dns', value: host };
}

function isAddress(host: string): boolean {
  return z.ipv4().safeParse(host).success || z.ipv6().safeParse(host).success;
}

/** Positive, as RFC 5280 wants it. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

async function keyPemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}
