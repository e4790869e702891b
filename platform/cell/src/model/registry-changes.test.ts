import { buildingsOf } from '@domicile/core/values.ts';
import { expect, test } from 'vitest';
import { registryChanges } from './registry-changes.ts';

const values = (client: string, ...ids: string[]) =>
  buildingsOf(
    {
      roomTypes: { room: { air: 'air-quality' } },
      buildings: Object.fromEntries(
        ids.map((id) => [
          id,
          { client, timeZone: 'Europe/Berlin', floors: { '1': { rooms: { r1: 'room' } } } },
        ]),
      ),
    },
    'DE',
  );
const registry = (records: ReturnType<typeof values>) =>
  new Map(records.map((record) => [record.id, { ...record, passwordHash: 'scrypt$1' }]));

test('nothing is written when nothing changed, and credentials stay', () => {
  const declared = values('acme', 'de-a');
  expect(registryChanges(declared, registry(declared))).toEqual({
    records: [],
    added: [],
    changed: [],
    offboarded: [],
  });
});

test('what is new is added, and what is no longer declared is offboarded, not removed', () => {
  const changes = registryChanges(values('acme', 'de-b'), registry(values('acme', 'de-a')));
  expect(changes).toMatchObject({ added: ['de-b'], offboarded: ['de-a'], changed: [] });
  expect(changes.records.map(({ id, state }) => [id, state])).toEqual([
    ['de-b', 'active'],
    ['de-a', 'offboarded'],
  ]);
});

test('a building that is declared again is served again', () => {
  const declared = values('acme', 'de-a');
  const [record] = [...registry(declared).values()];
  const present = new Map(record && [['de-a', { ...record, state: 'offboarded' as const }]]);
  expect(registryChanges(declared, present)).toMatchObject({ changed: ['de-a'], added: [] });
});

test('a building never changes hands', () => {
  expect(() => registryChanges(values('other', 'de-a'), registry(values('acme', 'de-a')))).toThrow(
    expect.objectContaining({ code: 'CONFLICT' }),
  );
});
