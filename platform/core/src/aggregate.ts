import {
  addAll,
  addSquareTo,
  addTo,
  canonicalTerms,
  type Expansion,
  roundedSum,
} from './exact-sum.ts';
import { addAllToSketch, addToSketch, quantileOf, type Sketch } from './sketch.ts';

/** What is known of a set of numbers. Merges in any order and grouping to the same. */
export interface Aggregate {
  count: number;
  min: number;
  max: number;
  readonly sum: Expansion;
  readonly sumOfSquares: Expansion;
  readonly sketch: Sketch;
}

/**
 * An aggregate on the wire: count, min, max, the terms of the sum, the terms of the sum of squares, and the sketch as
 * bucket, count, bucket, count… by rising bucket. Equal sets of numbers give equal texts.
 */
export type EncodedAggregate = readonly [
  count: number,
  min: number,
  max: number,
  sum: readonly number[],
  sumOfSquares: readonly number[],
  sketch: readonly number[],
];

/** What a client sees of an aggregate. */
export interface Figures {
  readonly count: number;
  readonly sum: number;
  readonly avg: number;
  readonly min: number;
  readonly max: number;
  /** Of the population. */
  readonly stddev: number;
  readonly p50: number;
  readonly p95: number;
}

export function emptyAggregate(): Aggregate {
  return {
    count: 0,
    min: Infinity,
    max: -Infinity,
    sum: [],
    sumOfSquares: [],
    sketch: new Map(),
  };
}

/** Adds a finite number in place. */
export function addValue(aggregate: Aggregate, value: number): void {
  const number = value === 0 ? 0 : value; // -0 and 0 are one value
  aggregate.count += 1;
  if (number < aggregate.min) aggregate.min = number;
  if (number > aggregate.max) aggregate.max = number;
  addTo(aggregate.sum, number);
  addSquareTo(aggregate.sumOfSquares, number);
  addToSketch(aggregate.sketch, number);
}

/** Adds `other` to `aggregate` in place. */
export function mergeInto(aggregate: Aggregate, other: Aggregate): void {
  aggregate.count += other.count;
  aggregate.min = Math.min(aggregate.min, other.min);
  aggregate.max = Math.max(aggregate.max, other.max);
  addAll(aggregate.sum, other.sum);
  addAll(aggregate.sumOfSquares, other.sumOfSquares);
  addAllToSketch(aggregate.sketch, other.sketch);
}

/** Adds an encoded aggregate in place, without decoding it first. */
export function mergeEncodedInto(aggregate: Aggregate, encoded: EncodedAggregate): void {
  const [count, min, max, sum, sumOfSquares, sketch] = encoded;
  aggregate.count += count;
  aggregate.min = Math.min(aggregate.min, min);
  aggregate.max = Math.max(aggregate.max, max);
  addAll(aggregate.sum, sum);
  addAll(aggregate.sumOfSquares, sumOfSquares);
  for (let index = 0; index + 1 < sketch.length; index += 2) {
    const bucket = sketch[index] ?? 0;
    aggregate.sketch.set(bucket, (aggregate.sketch.get(bucket) ?? 0) + (sketch[index + 1] ?? 0));
  }
}

export function decodeAggregate(encoded: EncodedAggregate): Aggregate {
  const aggregate = emptyAggregate();
  mergeEncodedInto(aggregate, encoded);
  return aggregate;
}

/** Of an aggregate that is not empty. */
export function encodeAggregate(aggregate: Aggregate): EncodedAggregate {
  return [
    aggregate.count,
    aggregate.min,
    aggregate.max,
    canonicalTerms(aggregate.sum),
    canonicalTerms(aggregate.sumOfSquares),
    [...aggregate.sketch].toSorted(([a], [b]) => a - b).flat(),
  ];
}

/** Derived from exact sums, each rounded once. Of an aggregate that is not empty. */
export function figuresOf(aggregate: Aggregate): Figures {
  const { count, min, max } = aggregate;
  const sum = roundedSum(aggregate.sum);
  const within = (value: number) => Math.min(max, Math.max(min, value));
  return {
    count,
    sum,
    avg: within(sum / count),
    min,
    max,
    stddev: Math.sqrt(Math.max(0, varianceOf(aggregate))),
    p50: within(quantileOf(aggregate.sketch, 0.5)),
    p95: within(quantileOf(aggregate.sketch, 0.95)),
  };
}

/** (n·Σv² − (Σv)²) / n², with the difference taken exactly, so that equal values have none. */
function varianceOf({ count, sum, sumOfSquares, min, max }: Aggregate): number {
  if (min === max) return 0;
  const terms = canonicalTerms(sum);
  const difference: Expansion = [];
  for (const term of canonicalTerms(sumOfSquares)) addProduct(difference, term, count);
  for (const a of terms) for (const b of terms) addProduct(difference, -a, b);
  return roundedSum(difference) / count / count;
}

const splitter = 134_217_729; // 2^27 + 1

/** Adds a·b in place, exactly (Dekker). */
function addProduct(expansion: Expansion, a: number, b: number): void {
  const product = a * b;
  const [aHigh, aLow] = split(a);
  const [bHigh, bLow] = split(b);
  const error = aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
  addTo(expansion, error);
  addTo(expansion, product);
}

function split(value: number): readonly [high: number, low: number] {
  const scaled = splitter * value;
  const high = scaled - (scaled - value);
  return [high, value - high];
}
