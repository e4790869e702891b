import { expect, test } from 'vitest';
import { z } from 'zod';
import { compareKeys, cursorText, pageOf, parseCursor } from './page.ts';

const ids = ['b', 'a', 'd', 'c', 'e'];
const keyOf = (id: string) => [id];

test('pages follow each other without a gap or a repeat', () => {
  const seen: string[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < 3; page += 1) {
    const { rows, next } = pageOf(ids, { keyOf, limit: 2, cursor });
    seen.push(...rows);
    cursor = next ?? undefined;
  }
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(cursor).toBeUndefined();
});

test('a full last page has no next', () => {
  expect(pageOf(ids, { keyOf, limit: 5 }).next).toBeNull();
});

test('a row that came between is neither lost nor does it shift the page', () => {
  const { next } = pageOf(ids, { keyOf, limit: 2 });
  const { rows } = pageOf([...ids, 'aa', 'bb'], { keyOf, limit: 2, cursor: next ?? undefined });
  expect(rows).toEqual(['bb', 'c']);
});

test.each(['', 'x', '!!', 'W10', cursorText([7]), Buffer.from('[2,"a"]').toString('base64url')])(
  'the cursor %j is refused',
  (cursor) => {
    expect(() => parseCursor(cursor, z.tuple([z.string()]))).toThrow(/invalid/);
  },
);

test('keys compare part by part', () => {
  expect(compareKeys([1, 'b'], [1, 'a'])).toBeGreaterThan(0);
  expect(compareKeys([1, 'b'], [2, 'a'])).toBeLessThan(0);
  expect(compareKeys([1, 'b'], [1, 'b'])).toBe(0);
});
