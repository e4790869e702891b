import type { NumberRange } from '@domicile/core/account.ts';

/** Numbers as `[first, last]` ranges, both included, rising, with a gap between each two. */
export type NumberRanges = [first: number, last: number][];

/** Adds one number in place. Most come in order, so the end is looked at first. */
export function addNumber(ranges: NumberRanges, number: number): void {
  addRange(ranges, number, number);
}

/** Adds `first` to `last` in place. */
export function addRange(ranges: NumberRanges, first: number, last: number): void {
  const end = ranges.at(-1);
  if (end === undefined || first > end[1] + 1) {
    ranges.push([first, last]);
    return;
  }
  if (first >= end[0]) {
    if (last > end[1]) end[1] = last;
    return;
  }
  const from = ranges.findIndex((range) => range[1] + 1 >= first);
  let to = from;
  let low = first;
  let high = last;
  for (let range = ranges[to]; range !== undefined && range[0] <= last + 1; range = ranges[to]) {
    low = Math.min(low, range[0]);
    high = Math.max(high, range[1]);
    to += 1;
  }
  ranges.splice(from, to - from, [low, high]);
}

export function addRanges(ranges: NumberRanges, others: readonly NumberRange[]): void {
  for (const [first, last] of others) addRange(ranges, first, last);
}

export function countOf(ranges: readonly NumberRange[]): number {
  return ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}
