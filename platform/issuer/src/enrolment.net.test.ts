import { webcrypto } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseBuildingId } from '@domicile/core/identities.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Authority } from './authority.ts';
import { writeEnrolment } from './enrolment-files.ts';
import { enrolFirst } from './enrolment.ts';
import { issuerEvents } from './events.ts';
import { IssuedBook } from './issued.ts';
import { testBuilding, testToken } from './test-issuer.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

async function requestOfNewKey(): Promise<Buffer> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=gw-1',
    keys,
    signingAlgorithm: algorithm,
  });
  return Buffer.from(request.rawData);
}

test('of two keys that come with one token at the same time one gets a certificate', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'issuer-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const [certificateFile, keyFile] = [join(directory, 'ca.pem'), join(directory, 'ca.key')];
  const made = await createAuthority('test-authority');
  await writeFile(certificateFile, made.certificate);
  await writeFile(keyFile, made.key);
  const enrolmentsDir = join(directory, 'enrolments');
  const building = parseBuildingId(testBuilding);
  await writeEnrolment(enrolmentsDir, building, { state: 'active', token: testToken });
  const authority = await Authority.open(certificateFile, keyFile);
  const both = Promise.withResolvers<void>();
  let signing = 0;
  const parts = {
    country: 'DE' as const,
    authority: {
      bundle: authority.bundle,
      sign: async (...of: Parameters<Authority['sign']>) => {
        signing += 1;
        if (signing === 2) both.resolve();
        await both.promise;
        return authority.sign(...of);
      },
    },
    book: await IssuedBook.open(join(directory, 'state')),
    enrolmentsDir,
    lifetimeMs: 3_600_000,
    events: issuerEvents(createLog('issuer', { write: () => undefined }), new Registry()),
    now: Date.now,
  };
  const credentials = { user: testBuilding, password: testToken };
  const bodies = await Promise.all([requestOfNewKey(), requestOfNewKey()]);
  const answers = await Promise.allSettled(
    bodies.map((body) => enrolFirst(parts, credentials, body)),
  );
  expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  const refused = answers.find((answer) => answer.status === 'rejected');
  expect(refused?.reason).toMatchObject({ refusal: 'token-used' });
});
