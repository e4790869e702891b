import { parseBuildingId } from '@domicile/core/identities.ts';
import type { ConnectRequest } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { expect, test } from 'vitest';
import { authenticate } from './authentication.ts';
import { RegistryView } from './model/registry-view.ts';
import { hashPassword, PasswordChecker } from './password.ts';

const passwordHash = await hashPassword('correct', { N: 16, r: 1, p: 1 });

const certificate = { serial: '0A', issuer: 'CN=authority', expiresAtMs: 1e15 };

/** A registry that tells what it was asked. */
class AskedRegistry extends RegistryView {
  readonly asked: string[] = [];
  override active(building: string) {
    this.asked.push(building);
    return super.active(building);
  }
}

function house() {
  const registry = new AskedRegistry('DE');
  const declare = (id: string, more: object = {}) => {
    const record = { id, country: 'DE', state: 'active', passwordHash, ...more };
    registry.note(id, Buffer.from(JSON.stringify(record)), 1n);
  };
  declare('de-a');
  declare('de-no-password', { passwordHash: null });
  declare('de-gone', { state: 'offboarded' });
  const passwords = new PasswordChecker();
  const come = (more: Partial<ConnectRequest>, certificateUris?: string[]) =>
    authenticate(
      { country: 'DE', registry, passwords },
      {
        clientId: 'c',
        protocolVersion: 5,
        cleanStart: true,
        userName: undefined,
        password: undefined,
        will: undefined,
        ...more,
      },
      certificateUris ? { certificate: { ...certificate, uris: certificateUris } } : {},
    );
  const withPassword = (userName: string, password = 'correct') =>
    come({ userName, password: Buffer.from(password) });
  return { registry, come, withPassword };
}

test('who comes with the right password, or with a certificate, is that building', async () => {
  const { come, withPassword } = house();
  const identity = { building: parseBuildingId('de-a'), key: Buffer.from('de-a') };
  expect(await withPassword('de-a')).toEqual({
    admitted: true,
    key: 'de-a/c',
    identity: { ...identity, gateway: undefined, credential: { kind: 'password', passwordHash } },
  });
  expect(await come({}, ['urn:domicile:de:de-a:gw-1'])).toEqual({
    admitted: true,
    key: 'de-a/c',
    identity: {
      ...identity,
      gateway: 'gw-1',
      credential: { kind: 'certificate', ...certificate },
    },
  });
});

test('a building of another country is refused before anything is looked up', async () => {
  const { registry, come, withPassword } = house();
  const answers = [
    await withPassword('us-a'),
    await come({}, ['urn:domicile:us:us-a:gw-1']),
    await come({}, ['urn:domicile:us:de-a:gw-1']),
    await come({}, ['urn:domicile:de:us-a:gw-1']),
  ];
  for (const answer of answers) {
    expect(answer).toEqual({ admitted: false, reasonCode: reason.notAuthorized });
  }
  expect(registry.asked).toEqual([]);
});

test.each([
  ['de-a', 'wrong'],
  ['de-unknown', 'correct'],
  ['de-no-password', 'correct'],
  ['de-gone', 'correct'],
  ['de', 'correct'],
  ['__proto__', 'correct'],
  ['DE-A', 'correct'],
  ['xx-a', 'correct'],
])('%s with %s is refused like any other wrong password', async (userName, password) => {
  expect(await house().withPassword(userName, password)).toEqual({
    admitted: false,
    reasonCode: reason.badUserNameOrPassword,
  });
});

test.each([
  ['no name', undefined, undefined],
  ['a certificate without a name', undefined, ['https://example.org']],
  ['a certificate with two', undefined, ['urn:domicile:de:de-a:g', 'urn:domicile:de:de-b:g']],
  ['another user name than the certificate', 'de-b', ['urn:domicile:de:de-a:g']],
  ['a certificate of an offboarded building', undefined, ['urn:domicile:de:de-gone:g']],
])('%s is refused', async (_name, userName, uris) => {
  expect(await house().come({ userName }, uris)).toEqual({
    admitted: false,
    reasonCode: reason.notAuthorized,
  });
});

test('a certificate that nobody stands for is refused, even beside the right password', async () => {
  const { registry } = house();
  const answer = await authenticate(
    { country: 'DE', registry, passwords: new PasswordChecker() },
    {
      clientId: 'c',
      protocolVersion: 5,
      cleanStart: true,
      userName: 'de-a',
      password: Buffer.from('correct'),
      will: undefined,
    },
    {
      certificate: { ...certificate, uris: ['urn:domicile:de:de-a:gw-1'], fault: 'CERT_REVOKED' },
    },
  );
  expect(answer).toEqual({ admitted: false, reasonCode: reason.notAuthorized });
});
