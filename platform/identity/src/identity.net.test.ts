import { createPublicKey, verify } from 'node:crypto';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { keysIn } from './keys.ts';
import { attemptLimits } from './model/attempts.ts';
import { TestBrowser, redirectUri, startTestIssuer, type TestIssuer } from './test-support.ts';
import { mintToken } from './tokens.ts';

let running: TestIssuer;
beforeAll(async () => {
  running = await startTestIssuer();
});
afterAll(() => running[Symbol.asyncDispose]());

const both: [string, string][] = [
  ['resource', 'domicile:de'],
  ['resource', 'domicile:us'],
];
const tokens = z.object({
  access_token: z.string(),
  refresh_token: z.string(),
  id_token: z.string(),
  scope: z.string(),
});
const read = async (response: Response) => tokens.parse(await response.json());
const payloadOf = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

async function logInAs(user: string, password: string, resources = both) {
  const browser = new TestBrowser(running.issuer);
  const { target } = await browser.authorize(resources);
  const { target: end } = await browser.logIn(target, user, password);
  expect(end).toContain(redirectUri);
  return { browser, code: new URL(end).searchParams.get('code') ?? '' };
}

test('one log-in gives a token for each cell, with what the user may do and no more', async () => {
  const { browser, code } = await logInAs('Anna ', 'right horse');
  const de = await read(await browser.exchange(code, { resource: 'domicile:de' }));
  expect(payloadOf(de.access_token)).toMatchObject({
    iss: running.issuer,
    aud: 'domicile:de',
    sub: 'anna',
    client: 'acme',
    scope: 'summary:read command:write',
  });
  const renew = { grant_type: 'refresh_token', refresh_token: de.refresh_token };
  const us = await read(await browser.token({ ...renew, resource: 'domicile:us' }));
  expect(payloadOf(us.access_token)).toMatchObject({ aud: 'domicile:us', client: 'acme' });
  await expectSigned(us.access_token);
  const again = await read(
    await browser.token({ ...renew, refresh_token: us.refresh_token, resource: 'domicile:de' }),
  );
  expect(payloadOf(again.access_token)).toMatchObject({ aud: 'domicile:de' });
});

test('a log-in that names no cell is for all of them, a cell at a time', async () => {
  const { browser, code } = await logInAs('anna', 'right horse', []);
  expect(payloadOf((await read(await browser.exchange(code))).access_token)).toMatchObject({
    aud: 'domicile:de',
  });
});

test('a user gets no token for a cell that is not theirs, and nobody for a cell that is none', async () => {
  const { browser, code } = await logInAs('bert', 'left horse');
  const de = await read(await browser.exchange(code, { resource: 'domicile:de' }));
  expect(payloadOf(de.access_token)).toMatchObject({ client: '*', scope: 'raw:read' });
  const renew = { grant_type: 'refresh_token', refresh_token: de.refresh_token };
  const us = await browser.token({ ...renew, resource: 'domicile:us' });
  expect([us.status, await us.json()]).toEqual([
    400,
    expect.objectContaining({ error: 'invalid_target' }),
  ]);
  const { target } = await browser.authorize([['resource', 'domicile:fr']]);
  expect(new URL(target).searchParams.get('error')).toBe('invalid_target');
});

test('tokens and log-ins outlive a restart, and the keys are for the process alone', async () => {
  const { browser, code } = await logInAs('anna', 'right horse');
  const before = await read(await browser.exchange(code, { resource: 'domicile:de' }));
  await running.restart();
  await expectSigned(before.access_token);
  const renew = { grant_type: 'refresh_token', refresh_token: before.refresh_token };
  expect((await browser.token({ ...renew, resource: 'domicile:us' })).status).toBe(200);
  const { target } = await browser.authorize(both);
  expect(target).toContain(redirectUri);
  const modes = await modesIn(running.stateDir);
  expect(Object.keys(modes)).toEqual(expect.arrayContaining(['keys.json', 'sessions.json']));
  expect(new Set(Object.values(modes))).toEqual(new Set([0o600]));
});

/** By name; a file that went meanwhile, as those do that others are made of, is left out. */
async function modesIn(folder: string): Promise<Record<string, number>> {
  const modes: Record<string, number> = {};
  for (const file of await readdir(folder)) {
    const found = await stat(join(folder, file)).catch(() => undefined);
    if (found) modes[file] = found.mode & 0o777;
  }
  return modes;
}

test('a user who is taken out can no longer renew', async () => {
  const { browser, code } = await logInAs('anna', 'right horse');
  const { refresh_token } = await read(await browser.exchange(code));
  const write = (users: unknown) => writeFile(running.usersFile, JSON.stringify({ users }));
  await write(running.users.slice(1));
  const refused = await browser.token({ grant_type: 'refresh_token', refresh_token });
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: 'invalid_grant' }]);
  await write(running.users);
});

