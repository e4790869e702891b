import { expect, test } from 'vitest';
import { Arrivals } from './arrivals.ts';

test('tells when a record came, never later than it did, in bounded memory', () => {
  const arrivals = new Arrivals(16);
  expect(arrivals.of(5)).toBeUndefined();
  for (let index = 0; index < 10_000; index += 1) arrivals.note(index, 1_000_000 + index * 100);
  for (const index of [0, 17, 5000, 9999]) {
    const atMs = arrivals.of(index) ?? Infinity;
    expect(atMs).toBeLessThanOrEqual(1_000_000 + index * 100);
    expect(1_000_000 + index * 100 - atMs).toBeLessThan(200_000);
  }
  arrivals.forgetBelow(5000);
  expect(arrivals.of(5000)).toBeDefined();
  expect(arrivals.of(10)).toBeUndefined();
});
