import { expect, test } from 'vitest';
import { certificateName, RequestRefused, type RequestedCertificate } from './request-policy.ts';

const good: RequestedCertificate = {
  uris: ['urn:domicile:de:de-7f3k:gw-1'],
  otherNames: 0,
  commonName: 'gw-1',
  key: { type: 'ec', curve: 'prime256v1' },
  isSigned: true,
};
const building = { building: 'de-7f3k' };

function refusalOf(wanted: Partial<RequestedCertificate>, requester: object = building): string {
  try {
    certificateName('DE', { ...building, ...requester }, { ...good, ...wanted });
  } catch (error) {
    if (error instanceof RequestRefused) return `${error.refusal} ${error.decision.httpStatus}`;
    throw error;
  }
  return 'granted';
}

test('the name is that of the request, or of its common name, or of the certificate that is renewed', () => {
  const name = { country: 'de', building: 'de-7f3k', gateway: 'gw-1' };
  expect(certificateName('DE', building, good)).toEqual(name);
  expect(certificateName('DE', building, { ...good, uris: [] })).toEqual(name);
  const renewing = { ...building, gateway: 'gw-1' };
  expect(certificateName('DE', renewing, { ...good, uris: [], commonName: undefined })).toEqual(
    name,
  );
});

test.each([
  ['another country', { uris: ['urn:domicile:us:us-4h8t:gw-1'] }, 'country 421'],
  ['another country in the name alone', { uris: ['urn:domicile:us:de-7f3k:gw-1'] }, 'country 421'],
  [
    'another country beside ours',
    { uris: [...good.uris, 'urn:domicile:us:us-1:gw'] },
    'country 421',
  ],
  ['another building', { uris: ['urn:domicile:de:de-other:gw-1'] }, 'building 403'],
  ['two names', { uris: [...good.uris, 'urn:domicile:de:de-7f3k:gw-2'] }, 'name 400'],
  ['a name of another kind', { uris: ['https://example.org'] }, 'name 400'],
  ['a DNS name', { otherNames: 1 }, 'name 400'],
  ['no name at all', { uris: [], commonName: undefined }, 'name 400'],
  ['a common name that is none of ours', { uris: [], commonName: 'GW 1' }, 'name 400'],
  ['RSA of 1024 bits', { key: { type: 'rsa', bits: 1024 } }, 'key 400'],
  ['RSA of 16384 bits', { key: { type: 'rsa', bits: 16_384 } }, 'key 400'],
  ['DSA', { key: { type: 'dsa' } }, 'key 400'],
  ['a short curve', { key: { type: 'ec', curve: 'secp224r1' } }, 'key 400'],
  ['no signature of its own', { isSigned: false }, 'signature 400'],
  ['RSA of 2048 bits', { key: { type: 'rsa', bits: 2048 } }, 'granted'],
  ['Ed25519', { key: { type: 'ed25519' } }, 'granted'],
])('%s: %s', (_what, wanted: Partial<RequestedCertificate>, expected) => {
  expect(refusalOf(wanted)).toBe(expected);
});

test('a renewal keeps its gateway, and a foreign requester is refused before all else', () => {
  expect(refusalOf({}, { gateway: 'gw-2' })).toBe('gateway 403');
  expect(refusalOf({ isSigned: false }, { building: 'us-4h8t' })).toBe('country 421');
});
