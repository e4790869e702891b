import { expect, test } from 'vitest';
import { Rate } from './rate.ts';

const max = { messagesPerSecond: 1000, bytesPerSecond: 100_000 };

/** Sends as fast as it is let; gives how many went in so many milliseconds, and what held them. */
function flood(bytes: number, untilMs: number) {
  const rate = new Rate(max, 0);
  const limits = new Set<string>();
  let sent = 0;
  for (let nowMs = 0; nowMs < untilMs;) {
    const held = rate.take(bytes, nowMs);
    sent += 1;
    if (!held) continue;
    limits.add(held.limit);
    nowMs += held.holdMs;
  }
  return { sent, limits: [...limits].toSorted() };
}

test('small messages are bound by their number: a burst of two seconds, then the rate', () => {
  const { sent, limits } = flood(10, 10_000);
  expect(sent).toBeGreaterThan(11_800);
  expect(sent).toBeLessThan(12_200);
  expect(limits).toEqual(['messages', 'peak']);
});

test('large messages are bound by their bytes', () => {
  const { sent, limits } = flood(1000, 10_000);
  expect(sent).toBeGreaterThan(1180);
  expect(sent).toBeLessThan(1220);
  expect(limits).toContain('bytes');
});

test('a burst does not come all at once', () => {
  const { sent } = flood(10, 100);
  expect(sent).toBeGreaterThan(300);
  expect(sent).toBeLessThan(600);
});

test('who keeps to the rate is never held', () => {
  const rate = new Rate(max, 0);
  for (let nowMs = 0; nowMs < 10_000; nowMs += 1) expect(rate.take(50, nowMs)).toBeUndefined();
});
