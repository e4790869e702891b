import type { LatestRow } from '@domicile/core/answers/serving.ts';
import { expect, test } from 'vitest';
import { eventsKeptMax, latestEveryMs, latestLateMsMax, LiveFeed } from './live-feed.ts';

function row(value: number, device = 'd'): LatestRow {
  const at = '2026-11-23T07:00:00.000Z';
  return { device, room: 'r', metric: 'co2', value, unit: '[ppm]', measuredAt: at, receivedAt: at };
}

function valuesOf(events: readonly { text: string }[]): number[] {
  return events.map(({ text }) => Number(/"value":(\d+)/.exec(text)?.[1]));
}

test('a point goes out at once, and then at most once in its time, the newest of what was held', () => {
  const feed = new LiveFeed('f');
  expect(valuesOf(feed.latest([row(1)], 0))).toEqual([1]);
  expect(feed.latest([row(2)], 3_000)).toEqual([]);
  expect(feed.latest([row(3)], 6_000)).toEqual([]);
  expect(feed.due(latestEveryMs - 1)).toEqual([]);
  expect(valuesOf(feed.due(latestEveryMs))).toEqual([3]);
  expect(feed.due(3 * latestEveryMs)).toEqual([]);
});

test('one late event does not make all after it late, and a long silence buys nothing', () => {
  const feed = new LiveFeed('f');
  expect(valuesOf(feed.latest([row(1)], 0))).toEqual([1]);
  expect(valuesOf(feed.latest([row(2)], latestEveryMs + latestLateMsMax))).toEqual([2]);
  expect(valuesOf(feed.latest([row(3)], 2 * latestEveryMs))).toEqual([3]);
  expect(valuesOf(feed.latest([row(4)], 9 * latestEveryMs))).toEqual([4]);
  expect(feed.latest([row(5)], 10 * latestEveryMs - 1)).toEqual([]);
});

test('points do not hold each other', () => {
  const feed = new LiveFeed('f');
  expect(valuesOf(feed.latest([row(1, 'a'), row(2, 'b')], 0))).toEqual([1, 2]);
  expect(valuesOf(feed.latest([row(3, 'a'), row(4, 'c')], 1))).toEqual([4]);
});

test('an event is one of text/event-stream, with its id', () => {
  const [event] = new LiveFeed('f').latest([row(1)], 0);
  expect(event?.text).toMatch(/^id: f-1\nevent: latest\ndata: \{.*\}\n\n$/);
});

test('a reader who comes back gets what it missed', () => {
  const feed = new LiveFeed('f');
  for (let value = 1; value <= 5; value += 1) feed.latest([row(value, `d${value}`)], 0);
  expect(valuesOf(feed.after('f-2') ?? [])).toEqual([3, 4, 5]);
  expect(feed.after('f-5')).toEqual([]);
  expect(feed.lastEventId).toBe('f-5');
});

test('what is too old, of another feed or not yet said cannot be resumed', () => {
  const feed = new LiveFeed('f');
  for (let at = 0; at < 2 * eventsKeptMax + 1; at += 1) feed.latest([row(at, `d${at}`)], 0);
  expect(feed.after('f-1')).toBeUndefined();
  expect(feed.after(`f-${eventsKeptMax + 2}`)).toHaveLength(eventsKeptMax - 1);
  expect(feed.after('g-2')).toBeUndefined();
  expect(feed.after('f-99999999')).toBeUndefined();
  expect(feed.after('nonsense')).toBeUndefined();
});
