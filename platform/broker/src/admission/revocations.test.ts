import { createAuthority } from '@domicile/runtime/certificates.ts';
import { expect, test } from 'vitest';
import { isRevoked, noRevocations, readLists, readSerials } from './revocations.ts';
import { revocationList } from './test-revocation-list.ts';

test('serial numbers are read as people and OpenSSL write them', () => {
  const serials = readSerials(
    'serial=0a1b\n0A:1C # stolen\n\n# nothing\n  00ff  \n000\nabc # odd\r\n',
  );
  expect([...serials]).toEqual(['0A1B', '0A1C', 'FF', '00', '0ABC']);
});

test.each(['xyz', '12 34 # fine\nserial number 7', 'a'.repeat(41)])('%j is refused', (text) => {
  expect(() => readSerials(text)).toThrow(/line \d/);
});

test('a number in a list revokes for its issuer alone, one in the file for any', async () => {
  const authority = await createAuthority('cell-de');
  const list = await revocationList(authority, ['0A1B']);
  const { listed } = await readLists(list, authority.certificate);
  const of = { ...noRevocations, listed, serials: readSerials('0c') };
  const asks = (issuer: string, serial: string) =>
    isRevoked(of, { issuer, serial, expiresAtMs: 0 });
  expect([asks('CN=cell-de', '0A1B'), asks('CN=other', '0A1B')]).toEqual([true, false]);
  expect([asks('CN=cell-de', '0C'), asks('CN=other', '0C')]).toEqual([true, true]);
  await expect(readLists('no PEM', authority.certificate)).rejects.toThrow('not PEM');
});
