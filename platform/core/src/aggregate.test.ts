import { expect, test } from 'vitest';
import {
  addValue,
  type Aggregate,
  decodeAggregate,
  emptyAggregate,
  encodeAggregate,
  figuresOf,
  mergeInto,
} from './aggregate.ts';
import { addTo, canonicalTerms, roundedSum } from './exact-sum.ts';
import { bounds, bucketOf, quantileOf, relativeError } from './sketch.ts';

/** mulberry32; the seed is printed by the tests' names. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<Value>(values: readonly Value[], roll: () => number): Value[] {
  return values
    .map((value) => ({ value, key: roll() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value);
}

function aggregateOf(values: readonly number[]): Aggregate {
  const aggregate = emptyAggregate();
  for (const value of values) addValue(aggregate, value);
  return aggregate;
}

const wild = (roll: () => number) =>
  Array.from({ length: 300 }, () => (roll() - 0.5) * 10 ** Math.floor(roll() * 24 - 12));

test.each([1, 2, 3, 4, 5])('seed %d: any order and grouping gives the same text', (seed) => {
  const roll = dice(seed);
  const values = wild(roll);
  const whole = JSON.stringify(encodeAggregate(aggregateOf(values)));
  for (let round = 0; round < 5; round += 1) {
    const mixed = shuffled(values, roll);
    const parts = [mixed.slice(0, 7), mixed.slice(7, 150), mixed.slice(150)].map(aggregateOf);
    const merged = emptyAggregate();
    for (const part of shuffled(parts, roll))
      mergeInto(merged, decodeAggregate(encodeAggregate(part)));
    expect(JSON.stringify(encodeAggregate(merged))).toBe(whole);
  }
});

/** The exact sum as a fraction over 2^1074, by integers alone. */
function bySum(values: readonly number[]): bigint {
  const view = new DataView(new ArrayBuffer(8));
  return values.reduce((sum, value) => {
    view.setFloat64(0, value);
    const bits = view.getBigUint64(0);
    const exponent = Number((bits >> 52n) & 0x7ffn);
    const fraction = bits & 0xfffffffffffffn;
    const mantissa = exponent === 0 ? fraction : fraction | 0x10000000000000n;
    const scaled = mantissa << BigInt(Math.max(exponent, 1) - 1);
    return value < 0 ? sum - scaled : sum + scaled;
  }, 0n);
}

test.each([11, 12, 13])('seed %d: the sum is exact', (seed) => {
  const values = wild(dice(seed));
  const expansion: number[] = [];
  for (const value of values) addTo(expansion, value);
  expect(bySum(canonicalTerms(expansion))).toBe(bySum(values));
  expect(bySum([roundedSum(expansion)]) - bySum(values)).not.toBe(bySum([1]));
});

test('cancellation leaves what is small, and a half is rounded to even by what lies below', () => {
  expect(figuresOf(aggregateOf([1e12, 1e-9, -1e12])).sum).toBe(1e-9);
  expect(roundedSum([2 ** -60, 2 ** -53, 1])).toBe(1 + 2 ** -52);
  expect(roundedSum([2 ** -53, 1])).toBe(1);
});

test('figures of a population', () => {
  const figures = figuresOf(aggregateOf([2, 4, 4, 4, 5, 5, 7, 9]));
  expect(figures).toMatchObject({ count: 8, sum: 40, avg: 5, min: 2, max: 9, stddev: 2 });
  expect(figuresOf(aggregateOf([21.4, 21.4, 21.4])).stddev).toBe(0);
  expect(figuresOf(aggregateOf([-0, 0]))).toMatchObject({ min: 0, max: 0, p50: 0 });
});

test('a quantile is within one percent of the true one', () => {
  const roll = dice(7);
  const values = Array.from({ length: 999 }, () => 400 + roll() * 900).toSorted((a, b) => a - b);
  const { sketch } = aggregateOf(values);
  for (const q of [0, 0.05, 0.5, 0.95, 1]) {
    const truth = values[Math.floor(q * 998)] ?? Number.NaN;
    expect(Math.abs(quantileOf(sketch, q) / truth - 1)).toBeLessThanOrEqual(relativeError + 1e-9);
  }
});

test('a value stands between the bounds of its bucket', () => {
  for (const value of [1e-9, 1.1e-9, 0.5, 1, 21.4, 612, 1e12]) {
    const bucket = bucketOf(value);
    expect(bucketOf(-value)).toBe(bucket === 0 ? 0 : -bucket);
    if (bucket === 0) continue;
    expect(bounds[bucket - 1]).toBeLessThan(value);
    expect(bounds[bucket]).toBeGreaterThanOrEqual(value);
  }
  expect(bounds.at(-1)).toBeGreaterThan(1e12);
});
