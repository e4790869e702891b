import { expect, test } from 'vitest';
import type { Kube, KubeObject } from './kube.ts';
import { LeaderLease } from './leader-lease.ts';

/** An API server with room for one lease, whose answers to changes come when the test says so. */
function slowServer() {
  const patches: { readonly patch: unknown; readonly answer: () => void }[] = [];
  const lease: KubeObject = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'operator', namespace: 'domicile-system', resourceVersion: '1' },
  };
  const never = async () => {
    throw new Error('nobody asks that');
  };
  const kube: Kube = {
    get: async () => undefined,
    create: async (_kind, object) => ({ ...lease, spec: object['spec'] }),
    patch: (_kind, _ref, patch) => {
      const { promise, resolve } = Promise.withResolvers<KubeObject>();
      patches.push({ patch, answer: () => resolve(lease) });
      return promise;
    },
    list: never,
    apply: never,
    delete: never,
  };
  return { kube, patches };
}

test('who gives the lease back leads no more from when it is asked to', async () => {
  const { kube, patches } = slowServer();
  const lease = new LeaderLease({
    kube,
    namespace: 'domicile-system',
    name: 'operator',
    identity: 'a',
    leaseMs: 60_000,
    renewMs: 30_000,
  });
  const term = await lease.acquire(AbortSignal.timeout(10_000));
  expect(term.stillLeads()).toBe(true);
  const ended = term[Symbol.asyncDispose]();
  await expect.poll(() => patches.length).toBe(1);
  // The server may have it already, and so another process may lead, although there is no answer yet.
  expect(patches[0]?.patch).toMatchObject({ spec: { holderIdentity: '' } });
  expect(term.stillLeads()).toBe(false);
  expect(() => term.assert('write')).toThrow('another process may lead');
  patches[0]?.answer();
  await ended;
  expect(term.lost.aborted).toBe(true);
});
