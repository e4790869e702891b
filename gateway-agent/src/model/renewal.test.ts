import { expect, test } from 'vitest';
import { backOffMs, certificateState, renewalAtMs } from './renewal.ts';

const day = 86_400_000;
const quarter = { fromMs: 0, untilMs: 90 * day };

test('renewal comes at two thirds of the life, give or take three days of ninety', () => {
  expect(renewalAtMs(quarter, 0.5)).toBeCloseTo(60 * day);
  expect(renewalAtMs(quarter, 0)).toBeCloseTo(57 * day);
  expect(renewalAtMs(quarter, 1)).toBeCloseTo(63 * day);
});

test('a certificate is good, due, late, ended', () => {
  const states = [1, 62, 64, 80, 82, 89, 90, 100].map((days) =>
    certificateState(quarter, days * day),
  );
  expect(states).toEqual(['good', 'good', 'due', 'due', 'late', 'late', 'ended', 'ended']);
  expect(certificateState({ fromMs: 5, untilMs: 5 }, 5)).toBe('ended');
});

test('waits double up to ten minutes and are never none', () => {
  expect(backOffMs(1, 0)).toBe(1000);
  expect(backOffMs(1, 1)).toBe(2000);
  expect(backOffMs(4, 1)).toBe(16_000);
  expect(backOffMs(1000, 1)).toBe(600_000);
  expect(backOffMs(1000, 0)).toBe(300_000);
});
