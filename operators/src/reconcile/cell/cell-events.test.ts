import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { testHouse } from '../building/test-house.ts';
import { cellEvents } from './cell-events.ts';

const cell = { apiVersion: 'domicile.dev/v1alpha1', kind: 'Cell', metadata: { name: 'de' } };

function house() {
  const notes: string[] = [];
  const lines: string[] = [];
  const { ports, pass } = testHouse();
  const events = cellEvents({
    ...ports,
    registry: new Registry(),
    events: { record: (_cell, { note }) => void notes.push(note) },
    log: createLog('operator', { write: (line) => void lines.push(line) }),
  });
  return { events, notes, lines, pass };
}

test('what a look has brought about is one event, however much it is', () => {
  const { events, notes } = house();
  events.changed(cell, 'Deployment broker', 'is as declared');
  events.changed(cell, 'Service broker', 'is as declared');
  events.looked(cell);
  events.looked(cell);
  expect(notes).toEqual(['Deployment broker: is as declared (and 1 more)']);
});

test('who changes things all the time uses up no more than some events, and the log has all', () => {
  const { events, notes, lines, pass } = house();
  for (let n = 0; n < 100; n += 1) {
    events.changed(cell, `Service s${n}`, 'is as declared again');
    events.looked(cell);
    pass(1_000);
  }
  expect(notes).toHaveLength(8);
  expect(lines.filter((line) => line.includes('Brought about'))).toHaveLength(100);
  events.residency(cell, [
    { concern: 'workloads', reason: 'NodeAbroad', evidence: 'node a is abroad' },
  ]);
  expect(notes.at(-1)).toBe('node a is abroad');
  pass(600_000);
  events.changed(cell, 'Service s0', 'is as declared again');
  events.looked(cell);
  expect(notes).toHaveLength(10);
});
