import { expect, test } from 'vitest';
import { limitHeaders, Limits } from './limits.ts';

const policy = { requests: 4, windowMs: 1_000, subjectsMax: 3 };

test('a subject may ask as often as its window says, and again when it is refilled', () => {
  const limits = new Limits(policy);
  const admitted = (now: number) => limits.admit('anna', now).isAdmitted;
  expect([0, 0, 0, 0, 0].map(admitted)).toEqual([true, true, true, true, false]);
  expect([240, 250, 251].map(admitted)).toEqual([false, true, false]);
  expect(limits.admit('bert', 251).isAdmitted).toBe(true);
});

test('being refused does not make it longer, and rest does not make it richer', () => {
  const limits = new Limits(policy);
  for (let n = 0; n < 50; n += 1) limits.admit('anna', 0);
  expect(limits.admit('anna', 250).isAdmitted).toBe(true);
  const rested = new Limits(policy);
  rested.admit('anna', 0);
  expect(rested.admit('anna', 1_000_000).remaining).toBe(3);
});

test('a clock that stands or goes back gives nothing away', () => {
  const limits = new Limits(policy);
  for (let n = 0; n < 4; n += 1) limits.admit('anna', 1_000);
  expect(limits.admit('anna', 500).isAdmitted).toBe(false);
});

test('the subject longest unseen is forgotten first', () => {
  const limits = new Limits(policy);
  for (let n = 0; n < 4; n += 1) limits.admit('anna', 0);
  for (const other of ['b', 'c']) limits.admit(other, 0);
  expect(limits.isOpen('anna', 0)).toBe(false);
  limits.admit('anna', 0);
  limits.admit('d', 0);
  expect(limits.isOpen('anna', 0)).toBe(false);
  for (const other of ['e', 'f', 'g']) limits.admit(other, 0);
  expect(limits.isOpen('anna', 0)).toBe(true);
});

test('the headers say what is left, and when to come again', () => {
  const limits = new Limits({ ...policy, windowMs: 60_000 });
  const first = limits.admit('anna', 0);
  expect(limitHeaders({ ...policy, windowMs: 60_000 }, first)).toEqual({
    RateLimit: '"default";r=3;t=15',
    'RateLimit-Policy': '"default";q=4;w=60',
  });
  for (let n = 0; n < 3; n += 1) limits.admit('anna', 0);
  expect(limitHeaders(policy, limits.admit('anna', 0))).toMatchObject({ 'Retry-After': '15' });
});
