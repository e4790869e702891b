import { expect, test } from 'vitest';
import { addNumber, addRange, countOf, type NumberRanges } from './number-ranges.ts';
import { dice } from './simulation.ts';

test.each([1, 2, 3, 4])('ranges hold exactly the numbers that were added (seed %i)', (seed) => {
  const random = dice(seed);
  const ranges: NumberRanges = [];
  const numbers = new Set<number>();
  for (let step = 0; step < 300; step += 1) {
    const first = Math.floor(random() * 200);
    const last = first + (random() < 0.2 ? Math.floor(random() * 10) : 0);
    if (first === last) addNumber(ranges, first);
    else addRange(ranges, first, last);
    for (let number = first; number <= last; number += 1) numbers.add(number);

    const held = ranges.flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, index) => from + index),
    );
    expect(held).toEqual([...numbers].toSorted((a, b) => a - b));
    expect(
      ranges.every(([from], index) => index === 0 || from > (ranges[index - 1]?.[1] ?? 0) + 1),
    ).toBe(true);
    expect(countOf(ranges)).toBe(numbers.size);
  }
});

test('neighbours become one range', () => {
  const ranges: NumberRanges = [
    [0, 3],
    [5, 8],
  ];
  addNumber(ranges, 4);
  expect(ranges).toEqual([[0, 8]]);
});
