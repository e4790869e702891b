import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  type AlternativeName,
  issueCertificate,
  type KeyPair,
} from '@domicile/runtime/certificates.ts';
import { z } from 'zod';

const dayMs = 86_400_000;
const serverDays = 90;
/** A third of its life before its end, as gateways do it. */
const renewBeforeDays = serverDays / 3;

export interface ServerNames {
  readonly commonName: string;
  /** Names and addresses by which it is called. */
  readonly hosts: readonly string[];
}

/** The certificate of a server of the cell. */
export function issueServer(
  authority: KeyPair,
  { commonName, hosts }: ServerNames,
  nowMs: number,
): Promise<KeyPair> {
  return issueCertificate(authority, {
    name: commonName,
    names: hosts.map(nameOf),
    usages: ['serverAuth'],
    days: serverDays,
    nowMs,
  });
}

/** The first half of the SHA-256 of its certificate, as `openssl x509 -fingerprint -sha256` begins: 32 hexadecimal digits. */
export function fingerprintOf({ certificate }: Pick<KeyPair, 'certificate'>): string {
  const digits = new X509Certificate(certificate).fingerprint256.replaceAll(':', '');
  return digits.slice(0, 32).toLowerCase();
}

/** Of that authority, for all of these hosts, and good for a while yet. */
export function isServing(
  { certificate, key }: KeyPair,
  of: { readonly authority: string; readonly hosts: readonly string[]; readonly nowMs: number },
): boolean {
  try {
    const read = new X509Certificate(certificate);
    const authority = new X509Certificate(of.authority);
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

function nameOf(host: string): AlternativeName {
  return isAddress(host) ? { type: 'ip', value: host } : { type: 'dns', value: host };
}

function isAddress(host: string): boolean {
  return z.ipv4().safeParse(host).success || z.ipv6().safeParse(host).success;
}
