import { appendFile, readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestIssuer, testBuilding, testToken } from './test-issuer.ts';

// The client is openssl and curl: nothing of ours speaks EST here.

const basic = `--user ${testBuilding}:${testToken}`;
const uri = `URI:urn:domicile:de:${testBuilding}:gw-1`;
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});

afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});

/** With a token that nobody used. */
async function freshToken(): Promise<string> {
  const token = `token-${crypto.randomUUID()}`;
  await issuer.declare('active', token);
  return `--user ${testBuilding}:${token}`;
}

test('the authority is told to whoever asks', async () => {
  await issuer.write('cacerts.p10', '');
  expect(await issuer.post('cacerts', 'cacerts', '--get')).toBe('200 application/pkcs7-mime');
  await issuer.certificate('cacerts');
  expect(await issuer.openssl('x509 -in cacerts.pem -noout -fingerprint -sha256')).toBe(
    await issuer.openssl('x509 -in ca.pem -noout -fingerprint -sha256'),
  );
});

test('a gateway enrols by the token of its building and gets its name, and nothing else', async () => {
  await issuer.request('first', { san: uri });
  expect(await issuer.post('simpleenroll', 'first', basic)).toBe(
    '200 application/pkcs7-mime; smime-type=certs-only',
  );
  const text = await issuer.certificate('first');
  expect(text).toContain(`URI:urn:domicile:de:${testBuilding}:gw-1`);
  expect(text).toContain('TLS Web Client Authentication');
  expect(text).toContain('CA:FALSE');
  expect(text).not.toContain('TLS Web Server');
  expect(await issuer.openssl('verify -purpose sslclient -CAfile ca.pem first.pem')).toContain(
    'OK',
  );
});

test('a token is good for one key, also after a restart, and the same request may come again', async () => {
  await issuer.request('once', { san: uri });
  const token = await freshToken();
  expect(await issuer.post('simpleenroll', 'once', token)).toMatch(/^200/);
  expect(await issuer.post('simpleenroll', 'once', token)).toMatch(/^200/);
  // A crash in the middle of a line: what was not whole was not answered for.
  await appendFile(issuer.at('state/issued.ndjson'), '{"at":"20');
  await issuer.restart();
  await issuer.request('twice', { san: uri });
  expect(await issuer.post('simpleenroll', 'twice', token)).toMatch(/^403/);
  expect(await issuer.problem('twice')).toMatchObject({
    code: 'forbidden',
    detail: expect.stringMatching(/token was used/),
  });
  expect(await issuer.post('simpleenroll', 'once', token)).toMatch(/^200/);
});

test('a certificate renews itself by mutual TLS, with a new key', async () => {
  await issuer.request('old', { san: uri });
  await issuer.post('simpleenroll', 'old', await freshToken());
  await issuer.certificate('old');
  const proof = '--cert old.pem --key old.key';
  await issuer.request('new', { san: uri });
  expect(await issuer.post('simplereenroll', 'new', proof)).toMatch(/^200/);
  expect(await issuer.certificate('new')).toContain(uri);

  await issuer.request('other', { san: `URI:urn:domicile:de:${testBuilding}:gw-2` });
  expect(await issuer.post('simplereenroll', 'other', proof)).toMatch(/^403/);
  await issuer.request('plain');
  expect(await issuer.post('simplereenroll', 'plain', basic)).toMatch(/^401/);

  await issuer.declare('offboarded', testToken);
  expect(await issuer.post('simplereenroll', 'new', proof)).toMatch(/^403/);
  expect(await issuer.post('simpleenroll', 'new', basic)).toMatch(/^403/);
  await issuer.declare('active', testToken);
});

test('a certificate that has ended, or is of another authority, renews nothing', async () => {
  await issuer.restart({ ISSUER_CERTIFICATE_MS: '1000' }, () => Date.now() - 60_000);
  await issuer.request('ended', { san: uri });
  await issuer.post('simpleenroll', 'ended', await freshToken());
  await issuer.certificate('ended');
  await issuer.restart();
  expect(await issuer.post('simplereenroll', 'ended', '--cert ended.pem --key ended.key')).toMatch(
    /^401/,
  );
  expect(await issuer.problem('ended')).toMatchObject({
    detail: expect.stringMatching(/enrol with a new token/),
  });

  await issuer.openssl(
    `req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout own.key -out own.pem -subj /CN=gw-1 -addext subjectAltName=${uri}`,
  );
  expect(await issuer.post('simplereenroll', 'ended', '--cert own.pem --key own.key')).toMatch(
    /^401/,
  );
});

