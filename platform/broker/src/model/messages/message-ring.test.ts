import { expect, test } from 'vitest';
import { MessageRing } from './message-ring.ts';

const bounds = { entriesMax: 3, bytesMax: 100 };

test('it holds the newest, and tells from where on nothing is missing', () => {
  const ring = new MessageRing<{ offset: number; bytes: number }>(10, bounds);
  expect([ring.from, ring.next]).toEqual([10, 10]);
  for (const offset of [11, 13, 14]) ring.push({ offset, bytes: 10 });
  expect([ring.from, ring.next]).toEqual([10, 15]);
  expect([10, 12, 13, 15].map((offset) => ring.since(offset)?.offset)).toEqual([
    11,
    13,
    13,
    undefined,
  ]);
  ring.push({ offset: 16, bytes: 10 });
  expect([ring.from, ring.next]).toEqual([12, 17]);
  expect(ring.since(12)?.offset).toBe(13);
});

test('its bytes are bounded too, and one that is too large is not held', () => {
  const ring = new MessageRing<{ offset: number; bytes: number }>(0, bounds);
  ring.push({ offset: 0, bytes: 60 });
  ring.push({ offset: 1, bytes: 60 });
  expect(ring.from).toBe(1);
  ring.push({ offset: 2, bytes: 101 });
  expect([ring.from, ring.next]).toEqual([3, 3]);
  for (let offset = 3; offset < 100; offset += 1) ring.push({ offset, bytes: 40 });
  expect([ring.from, ring.next, ring.since(0)?.offset]).toEqual([98, 100, 98]);
});

test('records that are no messages move its end', () => {
  const ring = new MessageRing<{ offset: number; bytes: number }>(0, bounds);
  ring.reach(7);
  ring.reach(5);
  expect([ring.from, ring.next, ring.since(0)]).toEqual([0, 7, undefined]);
});
