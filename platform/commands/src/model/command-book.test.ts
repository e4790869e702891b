import type { CommandRecord } from '@domicile/core/command.ts';
import { expect, test } from 'vitest';
import { CommandBook, commandKeptMs } from './command-book.ts';
import { expiryGraceMs } from './command-life.ts';

const acceptedAtMs = Date.UTC(2026, 10, 23, 7);
const expiresAt = '2026-11-23T07:05:00.000Z';
const record: CommandRecord = {
  id: 'c1',
  building: 'de-1',
  device: 'd',
  set: { mode: 'eco' },
  expiresAt,
  acceptedAtMs,
  by: 'someone',
  idempotencyKey: 'key',
};
const delivered = { id: 'c1', building: 'de-1', device: 'd', state: 'delivered', at: 't' } as const;

test('states before their command are not lost', () => {
  const book = new CommandBook();
  book.takeState(delivered);
  expect(book.get('de-1', 'c1')).toBeUndefined();
  book.takeCommand(record);
  expect(book.get('de-1', 'c1')?.state).toBe('delivered');
  book.takeCommand(record);
  expect(book.get('de-1', 'c1')?.state).toBe('delivered');
});

test('another building cannot speak for a command', () => {
  const book = new CommandBook();
  book.takeCommand(record);
  book.takeState({ ...delivered, building: 'de-2', state: 'applied' });
  expect(book.get('de-1', 'c1')?.state).toBe('accepted');
  expect(book.get('de-2', 'c1')).toBeUndefined();
});

test('a key finds its command, for who asked and where', () => {
  const book = new CommandBook();
  book.takeCommand(record);
  expect(book.askedBefore('de-1', 'someone', 'key')?.record.id).toBe('c1');
  expect(book.askedBefore('de-1', 'other', 'key')).toBeUndefined();
  expect(book.askedBefore('de-2', 'someone', 'key')).toBeUndefined();
});

test('only what waits expires', () => {
  const book = new CommandBook();
  book.takeCommand(record);
  book.takeCommand({ ...record, id: 'c2', idempotencyKey: null });
  book.takeState({ ...delivered, id: 'c2' });
  const dueMs = Date.parse(expiresAt) + expiryGraceMs;
  expect(book.expired(dueMs - 1)).toEqual([]);
  expect(book.expired(dueMs).map((life) => life.record.id)).toEqual(['c1']);
  book.takeState({ ...delivered, state: 'expired' });
  expect(book.expired(dueMs)).toEqual([]);
});

test('what the stream no longer keeps is forgotten', () => {
  const book = new CommandBook();
  book.takeCommand(record);
  book.forget(acceptedAtMs + commandKeptMs);
  expect(book.get('de-1', 'c1')).toBeDefined();
  book.forget(acceptedAtMs + commandKeptMs + 1);
  expect(book.get('de-1', 'c1')).toBeUndefined();
  expect(book.askedBefore('de-1', 'someone', 'key')).toBeUndefined();
});
