import type { CommandRecord, CommandState } from '@domicile/core/command.ts';
import { expect, test } from 'vitest';
import { CommandBook } from './command-book.ts';

const command = (
  id: string,
  expiresAt = '2026-01-01T00:01:00Z',
  building = 'de-a',
): CommandRecord => ({
  id,
  building,
  device: 'd1',
  set: { on: true },
  expiresAt,
  acceptedAtMs: 0,
  by: 'x',
  idempotencyKey: null,
});
const state = (id: string, said: CommandState, building = 'de-a') => ({
  id,
  building,
  device: 'd1',
  state: said,
  at: '2026-01-01T00:00:00Z',
});
const now = Date.parse('2026-01-01T00:00:00Z');
const ids = (book: CommandBook, at = now) =>
  book.pendingOf('de-a', at).map(({ record }) => record.id);

test('a command is pending until somebody has it', () => {
  const book = new CommandBook(10);
  for (const id of ['a', 'b', 'c', 'd']) book.add(command(id), now);
  book.add(command('a', undefined, 'de-b'), now);
  book.note(state('a', 'accepted'));
  book.note(state('b', 'delivered'));
  book.note(state('c', 'expired'));
  expect(ids(book)).toEqual(['a', 'd']);
  expect(book.size).toBe(3);
});

test('what expired is not sent', () => {
  const book = new CommandBook(10);
  expect(book.add(command('late', '2025-12-31T00:00:00Z'), now)).toBeUndefined();
  expect(book.add(command('odd', 'never'), now)).toBeUndefined();
  book.add(command('a'), now);
  expect(ids(book, now + 59_999)).toEqual(['a']);
  expect(ids(book, now + 60_000)).toEqual([]);
  expect(book.size).toBe(0);
});

test('a state may be read before its command, within a bound', () => {
  const book = new CommandBook(2);
  for (const id of ['a', 'b', 'c']) book.note(state(id, 'applied'));
  expect(book.add(command('a'), now)?.record.id).toBe('a');
  expect(book.add(command('c'), now)).toBeUndefined();
  expect(book.add(command('c', undefined, 'de-b'), now)?.record.id).toBe('c');
});
