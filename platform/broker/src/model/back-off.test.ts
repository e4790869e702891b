import { expect, test } from 'vitest';
import { BackOff } from './back-off.ts';

const options = { failuresFree: 3, firstMs: 1000, maxMs: 8000, forgetMs: 60_000, keysMax: 4 };

test('some failures are free, then the wait doubles up to its bound', () => {
  const backOff = new BackOff(options);
  const waits: number[] = [];
  for (let nowMs = 0; nowMs < 8; nowMs += 1) {
    backOff.failed('a', nowMs);
    waits.push(backOff.waitMs('a', nowMs));
  }
  expect(waits).toEqual([0, 0, 0, 1000, 2000, 4000, 8000, 8000]);
  expect(backOff.waitMs('a', 7 + 7999)).toBe(1);
  expect(backOff.waitMs('a', 7 + 8000)).toBe(0);
  expect(backOff.waitMs('b', 7)).toBe(0);
});

test('a success, or long silence, begins anew', () => {
  const backOff = new BackOff(options);
  for (let each = 0; each < 5; each += 1) backOff.failed('a', 0);
  expect(backOff.waitMs('a', 0)).toBe(2000);
  backOff.succeeded('a');
  expect(backOff.waitMs('a', 0)).toBe(0);
  for (let each = 0; each < 5; each += 1) backOff.failed('a', 0);
  backOff.failed('a', 60_000);
  expect(backOff.waitMs('a', 60_000)).toBe(0);
});

test('keys are bounded: the one that was quiet longest is forgotten', () => {
  const backOff = new BackOff(options);
  for (const key of ['a', 'b', 'c', 'd']) for (let n = 0; n < 4; n += 1) backOff.failed(key, 0);
  backOff.failed('a', 1);
  backOff.failed('e', 1);
  expect(backOff.size).toBe(4);
  expect(['a', 'b', 'c'].map((key) => backOff.waitMs(key, 1) > 0)).toEqual([true, false, true]);
});
