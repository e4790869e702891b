/** Which certificates are revoked, read from PEM lists of authorities (RFC 5280) and from a file of serial numbers. */
// oxlint-disable-next-line import/no-unassigned-import -- it changes a global, on which the library below builds
import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { PemConverter, X509Certificate as Certificate, X509Crl } from '@peculiar/x509';
import type { CertificateName } from './identity.ts';

export interface Revocations {
  /** Of authorities' lists: issuer as `node:crypto` writes it, and serial number. */
  readonly listed: ReadonlySet<string>;
  /** Of the file: serial numbers of whatever issuer. */
  readonly serials: ReadonlySet<string>;
  /** Milliseconds since 1970 when the first of the lists wants to be replaced; `undefined` if none says. */
  readonly nextUpdateMs: number | undefined;
}

export const noRevocations: Revocations = {
  listed: new Set(),
  serials: new Set(),
  nextUpdateMs: undefined,
};

export function isRevoked(of: Revocations, { issuer, serial }: CertificateName): boolean {
  return of.serials.has(serial) || of.listed.has(nameOf(issuer, serial));
}

/**
 * The lists in a PEM file. Each must be signed by one of the authorities; throws `CONFIG_INVALID` otherwise. A list that
 * is past its next update still counts: who is on it stays refused, and who is not is let in.
 */
export async function readLists(
  pem: string,
  authoritiesPem: string,
): Promise<Pick<Revocations, 'listed' | 'nextUpdateMs'>> {
  const authorities = PemConverter.decode(authoritiesPem).map((der) => ({
    name: new X509Certificate(Buffer.from(der)).subject,
    certificate: new Certificate(der),
  }));
  const listed = new Set<string>();
  let nextUpdateMs: number | undefined;
  for (const der of decode(pem)) {
    const list = new X509Crl(der);
    const issuers = await authoritiesOf(list, authorities);
    if (issuers.length === 0) throw unreadable('a list that none of the authorities signed');
    for (const { serialNumber } of list.entries) {
      for (const issuer of issuers) listed.add(nameOf(issuer, normalSerial(serialNumber)));
    }
    const atMs = list.nextUpdate?.getTime();
    if (atMs !== undefined) nextUpdateMs = Math.min(nextUpdateMs ?? Infinity, atMs);
  }
  return { listed, nextUpdateMs };
}

/**
 * One hexadecimal serial number a line, also as OpenSSL prints it (`serial=…`, colons); `#` begins a comment.
 * Throws `CONFIG_INVALID`.
 */
export function readSerials(text: string): ReadonlySet<string> {
  const serials = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    const serial = line
      .replace(/#.*/, '')
      .replace(/[:\s]/g, '')
      .replace(/^serial=/i, '');
    if (serial === '') continue;
    if (!/^[0-9a-f]{1,40}$/i.test(serial)) throw unreadable(`line ${index + 1} of the serials`);
    serials.add(normalSerial(serial));
  }
  return serials;
}

type Authority = { readonly name: string; readonly certificate: Certificate };

async function authoritiesOf(list: X509Crl, all: readonly Authority[]): Promise<string[]> {
  const names: string[] = [];
  for (const { name, certificate } of all) {
    const signed = await list.verify({ publicKey: certificate }).catch(() => false);
    if (signed && certificate.subject === list.issuer) names.push(name);
  }
  return names;
}

function decode(pem: string): ArrayBuffer[] {
  const blocks = PemConverter.decode(pem);
  if (blocks.length === 0) throw unreadable('a list of revoked certificates: it is not PEM');
  return blocks;
}

/** As `node:crypto` writes it: upper case, whole bytes, no zero byte before others. */
function normalSerial(serial: string): string {
  const even = serial.length % 2 === 0 ? serial : `0${serial}`;
  return even.toUpperCase().replace(/^(00)+(?=..)/, '');
}

const nameOf = (issuer: string, serial: string): string => `${issuer}\n${serial}`;

function unreadable(what: string): PlatformError {
  return new PlatformError('CONFIG_INVALID', `Cannot use ${what}`);
}
