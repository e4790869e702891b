import { expect, test } from 'vitest';
import { RateLimiter } from './rate-limiter.ts';

function limiter(waitMsMax = 60_000) {
  let now = 0;
  const made = new RateLimiter({ perSecond: 10, burst: 5, waitMsMax }, () => now);
  return { made, at: (ms: number) => void (now = ms), next: () => made.reserve() };
}

test('a burst is free, then turns come at the rate', () => {
  const { next } = limiter();
  expect(Array.from({ length: 8 }, next)).toEqual([0, 0, 0, 0, 0, 100, 200, 300]);
});

test('what was not used comes back, up to the burst', () => {
  const { next, at } = limiter();
  for (let n = 0; n < 5; n += 1) next();
  at(10_000);
  expect(Array.from({ length: 6 }, next)).toEqual([0, 0, 0, 0, 0, 100]);
});

test('who would wait too long is refused and costs no turn', () => {
  const { next } = limiter(150);
  for (let n = 0; n < 6; n += 1) next();
  expect(next).toThrow('more than 10 requests a second');
  expect(next).toThrow('more than 10 requests a second');
});

test('the other side is spared for as long as it asks, up to half a minute', () => {
  const { made, next } = limiter();
  made.pause(2_000);
  expect(next()).toBe(2_000);
  made.pause(3_600_000);
  expect(next()).toBe(30_000);
});
