import type { CommandState } from '@domicile/core/command.ts';
import { expect, test } from 'vitest';
import { acceptedLife, expiryGraceMs, hasExpired, historyMax, withState } from './command-life.ts';

const acceptedAtMs = Date.UTC(2026, 10, 23, 7);
const record = {
  id: 'c1',
  building: 'de-1',
  device: 'd',
  set: { target_temperature: 21 },
  expiresAt: '2026-11-23T07:05:00.000Z',
  acceptedAtMs,
  by: 'someone',
  idempotencyKey: null,
};

function lifeAfter(...states: CommandState[]) {
  return states.reduce(
    (life, state, index) =>
      withState(life, {
        id: 'c1',
        building: 'de-1',
        device: 'd',
        state,
        at: new Date(acceptedAtMs + index + 1).toISOString(),
      }),
    acceptedLife(record),
  );
}

const ways: readonly (readonly [CommandState[], CommandState])[] = [
  [[], 'accepted'],
  [['delivered'], 'delivered'],
  [['delivered', 'applying', 'applied'], 'applied'],
  [['delivered', 'applying', 'failed'], 'failed'],
  [['delivered', 'applying', 'unknown'], 'unknown'],
  [['delivered', 'applying', 'unknown', 'applied'], 'applied'],
  [['delivered', 'applying', 'unknown', 'failed'], 'failed'],
  [['expired'], 'expired'],
  // The cell gave it up, and it was delivered after all.
  [['expired', 'delivered', 'applying'], 'expired'],
  [['expired', 'delivered', 'applying', 'applied'], 'applied'],
  [['failed', 'applied'], 'applied'],
  [['applied', 'failed'], 'applied'],
  [['applied', 'delivered'], 'applied'],
  [['applying', 'delivered'], 'applying'],
];

test.each(ways)('%j is %s, and history keeps all', (states, expected) => {
  const life = lifeAfter(...states);
  expect(life.state).toBe(expected);
  expect(life.history.map(({ state }) => state)).toEqual(['accepted', ...states]);
});

test('the same word again changes nothing', () => {
  const life = lifeAfter('delivered');
  const told = {
    id: 'c1',
    building: 'de-1',
    device: 'd',
    state: 'delivered',
    at: life.at,
  } as const;
  expect(withState(life, told)).toBe(life);
  expect(withState(life, { ...told, state: 'accepted', at: 'x' })).toBe(life);
});

test('it expires only when nobody took it, and 30 s after its time', () => {
  const dueMs = Date.parse(record.expiresAt) + expiryGraceMs;
  expect(hasExpired(lifeAfter(), dueMs - 1)).toBe(false);
  expect(hasExpired(lifeAfter(), dueMs)).toBe(true);
  expect(hasExpired(lifeAfter('delivered'), dueMs)).toBe(false);
  expect(hasExpired(lifeAfter('expired'), dueMs)).toBe(false);
});

test('history is bounded', () => {
  const states = Array.from({ length: 300 }, (): CommandState => 'failed');
  expect(lifeAfter(...states).history).toHaveLength(historyMax);
});
