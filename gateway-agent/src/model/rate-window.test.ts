import { expect, test } from 'vitest';
import { RateWindow } from './rate-window.ts';

const atMs = 1_800_000_000_000;

test('a steady stream has its rate, and one that ended has none after the window', () => {
  const window = new RateWindow({ windowMs: 10_000, buckets: 10 });
  expect(window.perSecond(atMs)).toBe(0);
  for (let second = 0; second < 60; second++) window.add(5, atMs + second * 1000);
  expect(window.perSecond(atMs + 59_999)).toBe(5);
  expect(window.perSecond(atMs + 64_999)).toBe(2.5);
  expect(window.perSecond(atMs + 90_000)).toBe(0);
  expect(window.total).toBe(300);
});

test('the rate of the first moments is over the time that passed', () => {
  const window = new RateWindow({ windowMs: 600_000, buckets: 60 });
  window.add(100, atMs);
  window.add(100, atMs + 10_000);
  expect(window.perSecond(atMs + 20_000)).toBe(10);
});

test('a clock that goes back loses nothing and invents nothing', () => {
  const window = new RateWindow({ windowMs: 10_000, buckets: 10 });
  window.add(10, atMs);
  window.add(10, atMs - 3_600_000);
  expect(window.perSecond(atMs + 10)).toBe(20);
  expect(window.total).toBe(20);
});