test('the code is of no use without its verifier, and once only', async () => {
  const { browser, code } = await logInAs('anna', 'right horse');
  expect((await new TestBrowser(running.issuer).exchange(code)).status).toBe(400);
  const second = await logInAs('anna', 'right horse');
  expect((await second.browser.exchange(second.code)).status).toBe(200);
  expect((await second.browser.exchange(second.code)).status).toBe(400);
  expect(browser).toBeDefined();
});

test('a wrong password and an unknown user get the same answer, and guessing ends', async () => {
  const browser = new TestBrowser(running.issuer);
  const { target } = await browser.authorize(both);
  const wrong = await browser.logIn(target, 'nobody-1', 'x');
  const known = await browser.logIn(target, 'bert', '"><script>x</script>');
  const [unknownText, knownText] = [await wrong.page.text(), await known.page.text()];
  expect([wrong.page.status, known.page.status]).toEqual([401, 401]);
  expect(unknownText.replaceAll('nobody-1', 'bert')).toBe(knownText);
  expect(knownText).not.toContain('script>');
  for (let n = 0; n < attemptLimits.perUserAndAddress; n += 1)
    await browser.logIn(target, 'nobody-2', `guess ${n}`);
  const limited = await browser.logIn(target, 'nobody-2', 'guess');
  expect(limited.page.status).toBe(429);
  expect(Number(limited.page.headers.get('retry-after'))).toBeGreaterThan(60);
  expect(await limited.page.text()).toContain('Too many attempts. Try again in 15 minutes.');
});

test('the page asks nothing of strangers and runs no script', async () => {
  const { page } = await new TestBrowser(running.issuer).authorize(both);
  const text = await page.text();
  expect(page.headers.get('content-security-policy')).toBe(
    "default-src 'none'; style-src 'self'; img-src 'self'; " +
      "form-action 'self' http://127.0.0.1:4999; frame-ancestors 'none'; base-uri 'none'",
  );
  expect(text).not.toMatch(/<script|https?:|style=/);
  const style = await fetch(`${running.issuer}/assets/identity.css`);
  expect([style.status, style.headers.get('content-type')]).toEqual([
    200,
    'text/css; charset=utf-8',
  ]);
  expect(await style.text()).not.toMatch(/url\(|@import/);
});

test('an expired or forged log-in page says so', async () => {
  const page = await fetch(`${running.issuer}/interaction/forged`);
  expect([page.status, await page.text()]).toEqual([400, expect.stringContaining('has expired')]);
});

test('only the web app may ask from a browser', async () => {
  const { browser, code } = await logInAs('anna', 'right horse');
  const answer = await browser.exchange(code);
  expect(answer.headers.get('access-control-allow-origin')).toBe('http://127.0.0.1:4999');
  const { refresh_token } = await read(answer);
  const stranger = await fetch(`${running.issuer}/token`, {
    method: 'POST',
    headers: { origin: 'http://evil.example' },
    body: new URLSearchParams({
      client_id: 'domicile-web',
      grant_type: 'refresh_token',
      refresh_token,
    }),
  });
  expect(stranger.status).toBe(400);
});

test('a log-out ends the log-in', async () => {
  const { browser, code } = await logInAs('anna', 'right horse');
  const { id_token } = await read(await browser.exchange(code));
  const page = await browser.visit(`/session/end?id_token_hint=${id_token}`);
  const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(await page.text()) ?? [];
  await browser.visit('/session/end/confirm', { xsrf, logout: 'yes' });
  const { page: asked } = await browser.authorize(both);
  expect(await asked.text()).toContain('Password');
});

test('minted tokens are of the same key, for one cell and for their time', async () => {
  const token = mintToken(await keysIn(running.stateDir), {
    issuer: running.issuer,
    country: parseCountryCode('US'),
    user: { user: 'carl', client: 'acme', scopes: ['summary:read'] },
    lifetimeSeconds: 60,
    now: 1_000_000,
  });
  await expectSigned(token);
  expect(payloadOf(token)).toMatchObject({
    iss: running.issuer,
    aud: 'domicile:us',
    sub: 'carl',
    client: 'acme',
    scope: 'summary:read',
    iat: 1000,
    exp: 1060,
  });
});

/** As a cell does: by the published keys, which are public halves alone. */
async function expectSigned(token: string): Promise<void> {
  const answer = await fetch(`${running.issuer}/jwks`);
  const keySet = z
    .object({ keys: z.array(z.looseObject({ kid: z.string(), kty: z.string() })) })
    .parse(await answer.json());
  const [head = '', body = '', signature = ''] = token.split('.');
  const { kid } = z
    .object({ kid: z.string() })
    .parse(JSON.parse(Buffer.from(head, 'base64url').toString()));
  const key = keySet.keys.find((one) => one.kid === kid);
  expect(key).toBeDefined();
  expect(key).not.toHaveProperty('d');
  const options = {
    key: createPublicKey({ key: { ...key }, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363',
  } as const;
  const bytes = Buffer.from(signature, 'base64url');
  expect(verify('sha256', Buffer.from(`${head}.${body}`), options, bytes)).toBe(true);
}
