import { expect, test } from 'vitest';
import { Rates } from './rate.ts';

test('a sender may send its rate, others are unharmed, a jump of the clock gives nothing', () => {
  const rates = new Rates(2);
  expect([0, 0, 0].map((atMs) => rates.waitMs('a', atMs))).toEqual([0, 0, 500]);
  expect(rates.waitMs('b', 0)).toBe(0);
  expect(rates.waitMs('a', 250)).toBe(250);
  expect(rates.waitMs('a', 500)).toBe(0);
  expect(rates.waitMs('a', -10_000)).toBe(500);
  expect([1e9, 1e9, 1e9].map((atMs) => rates.waitMs('a', atMs))).toEqual([0, 0, 500]);
});

test('slower than one a second is a rate too', () => {
  const rates = new Rates(0.1);
  expect([0, 1, 10_000].map((atMs) => rates.waitMs('a', atMs))).toEqual([0, 9999, 0]);
});
