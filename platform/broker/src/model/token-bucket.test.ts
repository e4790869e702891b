import { expect, test } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

test('a burst passes, then the rate holds', () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 5, nowMs: 0 });
  expect(Array.from({ length: 7 }, () => bucket.take(0))).toEqual([0, 0, 0, 0, 0, 100, 200]);
  expect(bucket.take(300)).toBe(0);
});

test('who waits as told is served at the rate, and idleness saves no more than the burst', () => {
  const bucket = new TokenBucket({ perSecond: 100, burst: 10, nowMs: 0 });
  let nowMs = 0;
  for (let taken = 0; taken < 1010; taken += 1) nowMs += bucket.take(nowMs);
  expect(nowMs).toBe(10_000);
  nowMs += 3_600_000;
  expect(
    Array.from({ length: 12 }, () => bucket.take(nowMs)).filter((hold) => hold > 0),
  ).toHaveLength(2);
});

test('a clock that goes back gives nothing away', () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 1, nowMs: 1000 });
  expect([bucket.take(1000), bucket.take(0), bucket.take(0)]).toEqual([0, 1000, 2000]);
});
