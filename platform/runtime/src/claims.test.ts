import { expect, test } from 'vitest';
import {
  type Claims,
  claimsHeader,
  claimsOf,
  everyClient,
  internalHeader,
  maySee,
  parseScopes,
  readClaims,
  requireScope,
  writeClaims,
} from './claims.ts';

const claims: Claims = {
  subject: 'anna',
  client: 'acme',
  scopes: new Set(['summary:read']),
  expiresAt: 1_900_000_000,
};
const payload = { sub: 'anna', client: 'acme', scope: 'summary:read', exp: 1_900_000_000 };

test('what the front door wrote a service reads', () => {
  const limited = { ...claims, buildings: ['de-7f3k'] };
  expect(readClaims({ headers: writeClaims(claims, 's3') }, 's3')).toEqual(claims);
  expect(readClaims({ headers: writeClaims(limited, 's3') }, 's3')).toEqual(limited);
});

test.each([
  ['no headers', {}],
  ['no secret', { [claimsHeader]: writeClaims(claims, 's3')[claimsHeader] }],
  ['another secret', writeClaims(claims, 's4')],
  ['an empty secret', writeClaims(claims, '')],
  ['no claims', { [internalHeader]: 's3' }],
  ['claims that are no JSON', { ...writeClaims(claims, 's3'), [claimsHeader]: 'e30x' }],
  ['claims of nobody', { ...writeClaims(claims, 's3'), [claimsHeader]: 'e30' }],
])('%s are refused', (_what, headers) => {
  expect(() => readClaims({ headers }, 's3')).toThrow(
    expect.objectContaining({ code: 'UNAUTHENTICATED' }),
  );
});

test('a service without a secret trusts nobody', () => {
  const read = () => readClaims({ headers: writeClaims(claims, '') }, '');
  expect(read).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
});

test.each([
  ['without a client', { ...payload, client: undefined }],
  ['with an odd client', { ...payload, client: '**' }],
  ['without a subject', { ...payload, sub: '' }],
  ['without an end', { ...payload, exp: undefined }],
  ['with buildings that are none', { ...payload, buildings: ['../x'] }],
  ['that is no object', 'anna'],
])('a token %s has no claims', (_what, broken) => {
  expect(claimsOf(payload)).toEqual(claims);
  expect(claimsOf(broken)).toBeUndefined();
});

test('known scopes are granted, by whole words', () => {
  expect(parseScopes('openid raw:read summary:reader')).toEqual(new Set(['raw:read']));
  expect(parseScopes('')).toEqual(new Set());
  expect(() => requireScope(claims, 'summary:read')).not.toThrow();
  expect(() => requireScope(claims, 'raw:read')).toThrow(
    expect.objectContaining({ code: 'FORBIDDEN' }),
  );
});

test('a client sees its own buildings, an internal team all, and both no more than they are given', () => {
  const own = { id: 'de-7f3k', client: 'acme' };
  const other = { id: 'de-9aaa', client: 'globex' };
  const seen = (who: Claims) => [maySee(who, own), maySee(who, other)];
  expect(seen(claims)).toEqual([true, false]);
  expect(seen({ ...claims, client: everyClient })).toEqual([true, true]);
  expect(seen({ ...claims, client: everyClient, buildings: ['de-9aaa'] })).toEqual([false, true]);
  expect(seen({ ...claims, buildings: ['de-9aaa'] })).toEqual([false, false]);
});
