import { expect, test } from 'vitest';
import { ago, clockTime, dayAndTime, duration, shortDay, startOfDay, zoneName } from './time.ts';

const summer = Date.parse('2026-07-01T10:05:00Z');

test('times are those of the zone, and the zone is named with its offset', () => {
  expect(clockTime(summer, 'Europe/Berlin')).toBe('12:05');
  expect(dayAndTime(summer, 'America/Chicago')).toBe('Wed 1 Jul, 05:05');
  expect(shortDay(summer, 'Pacific/Auckland')).toBe('Wed 1 Jul');
  expect(zoneName('America/New_York', summer)).toBe('New York time, GMT-4');
});

test.each([
  ['2026-07-01T10:05:00Z', 'Europe/Berlin', '2026-06-30T22:00:00.000Z'],
  ['2026-06-30T22:00:00Z', 'Europe/Berlin', '2026-06-30T22:00:00.000Z'],
  ['2026-10-25T22:30:00Z', 'Europe/Berlin', '2026-10-24T22:00:00.000Z'],
  ['2026-03-29T21:59:59Z', 'Europe/Berlin', '2026-03-28T23:00:00.000Z'],
  ['2026-07-01T10:05:00Z', 'Asia/Kathmandu', '2026-06-30T18:15:00.000Z'],
  // There the clocks go from midnight to one o'clock, so the day begins at one.
  ['2026-09-06T18:00:00Z', 'America/Santiago', '2026-09-06T04:00:00.000Z'],
])('the day of %s in %s began at %s', (time, zone, start) => {
  expect(new Date(startOfDay(Date.parse(time), zone)).toISOString()).toBe(start);
});

test.each([
  [-500, 'now'],
  [3_000, '3 s ago'],
  [14 * 60_000, '14 min ago'],
  [26 * 3_600_000, '26 h ago'],
  [72 * 3_600_000, '3 days ago'],
])('%i ms later it is said to be %s', (ms, words) => {
  expect(ago(summer, summer + ms)).toBe(words);
});

test('durations have one unit', () => {
  expect([10_000, 300_000, 3_600_000].map((ms) => duration(ms))).toEqual(['10 s', '5 min', '1 h']);
});
