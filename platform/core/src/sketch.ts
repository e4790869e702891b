/**
 * A quantile sketch with 1 % relative error: counts by bucket, whose bounds are one table, so every engine puts a value
 * into the same bucket. Merging adds counts. Source: Masson, Rim, Lee, "DDSketch", VLDB 2019; here bounds are compared,
 * never computed by a logarithm.
 */
export type Sketch = Map<number, number>;

export const relativeError = 0.01;
const growth = (1 + relativeError) / (1 - relativeError);
/** Below it in magnitude a value counts as zero. */
const smallest = 1e-9;
const bucketsMax = 2600;

/** `bounds[i]` is the lower bound of bucket i + 1 and the upper bound, included, of bucket i. Made by products alone. */
export const bounds: readonly number[] = boundsTable();

function boundsTable(): number[] {
  const table = [smallest];
  for (let index = 1; index < bucketsMax; index += 1) table.push((table[index - 1] ?? 0) * growth);
  return table;
}

/** 0 for zero, positive for positive values, negative for negative ones. The last bucket takes all beyond the table. */
export function bucketOf(value: number): number {
  const magnitude = Math.abs(value);
  if (!(magnitude > smallest)) return 0;
  let low = 1;
  let high = bucketsMax;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((bounds[middle] ?? Infinity) < magnitude) low = middle + 1;
    else high = middle;
  }
  return value < 0 ? -low : low;
}

export function addToSketch(sketch: Sketch, value: number): void {
  const bucket = bucketOf(value);
  sketch.set(bucket, (sketch.get(bucket) ?? 0) + 1);
}

export function addAllToSketch(sketch: Sketch, other: Iterable<readonly [number, number]>): void {
  for (const [bucket, count] of other) sketch.set(bucket, (sketch.get(bucket) ?? 0) + count);
}

/** The value at rank ⌊q·(n − 1)⌋ of the sorted values, within 1 %; NaN when empty. */
export function quantileOf(sketch: Iterable<readonly [number, number]>, quantile: number): number {
  const buckets = [...sketch].toSorted(([a], [b]) => a - b);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  const rank = Math.floor(quantile * (total - 1));
  let below = 0;
  for (const [bucket, count] of buckets) {
    below += count;
    if (below > rank) return valueOf(bucket);
  }
  return Number.NaN;
}

/** The value whose relative distance to both bounds of the bucket is the same. */
function valueOf(bucket: number): number {
  if (bucket === 0) return 0;
  const lower = bounds[Math.abs(bucket) - 1] ?? 0;
  return Math.sign(bucket) * lower * ((2 * growth) / (1 + growth));
}
