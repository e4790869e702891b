import { expect, test } from 'vitest';
import { TopicAliases } from './model/topic-aliases.ts';
import { reason } from './reason-codes.ts';
import { filterTakes, isTopicFilter, isTopicName, parseSubscriptionName } from './topic-filters.ts';

test.each([
  ['a', true],
  ['/', true],
  ['a/b/c', true],
  ['', false],
  ['a/+', false],
  ['#', false],
  ['a\0b', false],
  ['a/b/c/d/e', false],
  ['/'.repeat(60_000), false],
])('%.20s as topic name: %s', (topic, valid) => {
  expect(isTopicName(topic, 4)).toBe(valid);
});

test('a topic of a million levels costs next to nothing', { timeout: 1000 }, () => {
  const topic = '/'.repeat(1_000_000);
  // Looking at every level would take half a minute.
  const rounds = Array.from({ length: 10_000 }, () => topic);
  expect(rounds.some((each) => isTopicName(each, 16) || isTopicFilter(each, 16))).toBe(false);
});

test.each([
  ['#', true],
  ['a/#', true],
  ['+/+', true],
  ['a/+/b', true],
  ['', false],
  ['a#', false],
  ['a/#/b', false],
  ['a+/b', false],
  ['a\0', false],
])('%s as filter: %s', (filter, valid) => {
  expect(isTopicFilter(filter, 4)).toBe(valid);
});

test.each([
  ['a/+/c', 'a/b/c', true],
  ['a/#', 'a', true],
  ['a/#', 'a/b/c', true],
  ['a/+', 'a', false],
  ['+', '/a', false],
  ['/+', '/a', true],
  ['#', '$SYS/x', false],
  ['+/x', '$SYS/x', false],
  ['$SYS/#', '$SYS/x', true],
  ['a/b', 'a/b/c', false],
])('%s takes %s: %s', (filter, topic, takes) => {
  expect(filterTakes(filter, topic)).toBe(takes);
});

test('an alias stands for the last topic that came with it', () => {
  const aliases = new TopicAliases(2);
  expect(aliases.resolve('a', undefined)).toBe('a');
  expect(aliases.resolve('', undefined)).toBe(reason.protocolError);
  expect(aliases.resolve('', 1)).toBe(reason.protocolError);
  expect(aliases.resolve('a', 1)).toBe('a');
  expect(aliases.resolve('', 1)).toBe('a');
  expect(aliases.resolve('b', 1)).toBe('b');
  expect(aliases.resolve('', 1)).toBe('b');
  expect(aliases.resolve('a', 0)).toBe(reason.topicAliasInvalid);
  expect(aliases.resolve('a', 3)).toBe(reason.topicAliasInvalid);
});

test.each([
  ['a/b', { filter: 'a/b', share: undefined }],
  ['$share', { filter: '$share', share: undefined }],
  ['$share/g/a/+/#', { filter: 'a/+/#', share: 'g' }],
  ['$share/g//', { filter: '/', share: 'g' }],
  ['$share/g/$SYS/x', { filter: '$SYS/x', share: 'g' }],
  ['$share/', undefined],
  ['$share/g', undefined],
  ['$share/g/', undefined],
  ['$share//a', undefined],
  ['$share/g+/a', undefined],
  ['$share/#/a', undefined],
  ['$share/g/a#', undefined],
])('%s as the name of a subscription', (name, read) => {
  expect(parseSubscriptionName(name, 16)).toEqual(read);
});
