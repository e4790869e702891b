import { expect, test } from 'vitest';
import { byteRangeOf } from './byte-range.ts';

test.each([
  ['bytes=0-4', { start: 0, end: 5 }],
  ['bytes=2-', { start: 2, end: 10 }],
  ['bytes=-3', { start: 7, end: 10 }],
  ['bytes=8-100', { start: 8, end: 10 }],
  ['bytes=-100', { start: 0, end: 10 }],
])('%s of 10 bytes', (header, range) => {
  expect(byteRangeOf(header, 10)).toEqual(range);
});

test.each([
  undefined,
  '',
  'bytes=',
  'bytes=-',
  'bytes=0-1,3-4',
  'lines=0-1',
  'bytes=a-b',
  'bytes=5-4',
])('%j asks for the whole', (header) => {
  expect(byteRangeOf(header, 10)).toBeUndefined();
});

test.each(['bytes=10-', 'bytes=10-11', 'bytes=-0'])('%s cannot be given', (header) => {
  expect(() => byteRangeOf(header, 10)).toThrow('Cannot give that range');
});
