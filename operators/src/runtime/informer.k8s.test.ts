import { setTimeout as sleep } from 'node:timers/promises';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { configMapKind } from '../model/kinds.ts';
import { Informer, informerTimes } from './informer.ts';
import type { KubeObject } from './kube.ts';
import { configMap, type TestClient, testClient } from './test-operator.ts';

let bed: KubeTestbed;
let client: TestClient;
beforeAll(async () => {
  bed = await KubeTestbed.start({ controllers: false, kubelet: 'none' });
  client = await testClient(bed.kubeconfigPath, { timeoutMs: 3_000 });
});
afterAll(async () => {
  client[Symbol.dispose]();
  await bed[Symbol.asyncDispose]();
});

async function freshNamespace(): Promise<string> {
  const name = `watch-${Math.random().toString(36).slice(2, 10)}`;
  await bed.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

/** Who keeps a copy by the changes alone, and complains of one that does not fit. */
function follow(namespace: string, watchMs = informerTimes.watchMs) {
  const copy = new Map<string, KubeObject>();
  const faults: string[] = [];
  const stop = new AbortController();
  let lists = 0;
  const informer = new Informer({
    http: client.http,
    collection: { kind: configMapKind, namespace },
    times: { ...informerTimes, watchMs, graceMs: 1_000, pauseMsMax: 1_000 },
    listed: () => (lists += 1),
    changed: (change) => {
      const { name } = change.object.metadata;
      const before = copy.get(name);
      if (change.type === 'added' && before !== undefined) faults.push(`${name} was there`);
      if (change.type === 'updated' && before !== change.before) faults.push(`${name} was another`);
      if (change.type === 'deleted' && before === undefined) faults.push(`${name} was not there`);
      if (change.type === 'deleted') copy.delete(name);
      else copy.set(name, change.object);
    },
  });
  const running = informer.run(stop.signal);
  return {
    informer,
    copy,
    faults,
    lists: () => lists,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** Name, version and content of all, as text. */
function picture(objects: Iterable<KubeObject>): string {
  return [...objects]
    .map(
      ({ metadata, ...rest }) =>
        `${metadata.name}@${metadata.resourceVersion} ${JSON.stringify(rest['data'])}`,
    )
    .toSorted()
    .join('\n');
}

async function hasAll(namespace: string, copy: ReadonlyMap<string, KubeObject>): Promise<boolean> {
  const there = await client.kube.list(configMapKind, { namespace });
  return picture(there) === picture(copy.values());
}

/** Writes, changes and removes at random until it is disposed, whether the server is there or not. */
function writer(namespace: string) {
  const stop = new AbortController();
  let writes = 0;
  const loop = async () => {
    for (let n = 0; !stop.signal.aborted; n += 1) {
      const name = `m${Math.trunc(Math.random() * 20)}`;
      try {
        const live = await client.kube.get(configMapKind, { name, namespace });
        if (live !== undefined && Math.random() < 0.3)
          await client.kube.delete(
            configMapKind,
            { name, namespace },
            { uid: live.metadata.uid ?? '' },
          );
        else await client.kube.apply(configMapKind, configMap(namespace, name, { n: `${n}` }));
        writes += 1;
      } catch {
        await sleep(50);
      }
      await sleep(5);
    }
  };
  const running = loop();
  return {
    writes: () => writes,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

test('no change is lost when the API server is killed, twice, while somebody writes', async () => {
  const namespace = await freshNamespace();
  await using follower = follow(namespace);
  await waitFor('the list', () => follower.informer.isSynced);
  {
    await using writing = writer(namespace);
    for (let kill = 0; kill < 2; kill += 1) {
      const before = writing.writes();
      await waitFor('some writes', () => writing.writes() > before + 20);
      await bed.killApiServer();
      await sleep(300);
      await bed.startApiServer();
    }
    const before = writing.writes();
    await waitFor('writes after it', () => writing.writes() > before + 20);
  }
  await waitFor('the same state', () => hasAll(namespace, follower.copy), 20_000);
  expect(follower.faults).toEqual([]);
});

test('a silent API server is left, and what happened meanwhile is seen', async () => {
  const namespace = await freshNamespace();
  await using follower = follow(namespace, 2_000);
  await waitFor('the list', () => follower.informer.isSynced);
  {
    using _paused = bed.pauseApiServer();
    await waitFor('the trouble', () => follower.informer.trouble !== undefined, 15_000);
  }
  await bed.ready();
  await client.kube.apply(configMapKind, configMap(namespace, 'after', { n: '1' }));
  await waitFor('what came after', () => follower.copy.has('after'), 20_000);
  expect(follower.faults).toEqual([]);
});

test('a quiet watch goes on for many rounds without a list', async () => {
  const namespace = await freshNamespace();
  await using follower = follow(namespace, 1_000);
  await waitFor('the list', () => follower.informer.isSynced);
  await sleep(5_000);
  await client.kube.apply(configMapKind, configMap(namespace, 'late', { n: '1' }));
  await waitFor('what came late', () => follower.copy.has('late'));
  expect(follower.lists()).toBe(1);
});

test('what was deleted and made anew while nobody watched is a deletion and an addition', async () => {
  const namespace = await freshNamespace();
  await client.kube.apply(configMapKind, configMap(namespace, 'again', { n: '1' }));
  await using follower = follow(namespace, 1_000);
  await waitFor('the list', () => follower.copy.size === 1);
  const first = follower.copy.get('again')?.metadata.uid ?? '';
  await client.kube.delete(configMapKind, { name: 'again', namespace }, { uid: first });
  await client.kube.apply(configMapKind, configMap(namespace, 'again', { n: '2' }));
  await waitFor('the new one', () => (follower.copy.get('again')?.metadata.uid ?? first) !== first);
  expect(follower.copy.get('again')?.metadata['managedFields']).toBeUndefined();
  expect(follower.faults).toEqual([]);
});
