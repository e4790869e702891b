import { fail } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { bucketPromises, persistence, type TestBucket } from '../bucket/test-bucket-promises.ts';
import { keyClient, parseGcsKey } from './gcs-key.ts';
import { GcsObjectStore } from './gcs-object-store.ts';

const bucket = 'lake';
let gcs: GcsEmulator;

beforeAll(async () => {
  gcs = await GcsEmulator.start({ identities: ['admin', 'stranger'], admins: ['admin'] });
  for (const [name, versioning] of [
    [bucket, false],
    ['versioned', true],
  ] as const) {
    const made = await fetch(`${gcs.url}/storage/v1/b?project=p`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await tokenOf('admin')}` },
      body: JSON.stringify({ name, location: 'europe-west3', versioning: { enabled: versioning } }),
    });
    if (!made.ok) fail(await made.text());
  }
});
afterAll(async () => gcs[Symbol.asyncDispose]());
afterEach(() => gcs.faults.clear());

async function tokenOf(identity: string): Promise<string> {
  const { token } = await keyClient(parseGcsKey(gcs.keyOf(identity))).getAccessToken();
  return token ?? fail('no token');
}

function storeOf(identity = 'admin', of: TestBucket = bucket): GcsObjectStore {
  const key = parseGcsKey(gcs.keyOf(identity));
  return new GcsObjectStore({ endpoint: gcs.url, key, bucket: of }, persistence);
}

function liveOf(key: string, of = bucket): string | undefined {
  return gcs.buckets.get(of)?.live.get(key)?.content().toString();
}

bucketPromises('gcs', (of) => storeOf('admin', of));

test('of what was erased in a versioned bucket no version stays', async () => {
  const store = storeOf('admin', 'versioned');
  const key = `${freshName('erased')}/a`;
  await store.createOnly(key, Buffer.from('two buildings'));
  const first = (await store.head(key))?.generation ?? '';
  expect(await store.replace(key, Buffer.from('one'), first)).toBe(true);
  const second = (await store.head(key))?.generation ?? '';
  expect(await store.remove(key, second)).toBe(true);
  expect(gcs.buckets.get('versioned')?.noncurrent).toEqual([]);
});

test('an object of many parts goes up in a session of its own and comes down whole', async () => {
  const content = randomBytes((8 << 20) + 12_345);
  const key = `${freshName('large')}/a`;
  expect(await storeOf().createOnly(key, content)).toBe(true);
  expect((await storeOf().get(key))?.equals(content)).toBe(true);
  const sessions = gcs.requests.filter((line) => line.includes('uploadType=resumable'));
  expect(sessions.length).toBeGreaterThan(1);
  expect(await storeOf().createOnly(key, randomBytes((8 << 20) + 1))).toBe(false);
});

test('a create whose answer was lost is known as its own, and of a stranger is not', async () => {
  const own = `${freshName('lost')}/own`;
  gcs.faults.loseNextAnswers(1);
  expect(await storeOf().createOnly(own, Buffer.from('mine'))).toBe(true);
  expect(await storeOf().createOnly(own, Buffer.from('mine'))).toBe(false);

  const other = `${freshName('lost')}/other`;
  await storeOf().createOnly(other, Buffer.from('same bytes'));
  gcs.faults.failNext(1);
  expect(await storeOf().createOnly(other, Buffer.from('same bytes'))).toBe(false);
});

test('a replacement whose answer was lost is known as its own', async () => {
  const store = storeOf();
  const pointer = `${freshName('lost')}/latest.json`;
  await store.replacePointer(pointer, Buffer.from('1'));
  gcs.faults.loseNextAnswers(1);
  await store.replacePointer(pointer, Buffer.from('2'));
  await store.replacePointer(pointer, Buffer.from('3'));
  expect(liveOf(pointer)).toBe('3');
  const generation = (await store.head(pointer))?.generation ?? '';
  gcs.faults.loseNextAnswers(1);
  expect(await store.replace(pointer, Buffer.from('4'), generation)).toBe(true);
  expect(liveOf(pointer)).toBe('4');
});

test('a removal whose answer was lost is done', async () => {
  const key = `${freshName('lost')}/a`;
  await storeOf().createOnly(key, Buffer.from('x'));
  const generation = (await storeOf().head(key))?.generation ?? '';
  gcs.faults.loseNextAnswers(1);
  expect(await storeOf().remove(key, generation)).toBe(true);
  expect(liveOf(key)).toBe(undefined);
});

test('two writers of a pointer replace each other, and neither undoes the other', async () => {
  const [one, two] = [storeOf(), storeOf()];
  const pointer = `${freshName('two')}/latest.json`;
  for (const [store, text] of [
    [one, '1'],
    [two, '2'],
    [one, '3'],
    [two, '4'],
  ] as const) {
    await store.replacePointer(pointer, Buffer.from(text));
    expect(liveOf(pointer)).toBe(text);
  }
});

test('a replacement that arrives late undoes no later one', async () => {
  const key = parseGcsKey(gcs.keyOf('admin'));
  const hasty = { ...persistence, attemptsMax: 6, attemptTimeoutMs: 800 };
  const store = new GcsObjectStore({ endpoint: gcs.url, key, bucket }, hasty);
  const pointer = `${freshName('late')}/latest.json`;
  await store.replacePointer(pointer, Buffer.from('1'));
  gcs.faults.delayNext(1, 4_000);
  await store.replacePointer(pointer, Buffer.from('2'));
  await store.replacePointer(pointer, Buffer.from('3'));
  expect(liveOf(pointer)).toBe('3');
  // The first attempt at 2 is carried out only now.
  await expect.poll(() => gcs.counts.late, { timeout: 20_000 }).toBe(1);
  expect(liveOf(pointer)).toBe('3');
});

test('what fails for a while is tried again, within its bounds', async () => {
  const key = `${freshName('again')}/a`;
  for (const status of [503, 429, 500]) {
    gcs.faults.failNext(2, status);
    expect(await storeOf().head(key)).toBe(undefined);
  }
  const store = storeOf();
  await store.head(key);
  gcs.faults.failNext(100);
  const before = gcs.counts.answered;
  await expect(store.createOnly(key, Buffer.from('x'))).rejects.toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
  });
  expect(gcs.counts.answered - before).toBe(persistence.attemptsMax);
});

test('a store that does not answer is given up', async () => {
  const key = parseGcsKey(gcs.keyOf('admin'));
  const impatient = { ...persistence, attemptTimeoutMs: 2_000 };
  const store = new GcsObjectStore({ endpoint: gcs.url, key, bucket }, impatient);
  gcs.faults.hangNext(1);
  expect(await store.head(`${freshName('hang')}/a`)).toBe(undefined);
  gcs.faults.hangNext(1, ({ isRead }) => isRead);
  const name = `${freshName('hang')}/b`;
  await store.createOnly(name, Buffer.from('kept'));
  expect(String(await store.get(name))).toBe('kept');
});

test('bytes that differ from their checksum are read again, and nothing is deleted for it', async () => {
  const key = `${freshName('corrupt')}/a`;
  await storeOf().createOnly(key, Buffer.from('as it was'));
  gcs.faults.corruptNextReads(1);
  expect(String(await storeOf().get(key))).toBe('as it was');
  gcs.faults.wrongChecksumOnNext(1, ({ isRead }) => isRead);
  expect(String(await storeOf().get(key))).toBe('as it was');
  gcs.faults.cutNextReads(1);
  expect(String(await storeOf().getRange(key, { start: 0, end: 9 }))).toBe('as it was');
  gcs.faults.corruptNextReads(100);
  await expect(storeOf().get(key)).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  expect(liveOf(key)).toBe('as it was');
});

test('a wrong checksum in the answer of a write is looked into, and nothing is deleted for it', async () => {
  const key = `${freshName('checksum')}/a`;
  gcs.faults.wrongChecksumOnNext(1, ({ method }) => method === 'POST');
  expect(await storeOf().createOnly(key, Buffer.from('kept'))).toBe(true);
  expect(liveOf(key)).toBe('kept');
});

test('a token that is over is asked for anew', async () => {
  const store = storeOf();
  const key = `${freshName('token')}/a`;
  await store.createOnly(key, Buffer.from('1'));
  gcs.expireTokens();
  expect(String(await store.get(key))).toBe('1');
});

test('whoever has no right is refused, at once', async () => {
  const store = storeOf('stranger');
  const before = gcs.counts.refused;
  for (const work of [
    () => store.createOnly('a/b', Buffer.from('x')),
    () => store.get('a/b'),
    () => store.head('a/b'),
    () => store.list('a/', { limit: 1 }),
  ])
    await expect(work()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(gcs.counts.refused - before).toBe(4);
});

test('no text of a key stands in what is told about it', () => {
  const text = gcs.keyOf('admin').replace('"private_key_id"', '"other"');
  const tried = (() => {
    try {
      parseGcsKey(text);
      return undefined;
    } catch (error) {
      return error;
    }
  })();
  expect(tried).toBeInstanceOf(PlatformError);
  expect(String(tried)).toContain('private_key_id');
  expect(String(tried)).not.toContain('PRIVATE KEY');
});
