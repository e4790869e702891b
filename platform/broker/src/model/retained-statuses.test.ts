import { expect, test } from 'vitest';
import { RetainedStatuses } from './retained-statuses.ts';

const status = (device: string, state: 'online' | 'offline') => ({
  building: 'de-a',
  device,
  state,
  at: '2026-01-01T00:00:00.000Z',
  receivedAtMs: 0,
});

test('the last status of a device holds, for a bounded number of devices: the newest', () => {
  const statuses = new RetainedStatuses(2);
  statuses.note(status('a', 'online'), 1n);
  statuses.note(status('b', 'online'), 2n);
  statuses.note(status('a', 'offline'), 3n);
  statuses.note(status('c', 'online'), 4n);
  expect([...statuses.all()].map(({ topic, payload }) => [topic, payload.toString()])).toEqual([
    ['v1/de-a/a/status', '{"state":"offline","at":"2026-01-01T00:00:00.000Z"}'],
    ['v1/de-a/c/status', '{"state":"online","at":"2026-01-01T00:00:00.000Z"}'],
  ]);
});

test('a status that is read late does not take the place of a newer one', () => {
  const statuses = new RetainedStatuses(2);
  statuses.note(status('a', 'online'), 7n);
  statuses.note(status('a', 'offline'), 6n);
  expect(statuses.get('a')?.payload.toString()).toContain('online');
});
