import { expect, test } from 'vitest';
import { localDay } from './local-days.ts';

const hours = (zone: string, at: string) => {
  const { startMs, endMs } = localDay(zone, Date.parse(at));
  return [new Date(startMs).toISOString().slice(0, 16), (endMs - startMs) / 3_600_000];
};

test.each([
  ['UTC', '2026-11-23T23:59:59Z', '2026-11-23T00:00', 24],
  ['Europe/Berlin', '2026-11-23T23:30:00Z', '2026-11-23T23:00', 24],
  ['Europe/Berlin', '2026-03-29T12:00:00Z', '2026-03-28T23:00', 23],
  ['Europe/Berlin', '2026-10-25T22:59:59Z', '2026-10-24T22:00', 25],
  ['America/New_York', '2026-11-01T12:00:00Z', '2026-11-01T04:00', 25],
  ['America/New_York', '2026-03-08T05:00:00Z', '2026-03-08T05:00', 23],
  ['Asia/Kathmandu', '2026-06-01T18:14:59Z', '2026-05-31T18:15', 24],
  ['Australia/Lord_Howe', '2026-04-05T00:00:00Z', '2026-04-04T13:00', 24.5],
  ['America/Santiago', '2026-09-06T12:00:00Z', '2026-09-06T04:00', 23],
  ['Africa/Cairo', '2026-04-24T12:00:00Z', '2026-04-23T22:00', 23],
])('%s at %s', (zone, at, start, length) => {
  expect(hours(zone, at)).toEqual([start, length]);
});

test('days follow upon each other', () => {
  let at = Date.UTC(2026, 0, 1);
  for (let day = 0; day < 366; day += 1) {
    const { startMs, endMs } = localDay('America/Santiago', at);
    expect(localDay('America/Santiago', endMs - 1)).toEqual({ startMs, endMs });
    expect(localDay('America/Santiago', endMs).startMs).toBe(endMs);
    at = endMs;
  }
});
