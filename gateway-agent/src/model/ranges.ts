/** Positions `from` up to and without `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Sorted, apart from each other, none empty. */
export type Ranges = readonly Range[];

export function addRange(ranges: Ranges, added: Range): Ranges {
  if (added.from >= added.to) return ranges;
  const before = ranges.filter(({ to }) => to < added.from);
  const after = ranges.filter(({ from }) => from > added.to);
  const touching = ranges.slice(before.length, ranges.length - after.length);
  const from = Math.min(added.from, touching[0]?.from ?? added.from);
  const to = Math.max(added.to, touching.at(-1)?.to ?? added.to);
  return [...before, { from, to }, ...after];
}

export function removeRange(ranges: Ranges, removed: Range): Ranges {
  if (removed.from >= removed.to) return ranges;
  return ranges.flatMap(({ from, to }) =>
    [
      { from, to: Math.min(to, removed.from) },
      { from: Math.max(from, removed.to), to },
    ].filter((part) => part.from < part.to),
  );
}

export function union(left: Ranges, right: Ranges): Ranges {
  return right.reduce(addRange, left);
}

/**
 * At most `max` ranges that hold everything `ranges` hold: the smallest holes are filled. A filled hole is sent
 * once more, which its numbers make harmless; a forgotten range would be lost.
 */
export function boundRanges(ranges: Ranges, max: number): Ranges {
  let bounded = ranges;
  while (bounded.length > max) {
    const hole = smallestHole(bounded);
    bounded = addRange(bounded, hole);
  }
  return bounded;
}

function smallestHole(ranges: Ranges): Range {
  let smallest: Range = { from: 0, to: Infinity };
  for (const [index, { to }] of ranges.slice(0, -1).entries()) {
    const next = ranges[index + 1]?.from ?? to;
    if (next - to < smallest.to - smallest.from) smallest = { from: to, to: next };
  }
  return smallest;
}

export function countOf(ranges: Ranges): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}

export function holds(ranges: Ranges, position: number): boolean {
  return ranges.some(({ from, to }) => from <= position && position < to);
}

/** What of `ranges` lies in `window`. */
export function within(ranges: Ranges, window: Range): Ranges {
  return ranges
    .map(({ from, to }) => ({ from: Math.max(from, window.from), to: Math.min(to, window.to) }))
    .filter(({ from, to }) => from < to);
}
