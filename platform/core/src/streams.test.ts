import { expect, test } from 'vitest';
import {
  grantsOf,
  rights,
  type StreamName,
  streamNames,
  streams,
  topicConfigsOf,
  topicOf,
} from './streams.ts';

test('a topic is named by country, stream and version', () => {
  expect(topicOf('DE', 'command-states')).toBe('de.command-states.v1');
  expect(streamNames).toHaveLength(Object.keys(streams).length);
});

test('what clients are served from has no way to raw', () => {
  const raw = new Set(['telemetry', 'backfill', 'readings', 'quarantine']);
  for (const principal of ['serving', 'serving-builder', 'front', 'commands'] as const)
    expect(rights[principal].reads.filter((name) => raw.has(name))).toEqual([]);
});

const writersOf = (stream: StreamName) =>
  Object.entries(rights)
    .filter(([, { writes }]) => writes.some((one) => one === stream))
    .map(([principal]) => principal);

test('only the task writes what is derived, and the eraser takes out newest values', () => {
  expect(writersOf('latest')).toEqual(['task', 'eraser']);
  for (const stream of ['readings', 'summaries', 'account', 'state', 'journal'] as const) {
    expect(writersOf(stream)).toEqual(['task']);
  }
});

test('a right names the topics of the country, and groups and transactions by their beginning', () => {
  expect(grantsOf('DE', 'lander')).toEqual([
    { resource: 'topic', name: 'de.readings.v1', isPrefix: false, operation: 'read' },
    { resource: 'topic', name: 'de.quarantine.v1', isPrefix: false, operation: 'read' },
    { resource: 'group', name: 'lander', isPrefix: true, operation: 'read' },
    { resource: 'transactional-id', name: 'lander', isPrefix: true, operation: 'write' },
  ]);
  expect(grantsOf('DE', 'front')).toEqual([]);
});

test('what is kept for a time says so, and two replicas must have a record where there are three', () => {
  expect(topicConfigsOf('quarantine', 3)).toEqual({
    'cleanup.policy': 'delete',
    'min.insync.replicas': '2',
    'retention.ms': `${30 * 86_400_000}`,
    'segment.ms': '86400000',
  });
  expect(topicConfigsOf('registry', 1)).toMatchObject({
    'cleanup.policy': 'compact',
    'min.insync.replicas': '1',
  });
});
