import { expect, test } from 'vitest';
import { parseBuildingId } from './identities.ts';
import { filterMatches, filterStaysIn, parseTopic, topicText } from './topics.ts';

test.each([
  'v1/de-7f3k/r101-air/telemetry',
  'v1/de-7f3k/r101-air/backfill',
  'v1/de-7f3k/r101-air/status',
  'v1/de-7f3k/gateway/account',
  'v1/de-7f3k/r101-air/commands/c-1',
  'v1/de-7f3k/r101-air/command-states/c-1',
])('%s is read and written back', (text) => {
  const topic = parseTopic(text);
  expect(topic && topicText(topic)).toBe(text);
});

test.each([
  '',
  'v2/de-7f3k/r101-air/telemetry',
  'v1/de-7f3k/r101-air',
  'v1/de-7f3k/r101-air/telemetry/',
  'v1/de-7f3k/r101-air/account',
  'v1/de-7f3k/r101-air/commands',
  'v1/de-7f3k/r101-air/toString/x',
  'v1/xx-7f3k/r101-air/telemetry',
  'v1/de-7f3k/R101/telemetry',
  'v1/de-7f3k/r101-air/commands/a/b',
  '/'.repeat(1_000_000),
])('%.40s is no topic', (text) => {
  expect(parseTopic(text)).toBeUndefined();
});

test('a filter stays in its building only by its prefix', () => {
  const building = parseBuildingId('de-7f3k');
  expect(filterStaysIn('v1/de-7f3k/+/commands/+', building)).toBe(true);
  expect(filterStaysIn('v1/de-7f3k/#', building)).toBe(true);
  for (const filter of ['#', 'v1/#', 'v1/+/#', 'v1/de-7f3k-2/#', 'v1/de-7f3k'])
    expect(filterStaysIn(filter, building)).toBe(false);
});

test.each([
  ['a/+/c', 'a/b/c', true],
  ['a/#', 'a', true],
  ['a/#', 'a/b/c', true],
  ['a/+', 'a', false],
  ['a/b', 'a/b/c', false],
  ['+/+', '/x', true],
])('%s on %s: %s', (filter, topic, matches) => {
  expect(filterMatches(filter, topic)).toBe(matches);
});
