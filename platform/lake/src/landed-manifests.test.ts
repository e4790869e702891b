import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { LandedManifests } from './landed-manifests.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { ledgerKey } from './model/landing-key.ts';
import { landDays, period } from './test-days.ts';

test('a partition that answers late, after another one failed, is not taken twice', async () => {
  const store = new MemoryObjectStore();
  await landDays(store, 1, { partition: 1 });
  const manifests = await LandedManifests.open({ store, partitions: 2 });
  const paths = await landDays(store, 2, { partition: 1 });
  const get = store.get.bind(store);
  const late = Promise.withResolvers<void>();
  const keyOf = (partition: number, first: bigint) =>
    ledgerKey({ stream: 'readings', ledger: '_manifest', partition }, first);
  let isOut = true;
  let asked = 0;
  store.get = async (key) => {
    if (isOut && key === keyOf(0, 0n)) throw new Error('the store does not answer');
    if (key === keyOf(1, 10n) && (asked += 1) === 1) await late.promise;
    return get(key);
  };
  const failed = manifests.refresh().catch(String);
  await setImmediate();
  isOut = false;
  // As the next turn does.
  const next = manifests.refresh().catch(() => undefined);
  await setImmediate();
  late.resolve();
  expect(await failed).toContain('does not answer');
  await next;
  await manifests.refresh();
  expect(manifests.files(period).map(({ path }) => path)).toEqual(paths);
});
