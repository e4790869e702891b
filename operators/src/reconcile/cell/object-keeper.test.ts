import { expect, test } from 'vitest';
import * as kinds from '../../model/kinds.ts';
import { MemoryKube } from '../building/test-kube.ts';
import { ObjectKeeper } from './object-keeper.ts';

const ref = { name: 'broker', namespace: 'domicile' };
const wanted = (port = 1883) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { ...ref, labels: { app: 'broker' } },
  spec: { ports: [{ port }] },
});

test('it is told apart what was made, what somebody else changed, and what is as it was', async () => {
  const kube = new MemoryKube();
  const keeper = new ObjectKeeper(kube);
  expect(await keeper.keep(wanted())).toBe('written');
  expect(await keeper.keep(wanted())).toBe('as-it-was');
  // Its controller tells how it is.
  kube.put(kinds.serviceKind, { ...wanted(), status: { loadBalancer: {} } });
  expect(await keeper.keep(wanted())).toBe('as-it-was');
  kube.put(kinds.serviceKind, wanted(80));
  expect(await keeper.keep(wanted())).toBe('restored');
  kube.drop(kinds.serviceKind, ref);
  expect(await keeper.keep(wanted())).toBe('restored');
  expect(await keeper.keep(wanted(8883))).toBe('written');
  expect(await keeper.keep(wanted(8883))).toBe('as-it-was');
  // Another process does not know what it was.
  kube.put(kinds.serviceKind, wanted(80));
  expect(await new ObjectKeeper(kube).keep(wanted(8883))).toBe('written');
});
