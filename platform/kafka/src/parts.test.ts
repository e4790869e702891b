import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { cut, Joiner, type Part, partBytesMax } from './parts.ts';

const record = ({ value, headers }: Part) => ({
  value,
  headers: new Map<string, string>(Object.entries(headers)),
});

test.each([
  ['a short text', '{"commit":1}', 1],
  ['a long text that compresses', 'readings '.repeat(200_000), 1],
  ['a text of several parts', randomBytes(1_200_000).toString('base64'), 3],
])('%s comes back as it was, its parts in any order', (_, text, count) => {
  const parts = cut(7, text);
  expect(parts).toHaveLength(count);
  expect(parts.every(({ value }) => value.length <= partBytesMax)).toBe(true);
  const joiner = new Joiner();
  const answers = parts.toReversed().map((part) => joiner.add(record(part)));
  expect(answers.slice(0, -1).every((answer) => answer === undefined)).toBe(true);
  expect(answers.at(-1)).toEqual({ commit: 7, text });
});

test('a text that lacks a part is never given, and the next one is', () => {
  const [first, ...lacking] = cut(1, randomBytes(1_200_000).toString('base64'));
  const joiner = new Joiner();
  expect(first).toBeDefined();
  expect(lacking.map((part) => joiner.add(record(part)))).toEqual([undefined, undefined]);
  expect(cut(2, 'next').map((part) => joiner.add(record(part)))).toEqual([
    { commit: 2, text: 'next' },
  ]);
});
