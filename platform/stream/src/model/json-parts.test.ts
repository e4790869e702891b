import { fail } from 'node:assert/strict';

import { expect, test } from 'vitest';
import { JsonParts } from './json-parts.ts';
import { dice } from './simulation.ts';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test.each([
  ['a number beyond all bounds', '1e400'],
  ['more digits than a number has', '12345678901234567890123.50000'],
  ['what looks like structure', String.raw`"}],\"values\":{"`],
  ['an object with spaces and a key said twice', '{ "a" : [ 1 , {} ] , "a":2 }'],
  ['what is nested deep', `${'['.repeat(60_000)}${']'.repeat(60_000)}`],
])('%s is found as it came', (_what, value) => {
  const reading = `{ "seq": 1, "values" :{"other":{},\t"co2" : ${value} , "t":0}}`;
  const payload = `\uFEFF [ null,\n${reading} ,"x" ] `;
  const parts = new JsonParts(Buffer.from(payload));
  expect(text(parts.bytesOf('/1', 'co2'))).toBe(value);
  expect(text(parts.bytesOf('/1', 't'))).toBe('0');
  expect(text(parts.bytesOf('/1'))).toBe(reading);
  expect(text(parts.bytesOf('/2'))).toBe('"x"');
  const alone = new JsonParts(Buffer.from(` ${reading} `));
  expect(text(alone.bytesOf('', 'co2'))).toBe(value);
  expect(text(alone.bytesOf(''))).toBe(` ${reading} `);
});

test('of a key that is said twice the last one counts, as for whoever parses it', () => {
  const parts = new JsonParts(
    Buffer.from(String.raw`{"values":{"t":0},"values":{"t":1,"t":3,"tt":4}}`),
  );
  expect(text(parts.bytesOf('', 't'))).toBe('3');
});

test('what is not there is empty', () => {
  const parts = new JsonParts(Buffer.from('[{"values":3}]'));
  expect(text(parts.bytesOf('/0', 't'))).toBe('');
  expect(text(parts.bytesOf('/9'))).toBe('');
  expect(text(new JsonParts(Buffer.from('not JSON')).bytesOf(''))).toBe('not JSON');
});

test.each([1, 2, 3, 4, 5])('seed %d: every part means what the parsed one does', (seed) => {
  const roll = dice(seed);
  for (let round = 0; round < 200; round += 1) {
    const value = Array.from({ length: 4 }, () => anyReading(roll));
    const sent = JSON.stringify(value, null, pick(roll, ['', ' ', '\t']));
    const parts = new JsonParts(Buffer.from(sent));
    for (const [index, element] of value.entries()) {
      expect(JSON.parse(text(parts.bytesOf(`/${index}`)))).toEqual(element);
      for (const [metric, one] of Object.entries(valuesOf(element)))
        expect(JSON.parse(text(parts.bytesOf(`/${index}`, metric)))).toEqual(one);
    }
  }
});

const texts = [
  'values',
  't',
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\\"',
  'é',
  '\u2028',
  '\ud800',
  '',
];

function pick<Value>(roll: () => number, from: readonly Value[]): Value {
  return from[Math.trunc(roll() * from.length)] ?? fail('nothing to pick from');
}

/** Without a backslash: V8 13.6 reads the key `"\\""` as `\\` where an object with that key was parsed before. */
const anyKey = (roll: () => number): string => anyText(roll).replaceAll(/[\\"]/g, '');

const anyText = (roll: () => number): string =>
  Array.from({ length: Math.trunc(roll() * 4) }, () => pick(roll, texts)).join('');

function anyJson(roll: () => number, depth = 3): unknown {
  const of = Math.trunc(roll() * (depth > 0 ? 6 : 4));
  if (of === 0) return pick(roll, [0, -1.5e-9, 1e21, 7]);
  if (of === 1) return anyText(roll);
  if (of === 2) return JSON.parse(pick(roll, ['true', 'false', 'null']));
  if (of === 3) return pick(roll, [[], {}]);
  const parts = Array.from({ length: 3 }, () => anyJson(roll, depth - 1));
  return of === 4 ? parts : Object.fromEntries(parts.map((part) => [anyKey(roll), part]));
}

function anyReading(roll: () => number): unknown {
  if (roll() < 0.3) return anyJson(roll);
  const values = Array.from({ length: 4 }, () => [anyKey(roll), anyJson(roll)] as const);
  return { note: anyJson(roll), values: Object.fromEntries(values), [anyKey(roll)]: 1 };
}

function valuesOf(element: unknown): object {
  if (typeof element !== 'object' || element === null || !('values' in element)) return {};
  const { values } = element;
  return typeof values === 'object' && values !== null && !Array.isArray(values) ? values : {};
}
