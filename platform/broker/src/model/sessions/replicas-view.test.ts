import { expect, test } from 'vitest';
import { ReplicasView } from './replicas-view.ts';

test('a replica is dead when it is silent for as long as we spoke so often, and lives again when it speaks', () => {
  const view = new ReplicasView('b', { missedMax: 3 });
  expect(view.note('a', false)).toBe(true);
  expect(view.isFirst()).toBe(false);
  for (const changed of [false, false, true, false]) expect(view.note('b', false)).toBe(changed);
  expect([view.isLiving('a'), view.dead(), [...view.living()]]).toEqual([false, ['a'], ['b']]);
  expect(view.isFirst()).toBe(true);
  expect(view.note('a', false)).toBe(true);
  expect(view.isLiving('a')).toBe(true);
});

test('one that says that it leaves is gone at once', () => {
  const view = new ReplicasView('b', { missedMax: 3 });
  view.note('a', false);
  expect(view.note('a', true)).toBe(true);
  expect([view.isLiving('a'), view.dead()]).toEqual([false, []]);
});

test('while we are silent ourselves, nobody dies', () => {
  const view = new ReplicasView('b', { missedMax: 3 });
  view.note('a', false);
  view.note('c', false);
  for (let beat = 0; beat < 10; beat += 1) view.note('c', false);
  expect(view.isLiving('a')).toBe(true);
});
