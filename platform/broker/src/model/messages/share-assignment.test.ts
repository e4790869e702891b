import { expect, test } from 'vitest';
import { readerOf } from './share-assignment.ts';

const places = Array.from({ length: 64 }, (_, partition) => `mqtt-messages/${partition}`);
const group = 'workers/jobs/#';

test('every place has one reader, whatever the order in which replicas are known', () => {
  for (const place of places) {
    const reader = readerOf(group, place, ['a', 'b', 'c']);
    expect(['a', 'b', 'c']).toContain(reader);
    expect(readerOf(group, place, ['c', 'a', 'b'])).toBe(reader);
  }
  expect(readerOf(group, 'x', [])).toBeUndefined();
});

test('places are spread over the replicas', () => {
  const readers = places.map((place) => readerOf(group, place, ['a', 'b']));
  const ofA = readers.filter((reader) => reader === 'a').length;
  expect(ofA).toBeGreaterThan(16);
  expect(ofA).toBeLessThan(48);
});

test('only what a replica read moves when it goes', () => {
  const stay = places.filter((place) => readerOf(group, place, ['a', 'b', 'c']) !== 'c');
  expect(stay.length).toBeGreaterThan(0);
  expect(stay.map((place) => readerOf(group, place, ['a', 'b']))).toEqual(
    stay.map((place) => readerOf(group, place, ['a', 'b', 'c'])),
  );
});
