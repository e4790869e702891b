import { expect, test } from 'vitest';
import { Attempts, attemptLimits } from './attempts.ts';

const { perUserAndAddress, perUser, perAddress, windowMs } = attemptLimits;

test('a guesser is stopped, for a time that is told, and nobody else is', () => {
  const attempts = new Attempts();
  for (let n = 0; n < perUserAndAddress; n += 1) {
    expect(attempts.waitMs('anna', 'a', 1000)).toBe(0);
    attempts.failed('anna', 'a', 1000);
  }
  expect(attempts.waitMs('anna', 'a', 2000)).toBe(windowMs - 1000);
  expect(attempts.waitMs('anna', 'b', 2000)).toBe(0);
  expect(attempts.waitMs('bert', 'a', 2000)).toBe(0);
  expect(attempts.waitMs('anna', 'a', 1000 + windowMs)).toBe(0);
});

test('changing the address or the user does not help for ever', () => {
  const attempts = new Attempts();
  for (let n = 0; n < perUser; n += 1) attempts.failed('anna', `a${n}`, 0);
  expect(attempts.waitMs('anna', 'new', 1)).toBeGreaterThan(0);
  for (let n = 0; n < perAddress; n += 1) attempts.failed(`user${n}`, 'b', 0);
  expect(attempts.waitMs('new', 'b', 1)).toBeGreaterThan(0);
});

test('the right password clears the count, and a new window starts at nothing', () => {
  const attempts = new Attempts();
  for (let n = 1; n < perUserAndAddress; n += 1) attempts.failed('anna', 'a', 0);
  attempts.succeeded('anna', 'a');
  attempts.failed('anna', 'a', 1);
  expect(attempts.waitMs('anna', 'a', 2)).toBe(0);
});

test('what is kept in mind is bounded', () => {
  const attempts = new Attempts({ ...attemptLimits, keysMax: 30, perUserAndAddress: 1 });
  for (let n = 0; n < 100; n += 1) attempts.failed(`u${n}`, `a${n}`, 0);
  expect(attempts.waitMs('u0', 'a0', 1)).toBe(0);
  expect(attempts.waitMs('u99', 'a99', 1)).toBeGreaterThan(0);
});

test('many who log in rightly behind one address lock nobody out', () => {
  const attempts = new Attempts();
  for (let n = 0; n < 2 * perUser; n += 1) {
    expect(attempts.waitMs('anna', 'office', n)).toBe(0);
    attempts.failed('anna', 'office', n);
    attempts.succeeded('anna', 'office');
  }
});
