import { expect, test } from 'vitest';
import { rights, streamNames, streams, topicOf } from './streams.ts';

test('a topic is named by country, stream and version', () => {
  expect(topicOf('DE', 'command-states')).toBe('de.command-states.v1');
  expect(streamNames).toHaveLength(Object.keys(streams).length);
});

test('what clients are served from has no way to raw', () => {
  const raw = new Set(['telemetry', 'backfill', 'readings', 'quarantine']);
  for (const principal of ['serving', 'serving-builder', 'front', 'commands'] as const)
    expect(rights[principal].reads.filter((name) => raw.has(name))).toEqual([]);
});

test('only the task writes what is derived', () => {
  for (const stream of [
    'readings',
    'summaries',
    'latest',
    'account',
    'state',
    'journal',
  ] as const) {
    const writers = Object.entries(rights).filter(([, { writes }]) => writes.includes(stream));
    expect(writers.map(([principal]) => principal)).toEqual(['task']);
  }
});
