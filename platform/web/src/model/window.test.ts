import { expect, test } from 'vitest';
import { intervalsFor, ranges, spanOf, stepped } from './window.ts';

const now = Date.parse('2026-11-24T07:03:20Z');

function span(range: (typeof ranges)[number]['name'], zone = 'UTC', given = {}) {
  const { from, to, interval } = spanOf(
    { range, interval: undefined, until: undefined, ...given },
    now,
    zone,
  );
  return [new Date(from).toISOString(), new Date(to).toISOString(), interval];
}

test('a range ends with the window that is open now', () => {
  expect(span('1h')).toEqual(['2026-11-24T06:04:00.000Z', '2026-11-24T07:04:00.000Z', 'PT1M']);
  expect(span('24h')).toEqual(['2026-11-23T07:15:00.000Z', '2026-11-24T07:15:00.000Z', 'PT15M']);
});

test('days begin and end at midnight of the building, also over a change of the clocks', () => {
  expect(span('90d', 'Europe/Berlin')).toEqual([
    '2026-08-26T22:00:00.000Z',
    '2026-11-24T23:00:00.000Z',
    'P1D',
  ]);
});

test.each([
  ['2026-10-25T12:00:00Z', '2026-10-25T23:00:00.000Z'],
  ['2026-03-29T12:00:00Z', '2026-03-29T22:00:00.000Z'],
])('of %s, a day of 25 or 23 hours, the end is its own midnight', (time, end) => {
  const { to } = spanOf(
    { range: '90d', interval: 'P1D', until: Date.parse(time) },
    now,
    'Europe/Berlin',
  );
  expect(new Date(to).toISOString()).toBe(end);
});

test('an interval that would draw too much or too little gives way to the usual one', () => {
  expect(span('7d', 'UTC', { interval: 'PT1M' })[2]).toBe('PT1H');
  expect(span('7d', 'UTC', { interval: 'PT15M' })[2]).toBe('PT15M');
});

test.each(ranges)('the usual interval of $name is one of those offered', ({ name, interval }) => {
  expect(intervalsFor(name)).toContain(interval);
});

test('stepping goes back a range at a time, and forward until now', () => {
  const view = { range: '1h', interval: undefined, until: undefined } as const;
  const earlier = stepped(view, -1, now);
  expect(earlier).toBe(now - 3_600_000);
  expect(stepped({ ...view, until: earlier }, 1, now)).toBeUndefined();
});
