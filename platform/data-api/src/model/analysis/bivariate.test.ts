import { expect, test } from 'vitest';
import { Bivariate } from './bivariate.ts';

function of(pairs: readonly (readonly [number, number])[]): Bivariate {
  const made = new Bivariate();
  for (const [x, y] of pairs) made.add(x, y);
  return made;
}

test('a line correlates wholly, and is found', () => {
  const rising = of([1, 2, 3, 4].map((x) => [x, 2 * x + 5]));
  expect(rising.correlation).toBeCloseTo(1, 12);
  expect(rising.line?.slope).toBeCloseTo(2, 12);
  expect(rising.line?.intercept).toBeCloseTo(5, 12);
  expect(of([1, 2, 3].map((x) => [x, -x])).correlation).toBeCloseTo(-1, 12);
});

test('Anscombe’s first quartet', () => {
  const xs = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5];
  const ys = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
  const first = of(xs.map((x, index) => [x, ys[index] ?? 0]));
  expect(first.correlation).toBeCloseTo(0.816_420_516, 8);
  expect(first.line?.slope).toBeCloseTo(0.500_090_9, 6);
  expect(first.line?.intercept).toBeCloseTo(3.000_090_9, 6);
});

test('a small variation on a large value does not cancel', () => {
  const base = 1e9;
  const far = of([0, 1, 2, 3].map((x) => [base + x, base - x]));
  expect(far.correlation).toBeCloseTo(-1, 6);
});

test('too few pairs and what does not vary have none', () => {
  expect(
    of([
      [1, 1],
      [2, 2],
    ]).correlation,
  ).toBeNull();
  expect(
    of([
      [1, 1],
      [1, 2],
      [1, 3],
    ]).correlation,
  ).toBeNull();
  expect(
    of([
      [1, 7],
      [2, 7],
      [3, 7],
    ]).line,
  ).toBeNull();
});
