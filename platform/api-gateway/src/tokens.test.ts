import { parseCountryCode } from '@domicile/core/identities.ts';
import jwt from 'jsonwebtoken';
import { expect, test } from 'vitest';
import { issuer, keys, type TestKey, tokenOf } from './test-support.ts';
import { refusalOf, rememberingJudge, tokenJudge } from './tokens.ts';

const asked: string[] = [];
const published = new Map([keys.es, keys.rs].map((key) => [key.kid, key.publicKey]));
const judge = tokenJudge({
  keys: {
    keyOf: (kid) => {
      asked.push(kid);
      return Promise.resolve(published.get(kid));
    },
    fault: () => undefined,
  },
  issuer,
  country: parseCountryCode('DE'),
});

const now = Math.floor(Date.now() / 1000);
const swapped = (key: TestKey, alg: TestKey['alg']) =>
  tokenOf({}, key).replace(/^[^.]+/, base64({ alg, kid: key.kid }));

function base64(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

test.each([keys.es, keys.rs])('a good token is believed', async (key) => {
  const judgement = await judge.judge(tokenOf({ buildings: ['de-1'] }, key));
  expect(judgement).toMatchObject({
    claims: { subject: 'anna', client: 'acme', buildings: ['de-1'] },
  });
});

test.each([
  ['malformed', 'x'],
  ['malformed', ''],
  ['malformed', tokenOf({}, { ...keys.es, kid: '' })],
  ['malformed', tokenOf({}).split('.').slice(0, 2).join('.')],
  ['algorithm', `${base64({ alg: 'none', kid: keys.es.kid })}.${base64({})}.`],
  ['algorithm', `${base64({ alg: 'HS256', kid: keys.es.kid })}.${base64({})}.x`],
  ['algorithm', `${base64({ alg: 'ES384', kid: keys.es.kid })}.${base64({})}.x`],
  ['malformed', `${base64({ alg: 'ES256', kid: keys.es.kid, crit: ['exp'] })}.${base64({})}.x`],
  ['key', tokenOf({}, keys.forger)],
  ['signature', tokenOf({}, { ...keys.forger, kid: keys.es.kid })],
  ['malformed', swapped(keys.rs, 'ES256')],
  ['malformed', swapped(keys.es, 'RS256')],
  ['expired', tokenOf({ exp: now - 10 })],
  ['claims', tokenOf({ nbf: now + 60 })],
  ['claims', tokenOf({ iss: 'https://other.example' })],
  ['claims', tokenOf({ aud: 'domicile:us' })],
  ['claims', tokenOf({ client: '' })],
])('a token is refused as %s', async (refusal, token) => {
  expect(await judge.judge(token)).toEqual({ refusal });
});

test('no key is asked for to judge an algorithm that is not taken', async () => {
  asked.length = 0;
  await judge.judge(`${base64({ alg: 'none', kid: 'x' })}.${base64({})}.`);
  expect(asked).toEqual([]);
});

test('a token is judged once in a while, and never believed beyond its end', async () => {
  let at = now * 1000;
  let judged = 0;
  const judging = rememberingJudge(
    {
      judge: (token) => {
        judged += 1;
        return judge.judge(token);
      },
    },
    () => at,
  );
  const token = tokenOf({ exp: now + 20 });
  for (let n = 0; n < 5; n += 1) expect(await judging.judge(token)).toHaveProperty('claims');
  expect(judged).toBe(1);
  at += 20_000;
  await judging.judge(token);
  expect(judged).toBe(2);
  const other = token.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A'));
  expect(await judging.judge(other)).toHaveProperty('refusal');
  await judging.judge(other);
  expect(judged).toBe(4);
  const long = tokenOf({ exp: now + 3_600 });
  await judging.judge(long);
  at += 30_000;
  await judging.judge(long);
  expect(judged).toBe(6);
});

test('whatever the library throws has a name', () => {
  const errors = [
    new jwt.TokenExpiredError('jwt expired', new Date()),
    new jwt.NotBeforeError('jwt not active', new Date()),
    new jwt.JsonWebTokenError('jwt audience invalid. expected: x'),
    new jwt.JsonWebTokenError('invalid signature'),
    new jwt.JsonWebTokenError('anything new'),
    new TypeError('not the library’s'),
  ];
  expect(errors.map(refusalOf)).toEqual([
    'expired',
    'claims',
    'claims',
    'signature',
    'malformed',
    'malformed',
  ]);
});
