import { expect, test } from 'vitest';
import { problemFrom, problemOf } from './problem.ts';

const cell = 'The cell in Germany';

test("a cell's own words are shown, and what to do", () => {
  const body = { title: 'too many requests', detail: 'Cannot answer so often', code: 'limited' };
  expect(problemOf(429, body, cell)).toEqual({
    title: 'Too many requests',
    detail:
      'Cannot answer so often. Too many requests at once. Wait a few seconds, then try again.',
    retriable: true,
    status: 429,
  });
});

test.each([
  [503, true, 'Try again'],
  [404, false, 'choose a building'],
  [401, false, 'Sign out'],
  [418, false, 'something else'],
])('an answer %i without words says what to do', (status, retriable, advice) => {
  const problem = problemOf(status, '<html>', cell);
  expect(problem.title).toBe(`The cell in Germany answered ${status}`);
  expect(problem.retriable).toBe(retriable);
  expect(problem.detail).toContain(advice);
});

test('a fault of the page itself does not show its inside', () => {
  expect(problemFrom(new TypeError('x is undefined')).title).not.toContain('undefined');
});
