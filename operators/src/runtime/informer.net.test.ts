import { FaultProxy } from '@domicile/devkit/fault-proxy.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { expect, test } from 'vitest';
import type { Change } from '../model/object-cache.ts';
import { Informer, type InformerTimes } from './informer.ts';
import { KubeHttp } from './kube-http.ts';
import { accessTo, FakeApi, status, thingKind } from './test-fake-api.ts';

const times: InformerTimes = { watchMs: 60_000, graceMs: 1_000, pauseMsMin: 10, pauseMsMax: 200 };

/** An informer, and the names that who follows its changes has. */
function follow(port: number, others: Partial<InformerTimes> = {}) {
  const http = new KubeHttp({ access: accessTo(port), userAgent: 'test' });
  const stop = new AbortController();
  const names = new Set<string>();
  const changes: string[] = [];
  const failures: unknown[] = [];
  const changed = ({ type, object }: Change) => {
    changes.push(`${type} ${object.metadata.name}`);
    if (type === 'deleted') names.delete(object.metadata.name);
    else names.add(object.metadata.name);
  };
  const informer = new Informer({
    http,
    collection: { kind: thingKind },
    times: { ...times, ...others },
    changed,
    failed: (error) => void failures.push(error),
  });
  const running = informer.run(stop.signal);
  return {
    informer,
    changes,
    failures,
    names: () => [...names].toSorted(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      http[Symbol.dispose]();
    },
  };
}

test('lists by pages, then follows what is added, changed and removed', async () => {
  await using api = await FakeApi.start();
  for (let n = 0; n < 600; n += 1) api.put(`n${n}`);
  await using follower = follow(api.port);
  await waitFor('the watch', () => api.watches === 1);
  expect(follower.informer.size).toBe(600);
  expect(api.asked.filter((path) => path.includes('limit=250'))).toHaveLength(3);
  api.put('n1', 'other');
  api.put('new');
  api.remove('n2');
  await waitFor('the changes', () => follower.changes.length === 603);
  expect(follower.changes.slice(-3)).toEqual(['updated n1', 'added new', 'deleted n2']);
  expect(follower.names()).toEqual(api.names);
});

test('goes on from the last version after a cut within an event, without a list', async () => {
  await using api = await FakeApi.start();
  api.put('a');
  await using follower = follow(api.port);
  await waitFor('the watch', () => api.watches === 1);
  api.put('b');
  await waitFor('b', () => follower.names().includes('b'));
  api.send('{"type":"ADDED","object":{"metadata":{"name":"half');
  api.cutWatches();
  api.put('c');
  api.remove('a');
  await waitFor('the rest', () => follower.names().join() === 'b,c');
  expect(follower.changes).toEqual(['added a', 'added b', 'added c', 'deleted a']);
  expect(api.lists).toBe(1);
});

test('a bookmark moves the version on, so that a quiet watch does not age', async () => {
  await using api = await FakeApi.start();
  await using follower = follow(api.port);
  await waitFor('the watch', () => api.watches === 1);
  api.passVersions();
  api.bookmark();
  api.compact();
  api.endWatches();
  await waitFor('a new watch', () => api.watches === 1 && api.asked.length > 2);
  api.put('late');
  await waitFor('late', () => follower.names().includes('late'));
  expect(api.lists).toBe(1);
});

test.each(['event', 'status'])(
  'a version that is gone (as %s) is a new list and its difference',
  async (as) => {
    await using api = await FakeApi.start();
    for (const name of ['a', 'b', 'c']) api.put(name);
    await using follower = follow(api.port);
    await waitFor('the watch', () => api.watches === 1);
    let refuses = true;
    api.intercept = (request, response) => {
      const isWatch = request.url?.includes('watch=true') === true;
      if (!refuses || !isWatch) return false;
      if (as === 'event') return false;
      refuses = false;
      status(response, 410);
      return true;
    };
    api.cutWatches();
    api.remove('a');
    api.put('b', 'other');
    api.put('d');
    api.compact();
    await waitFor('the difference', () => follower.names().join() === 'b,c,d');
    expect(follower.changes.slice(3).toSorted()).toEqual(['added d', 'deleted a', 'updated b']);
    expect(api.lists).toBe(2);
  },
);

test('a list whose pages are gone half way begins anew', async () => {
  await using api = await FakeApi.start();
  for (let n = 0; n < 300; n += 1) api.put(`n${n}`);
  let refusals = 0;
  api.intercept = (request, response) => {
    if (refusals > 0 || request.url?.includes('continue=') !== true) return false;
    refusals += 1;
    status(response, 410);
    return true;
  };
  await using follower = follow(api.port);
  await waitFor('all', () => follower.informer.size === 300);
  expect(follower.changes).toHaveLength(300);
  expect(api.lists).toBe(2);
});

test('a connection that is half open is found out', async () => {
  await using api = await FakeApi.start();
  await using proxy = await FaultProxy.start({ targets: [api.port] });
  api.put('a');
  await using follower = follow(proxy.port, { watchMs: 1_000, graceMs: 300 });
  await waitFor('the watch', () => api.watches === 1);
  proxy.silence();
  api.put('unseen');
  api.remove('a');
  proxy.mend();
  await waitFor('what was unseen', () => follower.names().join() === 'unseen', 10_000);
  expect(api.lists).toBe(1);
  expect(String(follower.failures[0])).toContain('nothing came for too long');
});

test('refusals are waited out with growing pauses, and said', async () => {
  await using api = await FakeApi.start();
  api.put('a');
  api.intercept = (_request, response) => {
    status(response, 403);
    return true;
  };
  await using follower = follow(api.port);
  await waitFor('some refusals', () => follower.failures.length >= 4);
  expect(follower.informer.isSynced).toBe(false);
  expect(follower.informer.trouble).toContain('is 403');
  api.intercept = () => false;
  await waitFor(
    'the list',
    () => follower.informer.isSynced && follower.informer.trouble === undefined,
  );
});

test('a watch that ends at once is not asked for without pause', async () => {
  await using api = await FakeApi.start();
  api.intercept = (request, response) => {
    if (request.url?.includes('watch=true') !== true) return false;
    response.end();
    return true;
  };
  await using follower = follow(api.port, { pauseMsMin: 100, pauseMsMax: 10_000 });
  await waitFor('three failures', () => follower.failures.length >= 3);
  const before = api.asked.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(api.asked.length - before).toBeLessThanOrEqual(2);
});
