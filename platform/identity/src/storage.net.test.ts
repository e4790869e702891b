import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStorage } from './storage.ts';

const fail = (error: unknown) => {
  throw error;
};

async function open() {
  const folder = await mkdtemp(join(tmpdir(), 'storage-'));
  let now = 1_000_000_000_000;
  const storage = await openStorage(folder, fail, () => now);
  return {
    folder,
    storage,
    tokens: storage.adapter('RefreshToken'),
    codes: storage.adapter('AuthorizationCode'),
    later: (seconds: number) => {
      now += seconds * 1000;
    },
    async [Symbol.asyncDispose]() {
      await storage[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

test('a refresh token may be used again for a moment, a code may not', async () => {
  await using kept = await open();
  const { tokens, codes, later } = kept;
  for (const adapter of [tokens, codes]) {
    await adapter.upsert('a', { grantId: 'g' }, 600);
    await adapter.consume('a');
  }
  expect(await codes.find('a')).toHaveProperty('consumed');
  expect(await tokens.find('a')).toEqual({ grantId: 'g' });
  later(9);
  // Using it again does not make the moment longer.
  await tokens.consume('a');
  later(2);
  expect(await tokens.find('a')).toHaveProperty('consumed');
});

test('what has ended is gone, and so is what was taken back', async () => {
  await using kept = await open();
  const { tokens, later } = kept;
  await tokens.upsert('a', { grantId: 'g' }, 60);
  await tokens.upsert('b', { grantId: 'h' }, 600);
  later(61);
  expect(await tokens.find('a')).toBeUndefined();
  await tokens.revokeByGrantId('h');
  expect(await tokens.find('b')).toBeUndefined();
});

test('it is written down within a second or two, not at the end alone', async () => {
  await using kept = await open();
  const { tokens, folder } = kept;
  await tokens.upsert('a', { grantId: 'g' }, 600);
  const written = () => readFile(join(folder, 'sessions.json'), 'utf8').catch(() => '');
  await expect.poll(written, { timeout: 4_000 }).toContain('RefreshToken:a');
});
