import { expect, test } from 'vitest';
import type { DeviceRow } from './answers.ts';
import { devicesInOrder, healthWords } from './health.ts';

function device(id: string, state: DeviceRow['state']): DeviceRow {
  return { device: id, room: 'r', type: 't', state, lastAt: null, everyMs: 10_000 };
}

test.each([
  [['seen', 'seen'], 'All 2 devices are heard.'],
  [['seen'], 'The one device is heard.'],
  [['seen', 'silent'], 'Of 2 devices, 1 fell silent.'],
  [['silent', 'never-seen', 'never-seen'], 'Of 3 devices, 1 fell silent and 2 were never heard.'],
] as const)('%j in words', (states, headline) => {
  expect(healthWords(states.map((state) => device('d', state))).headline).toBe(headline);
});

test('those that need a look stand first', () => {
  const rows = [
    device('a', 'seen'),
    device('c', 'silent'),
    device('b', 'silent'),
    device('d', 'never-seen'),
  ];
  expect(devicesInOrder(rows).map((row) => row.device)).toEqual(['b', 'c', 'd', 'a']);
});
