import { generateKeyPairSync } from 'node:crypto';
import { mkdtempDisposable, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCertificate } from '@domicile/devkit/certificates.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { createKey } from '@domicile/runtime/certificates.ts';
import { expect, test } from 'vitest';
import { belongTogether, finishSwap, pendingKey, swapCertificate } from './certificate-files.ts';
import { certificateRequest, certificatesIn } from './certificate-request.ts';

const directory = () => mkdtempDisposable(join(tmpdir(), 'certificate-'));
const authority = await createAuthority('authority');
const [first, second] = await Promise.all(
  ['first', 'second'].map((name) => issueCertificate(authority, { name })),
);
if (!first || !second) throw new Error('There are two certificates');

async function pathsIn(path: string) {
  const paths = { certFile: join(path, 'gateway.pem'), keyFile: join(path, 'gateway.key') };
  await writeFile(paths.certFile, first?.certificate ?? '');
  await writeFile(paths.keyFile, first?.key ?? '');
  const pair = async () => {
    const [certificate = '', key = ''] = await Promise.all(
      [paths.certFile, paths.keyFile].map((file) => readFile(file, 'utf8')),
    );
    expect(belongTogether(certificate, key)).toBe(true);
    return certificate;
  };
  return { ...paths, pair };
}

test('a pair takes the place of the one before, the key for its owner alone', async () => {
  await using dir = await directory();
  const { pair, ...paths } = await pathsIn(dir.path);
  expect(await pendingKey(paths, async () => second.key)).toBe(second.key);
  // An answer that was lost: the same key is asked for again.
  expect(await pendingKey(paths, createKey)).toBe(second.key);
  await swapCertificate(paths, second.certificate);
  expect(await pair()).toBe(second.certificate);
  expect((await stat(paths.keyFile)).mode & 0o777).toBe(0o600);
  expect((await readdir(dir.path)).toSorted()).toEqual(['gateway.key', 'gateway.pem']);
});

test('a crash at any place of the swap leaves or makes a pair that fits', async () => {
  await using dir = await directory();
  const { pair, ...paths } = await pathsIn(dir.path);
  // Before the first rename.
  await writeFile(`${paths.keyFile}.next`, second.key);
  await writeFile(`${paths.certFile}.next`, second.certificate);
  expect(await pair()).toBe(first.certificate);
  await finishSwap(paths);
  expect(await pair()).toBe(second.certificate);
  // Between the two.
  await writeFile(paths.keyFile, first.key);
  await writeFile(`${paths.certFile}.next`, first.certificate);
  await finishSwap(paths);
  expect(await pair()).toBe(first.certificate);
  // A certificate that fits nothing, and one that was written by half.
  for (const rest of [second.certificate, second.certificate.slice(0, 200)]) {
    await writeFile(`${paths.certFile}.next`, rest);
    await finishSwap(paths);
    expect(await pair()).toBe(first.certificate);
    expect((await readdir(dir.path)).toSorted()).toEqual(['gateway.key', 'gateway.pem']);
  }
});

test('a pending key that cannot be read is made anew', async () => {
  await using dir = await directory();
  const paths = await pathsIn(dir.path);
  await writeFile(`${paths.keyFile}.next`, second.key.slice(0, 60));
  expect(await pendingKey(paths, async () => second.key)).toBe(second.key);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  expect(belongTogether(second.certificate, pem)).toBe(false);
});

test('what is no answer of an issuer is said to be none', async () => {
  expect(() => certificatesIn('AAAA')).toThrow(/no PKCS#7/);
  const request = await certificateRequest(second.key, {
    urn: 'urn:domicile:de:de-1:gw',
    gateway: 'gw',
  });
  expect(request.toString('latin1')).toContain('urn:domicile:de:de-1:gw');
});
