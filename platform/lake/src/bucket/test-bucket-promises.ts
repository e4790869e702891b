import { freshName } from '@domicile/devkit/fresh-name.ts';
import { describe, expect, test } from 'vitest';
import { erasableStoreCases, objectStoreCases } from '../object-store-conformance.ts';
import type { ErasableStore } from '../object-store.ts';
import type { Persistence } from './persistently.ts';

/** `nowhere` is none. */
export type TestBucket = 'lake' | 'versioned' | 'nowhere';

/** Short, so that faults are met soon. */
export const persistence: Persistence = {
  attemptsMax: 3,
  delayMs: 5,
  delayMsMax: 20,
  attemptTimeoutMs: 5_000,
};

/** For tests: what holds for the adapter of every provider. */
export function bucketPromises(provider: string, storeOf: (bucket: TestBucket) => ErasableStore) {
  describe(`buckets of ${provider}`, () => {
    test.each([...objectStoreCases, ...erasableStoreCases])('$name', async (promise) => {
      await expect(promise.run(storeOf('lake'), freshName('test'))).resolves.toBeUndefined();
    });

    test.each(erasableStoreCases)('in a versioned bucket: $name', async (promise) => {
      await expect(promise.run(storeOf('versioned'), freshName('test'))).resolves.toBeUndefined();
    });

    test('one that is not there is not an empty one', async () => {
      const store = storeOf('nowhere');
      for (const work of [
        () => store.get('a/b'),
        () => store.head('a/b'),
        () => store.list('a/', { limit: 1 }),
        () => store.createOnly('a/b', Buffer.from('x')),
      ])
        await expect(work()).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    });
  });
}
