import { createPrivateKey, X509Certificate } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import type { Validity } from '../model/renewal.ts';

/** A certificate as it lies on disk. */
export interface CertificateInfo extends Validity {
  /** URIs among its subject alternative names. */
  readonly uris: readonly string[];
  readonly serial: string;
  /** Its authority, as a person reads it. */
  readonly issuer: string;
}

export interface CertificatePaths {
  readonly certFile: string;
  readonly keyFile: string;
}

export function certificateInfo(pem: string | Buffer): CertificateInfo {
  const { validFrom, validTo, subjectAltName, serialNumber, issuer } = new X509Certificate(pem);
  const names = subjectAltName?.split(', ') ?? [];
  return {
    fromMs: Date.parse(validFrom),
    untilMs: Date.parse(validTo),
    uris: names.filter((name) => name.startsWith('URI:')).map((name) => name.slice(4)),
    serial: serialNumber,
    issuer: issuer.replaceAll('\n', ', '),
  };
}

/** Undefined if there is none. Throws what is no certificate. */
export async function readCertificate(file: string): Promise<CertificateInfo | undefined> {
  const pem = await readIfThere(file);
  return pem === undefined ? undefined : certificateInfo(pem);
}

/** Whether a key, PEM, is the one of a certificate. */
export function belongTogether(certificatePem: string, keyPem: string): boolean {
  try {
    return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

/** The key of an enrolment that is under way: it lies on disk before it is shown, since an answer may be lost. */
export async function pendingKey(
  { keyFile }: CertificatePaths,
  make: () => Promise<string>,
): Promise<string> {
  const pending = await readIfThere(nextOf(keyFile));
  if (pending !== undefined && isKey(pending)) return pending;
  const made = await make();
  await writeSynced(nextOf(keyFile), made);
  return made;
}

/** Puts the certificate of the pending key in the place of the one before. A crash on the way is mended by `finishSwap`. */
export async function swapCertificate(
  paths: CertificatePaths,
  certificatePem: string,
): Promise<void> {
  await writeSynced(nextOf(paths.certFile), certificatePem);
  await finishSwap(paths);
}

/** Does what a crash left undone: first the key, then the certificate. Nothing if there is nothing to do. */
export async function finishSwap({ certFile, keyFile }: CertificatePaths): Promise<void> {
  const certificate = await readIfThere(nextOf(certFile));
  if (certificate === undefined) return;
  const nextKey = await readIfThere(nextOf(keyFile));
  if (nextKey !== undefined && belongTogether(certificate, nextKey))
    await rename(nextOf(keyFile), keyFile);
  const key = await readIfThere(keyFile);
  if (key !== undefined && belongTogether(certificate, key))
    await rename(nextOf(certFile), certFile);
  else await rm(nextOf(certFile), { force: true });
}

function nextOf(file: string): string {
  return `${file}.next`;
}

function isKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).type === 'private';
  } catch {
    return false;
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
}

async function writeSynced(path: string, content: string): Promise<void> {
  // A file that is there keeps its mode, so what is left of before goes first.
  await rm(path, { force: true });
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(content);
  await file.sync();
}
