import { expect, test } from 'vitest';
import { AnswerCache } from './answer-cache.ts';

const answer = (bytes: number) => ({ body: Buffer.alloc(bytes), next: null });

test('it keeps what is asked for, within its bound', () => {
  const cache = new AnswerCache(160);
  for (let at = 0; at < 16; at += 1) cache.put(`${at}`, answer(10));
  expect(cache.get('0')).toBeDefined();
  cache.put('16', answer(10));
  expect(cache.get('0')).toBeDefined();
  expect(cache.get('1')).toBeUndefined();
});

test('a large answer pushes nobody out', () => {
  const cache = new AnswerCache(160);
  cache.put('small', answer(10));
  cache.put('large', answer(11));
  expect(cache.get('large')).toBeUndefined();
  expect(cache.get('small')).toBeDefined();
});
