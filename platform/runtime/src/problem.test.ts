import { PlatformError } from '@domicile/core/errors.ts';
import { expect, test } from 'vitest';
import { problemOf, problemOfAny } from './problem.ts';

test('a client is told the code and the message, not the cause and not the details', () => {
  const error = new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot answer: no data API', {
    cause: new Error('connect 10.0.0.7:443'),
    details: { address: '10.0.0.7', errors: [{ detail: 'x', pointer: '' }] },
  });
  expect(problemOf(error)).toEqual({
    type: '/problems/upstream-unavailable',
    title: 'upstream unavailable',
    status: 503,
    code: 'upstream-unavailable',
    detail: 'Cannot answer: no data API',
  });
});

test('a client is told each fault with its place, and the cell that may answer', () => {
  const errors = [{ detail: 'must be a time', pointer: '#/query/from' }];
  const error = new PlatformError('VALUE_INVALID', 'Cannot read the query', {
    details: { cell: 'https://de.example' },
    faults: errors,
  });
  expect(problemOf(error)).toMatchObject({ status: 400, errors, cell: 'https://de.example' });
});

test('what the HTTP library found is told by its status alone, a bug by nothing', () => {
  const tooLarge = Object.assign(new Error('limit 12'), { status: 413 });
  expect(problemOfAny(tooLarge)).toMatchObject({ status: 413, code: 'payload-too-large' });
  expect(JSON.stringify(problemOfAny(tooLarge))).not.toContain('12');
  for (const bug of [
    new TypeError('x is 3'),
    'thrown',
    Object.assign(new Error(), { status: 302 }),
  ])
    expect(problemOfAny(bug)).toMatchObject({ status: 500, code: 'internal' });
});
