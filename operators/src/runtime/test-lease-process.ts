import { setTimeout as sleep } from 'node:timers/promises';
import { configMapKind } from '../model/kinds.ts';
import { LeaderLease, type Term } from './leader-lease.ts';
import { configMap, testClient } from './test-operator.ts';

/**
 * A process of a test: leads by a Lease and, while it does, writes its name and a count as fast as it can; then waits for its
 * turn again. Arguments: kubeconfig, namespace, identity, length of the lease and pause between renewals in milliseconds.
 */
const [, , kubeconfig = '', namespace = '', identity = '', leaseMs = '', renewMs = ''] =
  process.argv;
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

let held: Term | undefined;
using leasing = await testClient(kubeconfig, { timeoutMs: 1_000 });
using writing = await testClient(kubeconfig, {
  timeoutMs: 2_000,
  leadership: {
    stillLeads: () => held?.stillLeads() ?? false,
    assert: (doing) => held?.assert(doing),
  },
});
const lease = new LeaderLease({
  kube: leasing.kube,
  namespace,
  name: 'lease',
  identity,
  leaseMs: Number(leaseMs),
  renewMs: Number(renewMs),
});
const note = (event: string) => process.stdout.write(`${event}\n`);

async function work(term: Term): Promise<void> {
  for (let count = 0; !stop.signal.aborted && !term.lost.aborted; count += 1) {
    const data = { by: identity, term: `${term.number}`, count: `${count}` };
    await writing.kube
      .apply(configMapKind, configMap(namespace, 'work', data))
      .catch(() => sleep(20));
  }
}

while (!stop.signal.aborted) {
  note('waits');
  const term = await lease.acquire(stop.signal).catch(() => undefined);
  if (term === undefined) break;
  held = term;
  note(`leads ${term.number}`);
  await work(term);
  note('leads no more');
  await term[Symbol.asyncDispose]();
}
