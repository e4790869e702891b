import { PlatformError } from '@domicile/core/errors.ts';
import { describe, expect, test } from 'vitest';
import { lakeOptionsOf, type LakeSettings } from './lake-settings.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { erasableStoreCases, objectStoreCases } from './object-store-conformance.ts';
import { TwoBucketStore } from './two-bucket-store.ts';

describe('two buckets as one store', () => {
  test.each([...objectStoreCases, ...erasableStoreCases])('$name', async (promise) => {
    const landing = new MemoryObjectStore();
    const serving = new MemoryObjectStore();
    const store = new TwoBucketStore({ landing, serving });
    for (const part of ['landing', 'serving'])
      await expect(promise.run(store, `${part}/test`)).resolves.toBeUndefined();
    const page = { limit: 100 };
    expect(await landing.list('serving/', page)).toEqual([]);
    expect(await serving.list('landing/', page)).toEqual([]);
  });
});

test('a part that was not opened is refused before anything is asked', async () => {
  const store = new TwoBucketStore({ landing: undefined, serving: new MemoryObjectStore() });
  const bytes = Buffer.from('x');
  for (const work of [
    () => store.get('landing/a'),
    () => store.getRange('landing/a', { start: 0, end: 1 }),
    () => store.head('landing/a'),
    () => store.list('landing/', { limit: 1 }),
    () => store.createOnly('landing/a', bytes),
    () => store.replacePointer('landing/latest.json', bytes),
    () => store.replace('landing/a', bytes, '1'),
    () => store.remove('landing/a', '1'),
  ])
    await expect(work()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(store.get('elsewhere/a')).rejects.toMatchObject({ code: 'VALUE_INVALID' });
  expect(await store.get('serving/a')).toBe(undefined);
});

test('settings open a folder or buckets, and what is missing is named', () => {
  const read = (of: Partial<LakeSettings>) => lakeOptionsOf({ LAKE_STORE: 'fs', ...of });
  const missing = (of: Partial<LakeSettings>): string => {
    try {
      read(of);
      return 'nothing';
    } catch (error) {
      if (error instanceof PlatformError && error.code === 'CONFIG_INVALID') return error.message;
      throw error;
    }
  };
  expect(read({ LAKE_DIR: '/lake' })).toEqual({ store: 'fs', dir: '/lake' });
  expect(read({ LAKE_STORE: 'gcs', LAKE_SERVING_BUCKET: 'serving-de' })).toMatchObject({
    store: 'gcs',
    servingBucket: 'serving-de',
    landingBucket: undefined,
  });
  expect(missing({})).toContain('LAKE_DIR');
  expect(missing({ LAKE_STORE: 'gcs' })).toContain('LAKE_SERVING_BUCKET');
  const s3 = { LAKE_STORE: 's3', LAKE_SERVING_BUCKET: 'serving-ch' } as const;
  expect(missing(s3)).toContain('LAKE_REGION');
  expect(missing({ ...s3, LAKE_REGION: 'onprem-ch-1' })).toContain('LAKE_ACCESS_KEY_ID_FILE');
});
