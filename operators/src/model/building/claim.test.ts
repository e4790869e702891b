import { expect, test } from 'vitest';
import { type Claim, encodeClaim, isOlder, parseClaim, standingOf } from './claim.ts';

const claim: Claim = { namespace: 'north', uid: 'a-1', generation: 3, createdAtMs: 1000 };

test('a claim is written and read, and anything else is none', () => {
  expect(parseClaim(encodeClaim(claim))).toEqual(claim);
  for (const text of [undefined, '', 'north a-1 3', 'north a-1 -3 1000', 'north a-1 3 1000 x'])
    expect(parseClaim(text)).toBeUndefined();
});

test.each<[string, Claim | undefined, string]>([
  ['nobody', undefined, 'free'],
  ['itself', claim, 'mine'],
  ['an older state of itself', { ...claim, generation: 2 }, 'mine'],
  ['a newer state of itself', { ...claim, generation: 4 }, 'stale'],
  ['another', { ...claim, uid: 'a-2' }, 'contested'],
])('what was written for %s is %s', (_whom, written, expected) => {
  expect(standingOf(claim, written)).toBe(expected);
});

test('the older claim is right, and of equal age the first namespace', () => {
  const other = { ...claim, namespace: 'south', uid: 'b' };
  expect(isOlder(claim, other)).toBe(true);
  expect(isOlder(other, claim)).toBe(false);
  expect(isOlder({ ...other, createdAtMs: 999 }, claim)).toBe(true);
});
