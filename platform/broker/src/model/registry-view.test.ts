import { expect, test } from 'vitest';
import { RegistryView } from './registry-view.ts';

const record = (more: object = {}) =>
  Buffer.from(
    JSON.stringify({ id: 'de-a', country: 'DE', state: 'active', passwordHash: null, ...more }),
  );

test('the last record of a building holds', () => {
  const view = new RegistryView('DE');
  expect(view.note('de-a', record(), 3n)).toBe('changed');
  expect(view.active('de-a')).toMatchObject({ offset: '3', passwordHash: null });
  view.note('de-a', record({ passwordHash: 'h' }), 4n);
  expect(view.active('de-a')).toMatchObject({ offset: '4', passwordHash: 'h' });
  view.note('de-a', record({ state: 'offboarded' }), 5n);
  expect(view.active('de-a')).toBeUndefined();
  view.note('de-a', record(), 6n);
  expect(view.note('de-a', null, 7n)).toBe('removed');
  expect(view.active('de-a')).toBeUndefined();
});

test('quotas are those of the last record, and none that cannot be read', () => {
  const view = new RegistryView('DE');
  view.note('de-a', record(), 1n);
  expect(view.active('de-a')?.quotas).toEqual({});
  view.note('de-a', record({ quotas: { messagesPerSecond: 5, connections: 2 } }), 2n);
  expect(view.active('de-a')?.quotas).toEqual({ messagesPerSecond: 5, connections: 2 });
  expect(view.note('de-a', record({ quotas: { connections: 'many' } }), 3n)).toBe('changed');
  expect(view.active('de-a')?.quotas).toEqual({});
});

test.each([
  ['no JSON', 'de-a', Buffer.from('{')],
  ['another building', 'de-b', record()],
  ['another country', 'us-a', record({ id: 'us-a', country: 'US' })],
  ['a country that lies', 'us-a', record({ id: 'us-a' })],
  ['no building', '__proto__', record({ id: '__proto__' })],
  ['a state of its own', 'de-a', record({ state: 'half' })],
])('%s is not believed', (_name, key, value) => {
  const view = new RegistryView('DE');
  expect(view.note(key, value, 1n)).toBe('unreadable');
  expect(view.active(key)).toBeUndefined();
});

test('names of objects are no buildings', () => {
  const view = new RegistryView('DE');
  expect([view.active('__proto__'), view.active('constructor')]).toEqual([undefined, undefined]);
});
