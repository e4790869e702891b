import { expect, test } from 'vitest';
import { nearestWord } from './near-word.ts';

const words = ['url', 'caFile', 'certFile', 'keyFile', 'bytesMax', 'inFlightMax'];

test.each([
  ['urll', 'url'],
  ['cafile', 'caFile'],
  ['ca_file', 'caFile'],
  ['byetsMax', 'bytesMax'],
  ['certFiel', 'certFile'],
  ['inflight_max', 'inFlightMax'],
])('%s was meant to be %s', (word, meant) => {
  expect(nearestWord(word, words)).toBe(meant);
});

test('what is near to nothing is guessed to be nothing', () => {
  expect(nearestWord('colour', words)).toBeUndefined();
  expect(nearestWord('', words)).toBeUndefined();
  expect(nearestWord('x', [])).toBeUndefined();
});
