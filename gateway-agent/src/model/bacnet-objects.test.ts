import { expect, test } from 'vitest';
import { type BacnetObject, meaningOf, objectMapSchema, wordOf } from './bacnet-objects.ts';

function object(text: string, more: object = {}): BacnetObject {
  const one = objectMapSchema.parse({ value: { object: text, ...more } })['value'];
  if (!one) throw new Error('no object');
  return one;
}

test.each([
  ['analog-input:1', {}, 21.5, 21.5],
  ['analog-value:1', { from: '[degF]', to: 'Cel' }, 68, 20],
  ['binary-input:3', {}, 1, true],
  ['binary-value:3', {}, 0, false],
  ['binary-value:3', { true: [0], false: [1] }, 0, true],
  ['multi-state-value:2', {}, 3, 3],
  ['characterstring-value:9', {}, 'eco', 'eco'],
])('%s by %j: %j means %j', (text, more, told, value) => {
  expect(meaningOf(object(text, more), told)).toEqual({ value });
});

test.each([
  ['analog-value:1', {}, 21.4, { tag: 4, value: Math.fround(21.4) }],
  ['analog-output:1', { from: '[degF]', to: 'Cel' }, 20, { tag: 4, value: 68 }],
  ['large-analog-value:1', {}, 21.4, { tag: 5, value: 21.4 }],
  ['binary-output:1', {}, true, { tag: 9, value: 1 }],
  ['binary-output:1', { true: [0], false: [1] }, true, { tag: 9, value: 0 }],
  ['multi-state-value:1', {}, 2, { tag: 2, value: 2 }],
  ['integer-value:1', {}, -2, { tag: 3, value: -2 }],
])('%s by %j is set to %j by %j', (text, more, value, word) => {
  expect(wordOf(object(text, { write: true, ...more }), value)).toEqual(word);
});

test('what cannot be set, and what contradicts itself, is said', () => {
  expect(wordOf(object('analog-value:1'), 'warm')).toEqual({ fault: 'must be a number' });
  expect(wordOf(object('binary-value:1'), 1)).toEqual({ fault: 'must be true or false' });
  expect(wordOf(object('multi-state-value:1'), -1)).toEqual({ fault: 'cannot be negative' });
  const read = objectMapSchema.safeParse({
    Temp: { object: 'analog-input:1' },
    a: { object: 'analog-input:1', write: true },
    b: { object: 'characterstring-value:1', write: true },
    c: { object: 'analog-input:1', from: 'Cel' },
  });
  expect(read.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
    'Temp: is no metric name',
    'a: an input cannot be set',
    'b: text cannot be set',
    'c: from and to go together',
  ]);
  expect(objectMapSchema.safeParse({ a: { object: 'toaster:1' } }).success).toBe(false);
});
