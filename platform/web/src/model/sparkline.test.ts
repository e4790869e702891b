import { expect, test } from 'vitest';
import { sparklinePaths } from './sparkline.ts';

const series = (avg: readonly (number | null)[]) => ({
  starts: avg.map((_, index) => index),
  avg,
  min: avg.map((value) => value && value - 1),
  max: avg.map((value) => value && value + 1),
  rows: [],
});

test('the line breaks where nothing was measured', () => {
  const { line } = sparklinePaths(series([5, 6, null, 6, 5]), { width: 40, height: 26 });
  expect(line).toBe('M0 16.3L10 9.7M30 9.7L40 16.3');
});

test('a point between gaps is a dot', () => {
  const { line } = sparklinePaths(series([5, null, 6, 5]), { width: 30, height: 26 });
  expect(line).toBe('M0 16.3L0 16.3M20 9.7L30 16.3');
});

test('one point makes no line', () => {
  expect(sparklinePaths(series([5]), { width: 40, height: 26 })).toEqual({ line: '', band: '' });
});

test('values that do not differ run through the middle', () => {
  const flat = { ...series([5, 5]), min: [5, 5], max: [5, 5] };
  expect(sparklinePaths(flat, { width: 40, height: 26 }).line).toBe('M0 13L40 13');
});
