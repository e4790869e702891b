import { expect, test } from 'vitest';
import { authorizationUrl, encodeBase64Url, readCallback, readIdToken } from './oauth.ts';

const pending = { state: 's1', nonce: 'n1', verifier: 'v1', returnTo: '/buildings/de-1' };
const issuer = 'http://issuer.test';

function idToken(claims: Record<string, unknown>): string {
  const body = encodeBase64Url(new TextEncoder().encode(JSON.stringify(claims)));
  return `header.${body}.signature`;
}

test('one authorization asks for every cell, and proves itself by a digest', () => {
  const url = new URL(
    authorizationUrl({
      endpoint: `${issuer}/auth`,
      clientId: 'domicile-web',
      redirectUri: 'http://web.test/callback',
      audiences: ['domicile:de', 'domicile:us'],
      challenge: 'digest',
      pending,
    }),
  );
  expect(url.searchParams.getAll('resource')).toEqual(['domicile:de', 'domicile:us']);
  expect(url.searchParams.get('code_challenge_method')).toBe('S256');
  expect(url.searchParams.get('scope')).toContain('summary:read');
  expect(url.href).not.toContain(pending.verifier);
});

test('a code is taken only with the state that this tab gave', () => {
  expect(readCallback('?code=c&state=s1', pending, issuer)).toEqual({ kind: 'code', code: 'c' });
  expect(readCallback('?code=c&state=s2', pending, issuer).kind).toBe('refused');
  expect(readCallback('?code=c&state=s1', undefined, issuer).kind).toBe('refused');
});

test('a code of another issuer is refused', () => {
  const answer = readCallback('?code=c&state=s1&iss=http%3A%2F%2Fother.test', pending, issuer);
  expect(answer.kind).toBe('refused');
});

test("the issuer's reason is passed on", () => {
  const search = '?state=s1&error=access_denied&error_description=Not+today';
  expect(readCallback(search, pending, issuer)).toEqual({ kind: 'refused', reason: 'Not today' });
});

test('an ID token is for this issuer, this client and this sign-in', () => {
  const expected = { issuer, clientId: 'domicile-web', nonce: 'n1' };
  const good = { iss: issuer, aud: 'domicile-web', sub: 'u1', nonce: 'n1', name: 'Zoë' };
  expect(readIdToken(idToken(good), expected).name).toBe('Zoë');
  for (const wrong of [{ iss: 'x' }, { aud: ['x'] }, { nonce: 'n2' }])
    expect(() => readIdToken(idToken({ ...good, ...wrong }), expected)).toThrow('something else');
});
