import { expect, test } from 'vitest';
import {
  type Ranges,
  addRange,
  boundRanges,
  countOf,
  holds,
  removeRange,
  union,
  within,
} from './ranges.ts';
import { TestRandom } from './test-random.ts';

const universe = Array.from({ length: 60 }, (_, position) => position);

test('ranges are what a set of positions would be', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const random = new TestRandom(seed);
    const set = new Set<number>();
    let ranges: Ranges = [];
    for (let step = 0; step < 30; step += 1) {
      const from = random.below(60);
      const range = { from, to: Math.min(60, from + random.below(12)) };
      const isAdded = random.next() < 0.6;
      ranges = isAdded ? addRange(ranges, range) : removeRange(ranges, range);
      const positions = universe.slice(range.from, range.to);
      for (const at of positions) set[isAdded ? 'add' : 'delete'](at);
    }
    expect(
      universe.filter((at) => holds(ranges, at)),
      `seed ${seed}`,
    ).toEqual(universe.filter((at) => set.has(at)));
    expect(countOf(ranges), `seed ${seed}`).toBe(set.size);
    for (const [place, { from, to }] of ranges.entries()) {
      expect(from, `seed ${seed}`).toBeLessThan(to);
      expect(ranges[place + 1]?.from ?? Infinity, `seed ${seed}`).toBeGreaterThan(to);
    }
    const bounded = boundRanges(ranges, 3);
    expect(bounded.length, `seed ${seed}`).toBeLessThanOrEqual(3);
    expect(union(bounded, ranges), `seed ${seed}`).toEqual(bounded);
  }
});

test('bounding fills the smallest holes', () => {
  const ranges = [
    { from: 0, to: 10 },
    { from: 12, to: 20 },
    { from: 50, to: 60 },
  ];
  expect(boundRanges(ranges, 2)).toEqual([
    { from: 0, to: 20 },
    { from: 50, to: 60 },
  ]);
});

test('a window cuts ranges', () => {
  const ranges = [
    { from: 0, to: 10 },
    { from: 12, to: 20 },
  ];
  expect(within(ranges, { from: 5, to: 13 })).toEqual([
    { from: 5, to: 10 },
    { from: 12, to: 13 },
  ]);
});
