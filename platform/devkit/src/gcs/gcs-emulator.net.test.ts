import { createHash, createSign, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { freshName } from '../fresh-name.ts';
import { GcsEmulator } from './gcs-emulator.ts';

// By plain requests, as Google's reference of the JSON API describes them, and not by our adapter.

let gcs: GcsEmulator;
let folder = '';
let admin = '';
let aheadMs = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gcs-'));
  gcs = await GcsEmulator.start({
    identities: ['admin', 'other'],
    admins: ['admin'],
    dir: folder,
    now: () => Date.now() + aheadMs,
  });
  admin = (await tokenOf('admin')).token;
});
afterAll(async () => {
  await gcs[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

interface Grant {
  readonly privateKey?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
}

async function tokenOf(identity: string, { privateKey, claims = {} }: Grant = {}) {
  const key = z
    .object({
      client_email: z.string(),
      private_key: z.string(),
      private_key_id: z.string(),
      token_uri: z.string(),
    })
    .parse(JSON.parse(gcs.keyOf(identity)));
  const iat = Math.floor(Date.now() / 1000);
  const said = { iss: key.client_email, aud: key.token_uri, scope: 'any', iat, exp: iat + 600 };
  const signed = [
    { alg: 'RS256', kid: key.private_key_id },
    { ...said, ...claims },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = createSign('RSA-SHA256')
    .update(signed)
    .sign(privateKey ?? key.private_key, 'base64url');
  const answer = await fetch(key.token_uri, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: `${signed}.${signature}`,
    }),
  });
  const body = z.object({ access_token: z.string().default('') }).parse(await answer.json());
  return { status: answer.status, token: body.access_token };
}

async function call(
  method: string,
  target: string,
  { body, token = admin, headers = {} }: { body?: string; token?: string; headers?: object } = {},
) {
  const answer = await fetch(`${gcs.url}${target}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body !== undefined && { body }),
  });
  const text = await answer.text();
  const json = (): Record<string, unknown> =>
    z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  return { status: answer.status, headers: answer.headers, text, json };
}

async function bucketWith(fields: object = {}): Promise<string> {
  const name = freshName('bucket');
  const body = JSON.stringify({ name, location: 'europe-west3', ...fields });
  const { status } = await call('POST', '/storage/v1/b?project=p', { body });
  expect(status).toBe(200);
  return name;
}

async function put(bucket: string, name: string, body: string, query = '') {
  const target = `/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}${query}`;
  return call('POST', target, { body });
}

const objectOf = (bucket: string, name: string, query = ''): string =>
  `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}${query}`;

test('a token is given for a key of the identity alone, and for its hour', async () => {
  expect((await tokenOf('other')).status).toBe(200);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const stranger = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const now = Math.floor(Date.now() / 1000);
  for (const grant of [
    { privateKey: stranger },
    { claims: { iss: 'someone@else' } },
    { claims: { aud: 'https://oauth2.googleapis.com/token' } },
    { claims: { iat: now - 900, exp: now - 300 } },
    { claims: { exp: now + 7200 } },
  ])
    expect((await tokenOf('other', grant)).status).toBe(400);
});

test('without a right nothing is told, without a token nothing at all', async () => {
  const bucket = await bucketWith();
  await put(bucket, 'a', 'x');
  const { token } = await tokenOf('other');
  for (const [method, target] of [
    ['GET', objectOf(bucket, 'a', '?alt=media')],
    ['GET', objectOf(bucket, 'none')],
    ['DELETE', objectOf(bucket, 'a')],
    ['GET', `/storage/v1/b/${bucket}`],
    ['GET', `/storage/v1/b/${bucket}/iam`],
    ['GET', '/storage/v1/b?project=p'],
  ] as const) {
    expect((await call(method, target, { token })).status).toBe(403);
    expect((await call(method, target, { token: 'made-up' })).status).toBe(401);
  }
  expect((await fetch(`${gcs.url}${objectOf(bucket, 'a')}`)).status).toBe(401);
});

test('preconditions hold by generation and metageneration', async () => {
  const bucket = await bucketWith();
  const made = await put(bucket, 'a', '1', '&ifGenerationMatch=0');
  expect(made.status).toBe(200);
  expect((await put(bucket, 'a', '2', '&ifGenerationMatch=0')).status).toBe(412);
  const generation = String(made.json()['generation']);
  const next = await put(bucket, 'a', '2', `&ifGenerationMatch=${generation}`);
  expect(next.status).toBe(200);
  expect(BigInt(String(next.json()['generation'])) > BigInt(generation)).toBe(true);
  expect((await put(bucket, 'a', '3', `&ifGenerationMatch=${generation}`)).status).toBe(412);
  expect((await call('GET', objectOf(bucket, 'a', '?ifMetagenerationMatch=2'))).status).toBe(412);
  expect(
    (await call('DELETE', objectOf(bucket, 'a', `?ifGenerationMatch=${generation}`))).status,
  ).toBe(412);
  const patch = (query: string) =>
    call('PATCH', `/storage/v1/b/${bucket}${query}`, { body: '{"labels":{"a":"b"}}' });
  expect((await patch('?ifMetagenerationMatch=1')).status).toBe(200);
  expect((await patch('?ifMetagenerationMatch=1')).status).toBe(412);
});

test('content comes whole, in ranges and with its checksums', async () => {
  const bucket = await bucketWith();
  await put(bucket, 'a/b c', '0123456789');
  const get = (range?: string) =>
    call('GET', objectOf(bucket, 'a/b c', '?alt=media'), { headers: range ? { range } : {} });
  const whole = await get();
  expect([whole.status, whole.text]).toEqual([200, '0123456789']);
  const md5 = createHash('md5').update('0123456789').digest('base64');
  // CRC-32C of these ten digits is 0x280C069E.
  expect(whole.headers.get('x-goog-hash')).toBe(`crc32c=KAwGng==,md5=${md5}`);
  for (const [range, text, said] of [
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=8-', '89', 'bytes 8-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=5-500', '56789', 'bytes 5-9/10'],
  ] as const) {
    const part = await get(range);
    expect([part.status, part.text, part.headers.get('content-range')]).toEqual([206, text, said]);
  }
  expect((await get('bytes=10-12')).status).toBe(416);
});

test('names are listed in pages, below a prefix and from an offset', async () => {
  const bucket = await bucketWith();
  const names = ['a/1', 'a/10', 'a/2', 'b/1'];
  for (const name of names.toReversed()) await put(bucket, name, name);
  const page = async (query: string) => {
    const answer = await call('GET', `/storage/v1/b/${bucket}/o?${query}`);
    return z
      .object({
        items: z.array(z.object({ name: z.string() })),
        nextPageToken: z.string().optional(),
      })
      .parse(answer.json());
  };
  const found: string[] = [];
  for (let token: string | undefined = ''; token !== undefined;) {
    const { items, nextPageToken }: Awaited<ReturnType<typeof page>> = await page(
      `maxResults=1&prefix=a/${token === '' ? '' : `&pageToken=${token}`}`,
    );
    found.push(...items.map(({ name }) => name));
    token = nextPageToken;
  }
  expect(found).toEqual(names.slice(0, 3));
  const { items } = await page('startOffset=a/10&endOffset=b/1');
  expect(items.map(({ name }) => name)).toEqual(['a/10', 'a/2']);
});

test('an upload in parts tells how far it is, and takes up where it was cut', async () => {
  const bucket = await bucketWith();
  const opened = await call(
    'POST',
    `/upload/storage/v1/b/${bucket}/o?uploadType=resumable&name=big&ifGenerationMatch=0`,
    { body: '{"metadata":{"by":"test"}}' },
  );
  const session = new URL(opened.headers.get('location') ?? '');
  const part = (range: string, body: string) =>
    call('PUT', session.pathname + session.search, { body, headers: { 'content-range': range } });
  const unit = 256 * 1024;
  const content = 'x'.repeat(unit) + 'y'.repeat(10);
  const odd = await part(`bytes 0-9/${unit + 10}`, content.slice(0, 10));
  expect(odd.status).toBe(400);
  const first = await part(`bytes 0-${unit - 1}/${unit + 10}`, content.slice(0, unit));
  expect([first.status, first.headers.get('range')]).toEqual([308, `bytes=0-${unit - 1}`]);
  const asked = await part(`bytes */${unit + 10}`, '');
  expect([asked.status, asked.headers.get('range')]).toEqual([308, `bytes=0-${unit - 1}`]);
  expect((await call('GET', objectOf(bucket, 'big'))).status).toBe(404);
  const last = await part(`bytes ${unit}-${unit + 9}/${unit + 10}`, content.slice(unit));
  expect(last.json()).toMatchObject({ size: `${unit + 10}`, metadata: { by: 'test' } });
  expect((await part(`bytes */${unit + 10}`, '')).status).toBe(200);
  expect((await call('GET', objectOf(bucket, 'big', '?alt=media'))).text).toBe(content);
});

test('what was deleted or replaced comes back until its time is over', async () => {
  const bucket = await bucketWith({ softDeletePolicy: { retentionDurationSeconds: 864_000 } });
  const { generation } = (await put(bucket, 'a', 'first')).json();
  await put(bucket, 'a', 'second');
  expect((await call('DELETE', objectOf(bucket, 'a'))).status).toBe(204);
  expect((await call('GET', objectOf(bucket, 'a'))).status).toBe(404);
  const soft = await call('GET', `/storage/v1/b/${bucket}/o?softDeleted=true`);
  expect(soft.json()['items']).toHaveLength(2);
  const restore = () =>
    call('POST', `/storage/v1/b/${bucket}/o/a/restore?generation=${String(generation)}`);
  expect((await restore()).status).toBe(200);
  expect((await call('GET', objectOf(bucket, 'a', '?alt=media'))).text).toBe('first');
  aheadMs = 864_001_000;
  expect((await restore()).status).toBe(404);
  aheadMs = 0;
});

test('a retention policy holds what is younger, and versions are kept where they are wanted', async () => {
  const held = await bucketWith({ retentionPolicy: { retentionPeriod: 3600 } });
  await put(held, 'a', '1');
  expect((await put(held, 'a', '2')).status).toBe(403);
  expect((await call('DELETE', objectOf(held, 'a'))).status).toBe(403);
  aheadMs = 3_601_000;
  expect((await call('DELETE', objectOf(held, 'a'))).status).toBe(204);
  aheadMs = 0;
  const versioned = await bucketWith({ versioning: { enabled: true } });
  const { generation } = (await put(versioned, 'a', '1')).json();
  await put(versioned, 'a', '2');
  const old = objectOf(versioned, 'a', `?alt=media&generation=${String(generation)}`);
  expect((await call('GET', old)).text).toBe('1');
});

test('rules of the life cycle take what is old enough, by the beginning of its name', async () => {
  const rule = (condition: object) => ({ action: { type: 'Delete' }, condition });
  const bucket = await bucketWith({
    lifecycle: {
      rule: [rule({ age: 2, matchesPrefix: ['data/'] }), rule({ numNewerVersions: 1 })],
    },
  });
  await put(bucket, 'data/old', '1');
  await put(bucket, 'kept/old', '1');
  aheadMs = 86_400_000;
  await put(bucket, 'data/new', '1');
  expect(gcs.carryOutLifecycle()).toEqual([]);
  aheadMs = 2 * 86_400_000 + 60_000;
  expect(gcs.carryOutLifecycle()).toEqual(['data/old']);
  expect((await call('GET', objectOf(bucket, 'data/old'))).status).toBe(404);
  for (const name of ['kept/old', 'data/new'])
    expect((await call('GET', objectOf(bucket, name))).status).toBe(200);
  aheadMs = 0;
});

test('a place cannot be changed, and continents are no regions', async () => {
  const bucket = await bucketWith();
  const moved = await call('PATCH', `/storage/v1/b/${bucket}`, { body: '{"location":"EU"}' });
  expect(moved.status).toBe(400);
  const types: unknown[] = [];
  for (const location of ['europe-west10', 'eur4', 'us']) {
    const name = await bucketWith({ location });
    types.push((await call('GET', `/storage/v1/b/${name}`)).json()['locationType']);
  }
  expect(types).toEqual(['region', 'dual-region', 'multi-region']);
  const body = JSON.stringify({ name: freshName('nowhere'), location: 'atlantis' });
  expect((await call('POST', '/storage/v1/b?project=p', { body })).status).toBe(400);
});

test('contents lie in the folder that was given, and go with their objects', async () => {
  const bucket = await bucketWith({ softDeletePolicy: { retentionDurationSeconds: 0 } });
  const before = (await readdir(folder)).length;
  await put(bucket, 'a', 'x');
  expect(await readdir(folder)).toHaveLength(before + 1);
  await call('DELETE', objectOf(bucket, 'a'));
  expect(await readdir(folder)).toHaveLength(before);
});