test('what may not be is refused by its reason and counted', async () => {
  const token = await freshToken();
  await issuer.request('foreign', { san: 'URI:urn:domicile:us:us-4h8t:gw-1' });
  expect(await issuer.post('simpleenroll', 'foreign', token)).toMatch(/^421 application\/problem/);
  await issuer.request('neighbour', { san: 'URI:urn:domicile:de:de-other:gw-1' });
  expect(await issuer.post('simpleenroll', 'neighbour', token)).toMatch(/^403/);
  await issuer.request('weak', { san: uri, key: 'rsa:1024' });
  expect(await issuer.post('simpleenroll', 'weak', token)).toMatch(/^400/);
  await issuer.request('sha1', { san: uri, key: 'rsa:2048 -sha1' });
  expect(await issuer.post('simpleenroll', 'sha1', token)).toMatch(/^400/);

  await issuer.request('forged', { san: uri });
  const der = await readFile(issuer.at('forged.der'));
  der[der.length - 5] = (der[der.length - 5] ?? 0) ^ 1;
  await issuer.write('forged.p10', der.toString('base64'));
  expect(await issuer.post('simpleenroll', 'forged', token)).toMatch(/^400/);
  await issuer.write('forged.p10', 'no certificate request');
  expect(await issuer.post('simpleenroll', 'forged', token)).toMatch(/^400/);
  await issuer.write('forged.p10', 'A'.repeat(20_000));
  expect(await issuer.post('simpleenroll', 'forged', token)).toMatch(/^413/);

  await issuer.request('good', { san: uri });
  expect(await issuer.post('simpleenroll', 'good', `--user ${testBuilding}:wrong`)).toMatch(/^401/);
  expect(await issuer.post('simpleenroll', 'good', `--user de-nobody:${testToken}`)).toMatch(
    /^401/,
  );
  expect(await issuer.post('simpleenroll', 'good', `--user us-4h8t:${testToken}`)).toMatch(/^421/);
  expect(await issuer.post('simpleenroll', 'good', `--user ../x:${testToken}`)).toMatch(/^401/);
  expect(await issuer.post('simpleenroll', 'good')).toMatch(/^401/);
  expect(await issuer.post('simpleenroll', 'good', '--request PUT')).toMatch(/^405/);
  expect(await issuer.post('fullcmc', 'good', token)).toMatch(/^404/);
  // None of it used the token up.
  expect(await issuer.post('simpleenroll', 'good', token)).toMatch(/^200/);

  const metrics = await issuer.metrics();
  const counted: Record<string, number> = {
    country: 2,
    building: 1,
    key: 1,
    signature: 2,
    malformed: 1,
    unauthenticated: 4,
  };
  for (const [reason, least] of Object.entries(counted)) {
    const value = new RegExp(`issuer_refused_total\\{reason="${reason}"[^}]*\\} (\\d+)`).exec(
      metrics,
    );
    expect({ reason, enough: Number(value?.[1] ?? 0) >= least }).toEqual({ reason, enough: true });
  }
  expect(metrics).toMatch(/issuer_certificates_total\{kind="first"[^}]*country="DE"/);
});

test('RSA, Ed25519 and a request without names are served too', async () => {
  const keys = {
    rsa: 'rsa:2048',
    ed: 'ed25519',
    p384: 'ec -pkeyopt ec_paramgen_curve:secp384r1',
  };
  for (const [name, key] of Object.entries(keys)) {
    await issuer.request(name, { key });
    expect(await issuer.post('simpleenroll', name, await freshToken())).toMatch(/^200/);
    expect(await issuer.certificate(name)).toContain(uri);
  }
});

test('who floods is told to come again, and what was issued is for the issuer alone', async () => {
  await issuer.restart({ ISSUER_REQUESTS_PER_MINUTE: '2' });
  await issuer.request('flood', { san: uri });
  expect(await issuer.post('simpleenroll', 'flood')).toMatch(/^401/);
  expect(await issuer.post('simpleenroll', 'flood')).toMatch(/^401/);
  expect(await issuer.post('simpleenroll', 'flood')).toMatch(/^429/);
  const { mode } = await stat(issuer.at('state/issued.ndjson'));
  expect(mode & 0o077).toBe(0);
});

test('an authority whose key is another one is refused at the start', async () => {
  await using other = await TestIssuer.start();
  await other.write('ca.key', await readFile(issuer.at('ca.key'), 'utf8'));
  await expect(other.restart()).rejects.toThrow(/belong together/);
});
