import { expect, test } from 'vitest';
import { segmentsOf, splitTarget } from './path.ts';

test('a plain path is its segments, decoded once', () => {
  expect(segmentsOf('/v1/data/summaries/dt%3D2026-11-23/x')).toEqual([
    'v1',
    'data',
    'summaries',
    'dt=2026-11-23',
    'x',
  ]);
  expect(splitTarget('/v1/buildings?limit=1?')).toEqual({
    path: '/v1/buildings',
    query: 'limit=1?',
  });
});

test.each([
  '',
  'v1',
  '/',
  '//',
  '/v1/',
  '/v1//x',
  '/v1/./x',
  '/v1/../x',
  '/v1/%2e',
  '/v1/%2E%2e/x',
  '/v1/x%2fy',
  '/v1/x%5Cy',
  '/v1/x\\y',
  '/v1/x%00',
  '/v1/x%0d%0aY',
  '/v1/x%7f',
  '/v1/%252e',
  '/v1/%ff',
  '/v1/%c2%85',
  '/v1/%',
  `/${'x'.repeat(2_000)}`,
])('%j could be read in two ways', (path) => {
  expect(segmentsOf(path)).toBeUndefined();
});
