import { expect, test } from 'vitest';
import { seeded, seeds } from './model/seeded.ts';
import { filterTakes } from './topic-filters.ts';
import { TopicTree } from './topic-tree.ts';

const words = ['a', 'b', '', '__proto__', 'constructor', '$SYS', 'ü', '+', '+'];

test.each(seeds)('the tree finds what the filters one by one take (seed %d)', (seed) => {
  const dice = seeded(seed);
  const pick = (of: readonly string[]) => of[dice(of.length)] ?? '';
  const filterOf = () => {
    const levels = Array.from({ length: 1 + dice(4) }, () => pick(words));
    return [...levels, ...(dice(3) === 0 ? ['#'] : [])].slice(dice(8) === 0 ? -1 : 0).join('/');
  };
  const topicOf = () =>
    Array.from({ length: 1 + dice(5) }, () => pick(words.slice(0, 7))).join('/');
  const tree = new TopicTree<string>();
  const naive: { filter: string; value: string }[] = [];
  const answers: boolean[] = [];
  for (let step = 0; step < 300; step += 1) {
    const known = naive[dice(naive.length || 1)];
    if (dice(3) > 0 || !known) {
      const each = { filter: filterOf(), value: `${dice(5)}` };
      const isNew = !naive.some((of) => of.filter === each.filter && of.value === each.value);
      answers.push(tree.add(each.filter, each.value) === isNew);
      if (isNew) naive.push(each);
    } else {
      naive.splice(naive.indexOf(known), 1);
      answers.push(tree.remove(known.filter, known.value));
      answers.push(!tree.remove(known.filter, known.value));
    }
    const topic = topicOf();
    const wanted = naive.filter(({ filter }) => filterTakes(filter, topic));
    expect(tree.match(topic).toSorted()).toEqual(wanted.map(({ value }) => value).toSorted());
    expect(tree.size).toBe(naive.length);
  }
  expect(answers).not.toContain(false);
});

test('tens of thousands of filters are not searched one by one', () => {
  const tree = new TopicTree<number>();
  for (let each = 0; each < 50_000; each += 1) tree.add(`v1/b${each}/+/telemetry/#`, each);
  tree.add('#', -1);
  const from = performance.now();
  let found = 0;
  for (let each = 0; each < 50_000; each += 1) {
    found += tree.match(`v1/b${each}/d/telemetry`).length;
  }
  expect(found).toBe(100_000);
  // One by one it would be 2,500,000,000 comparisons.
  expect(performance.now() - from).toBeLessThan(20_000);
});

test('a topic of any depth costs no stack', () => {
  const tree = new TopicTree<number>();
  const deep = '/'.repeat(65_000);
  tree.add(deep, 1);
  tree.add('#', 2);
  expect(tree.match(deep)).toEqual([2, 1]);
  expect(tree.remove(deep, 1)).toBe(true);
  expect(tree.match(deep)).toEqual([2]);
});

test('who subscribes by thousands to one filter is found whole', () => {
  const tree = new TopicTree<number>();
  for (let each = 0; each < 200_000; each += 1) tree.add('a/#', each);
  expect(tree.match('a/b')).toHaveLength(200_000);
});
