import { expect, test } from 'vitest';
import type { KubeObject } from '../runtime/kube.ts';
import { type Change, ObjectCache } from './object-cache.ts';

function thing(name: string, uid: number, version: number): KubeObject {
  const metadata = { name, namespace: 'here', uid: `${uid}`, resourceVersion: `${version}` };
  return { apiVersion: 'v1', kind: 'Thing', metadata };
}

test('what was made anew under its name is a deletion and an addition', () => {
  const cache = new ObjectCache();
  cache.put(thing('a', 1, 1));
  expect(cache.replace([thing('a', 2, 5)])).toEqual([
    { type: 'deleted', object: thing('a', 1, 1) },
    { type: 'added', object: thing('a', 2, 5) },
  ]);
});

test('what is as it was is no change', () => {
  const cache = new ObjectCache();
  cache.put(thing('a', 1, 1));
  expect(cache.put(thing('a', 1, 1))).toEqual([]);
  expect(cache.replace([thing('a', 1, 1)])).toEqual([]);
  expect(cache.remove(thing('b', 1, 1))).toEqual([]);
});

test.each([1, 2, 3, 4])('who follows the changes has what the cache has (seed %i)', (seed) => {
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % n;
  };
  const cache = new ObjectCache();
  const follower = new Map<string, KubeObject>();
  const follow = (change: Change) => {
    const { name } = change.object.metadata;
    expect(follower.get(name)).toBe(knownBefore(change));
    if (change.type === 'deleted') follower.delete(name);
    else follower.set(name, change.object);
  };
  const some = () => thing(`n${below(6)}`, below(3), below(50));
  for (let step = 0; step < 3_000; step += 1) {
    const kind = below(10);
    const listed = new Map(Array.from({ length: below(6) }, some).map((o) => [o.metadata.name, o]));
    const changes =
      kind === 0
        ? cache.replace([...listed.values()])
        : kind < 7
          ? cache.put(some())
          : cache.remove(some());
    changes.forEach(follow);
    expect([...follower.values()].toSorted(byName)).toEqual([...cache.values()].toSorted(byName));
  }
});

/** What a follower has of it until then. */
function knownBefore(change: Change): KubeObject | undefined {
  if (change.type === 'added') return undefined;
  return change.type === 'updated' ? change.before : change.object;
}

const byName = (a: KubeObject, b: KubeObject) => (a.metadata.name < b.metadata.name ? -1 : 1);
