import { expect, test } from 'vitest';
import {
  type CommandBook,
  type HeldCommand,
  emptyBook,
  endedMax,
  isEnded,
  moveCommand,
  openCommands,
  receiveCommand,
  reopen,
  reported,
} from './command-book.ts';

const command = (id: string): HeldCommand => ({
  id,
  device: 'r101-thermostat',
  set: { target_temperature: 22 },
  expiresAt: undefined,
  state: 'delivered',
});

const statesOf = ({ reports }: CommandBook) => reports.map(({ id, state }) => `${id} ${state}`);

test('every state of a command is told, in its order', () => {
  const steps = [{ state: 'applying' }, { state: 'applied' }] as const;
  const book = steps.reduce(
    (sum, step) => moveCommand(sum, { id: 'c1', ...step }, 0),
    receiveCommand(emptyBook, command('c1'), 0),
  );
  expect(statesOf(book)).toEqual(['c1 delivered', 'c1 applying', 'c1 applied']);
  expect(openCommands(book)).toEqual([]);
  expect(statesOf(reported(book, 0))).toEqual(['c1 applying', 'c1 applied']);
});

test('a command that comes again is not carried out again; its last state is told again', () => {
  const first = receiveCommand(emptyBook, command('c1'), 0);
  expect(receiveCommand(first, command('c1'), 1)).toBe(first);
  const told = reported(moveCommand(first, { id: 'c1', state: 'failed', reason: 'stuck' }, 1), 0);
  const settled = reported(told, 1);
  expect(statesOf(settled)).toEqual([]);
  const again = receiveCommand(settled, command('c1'), 2);
  expect(statesOf(again)).toEqual(['c1 failed']);
  expect(again.commands).toHaveLength(1);
});

test('what was being applied when the agent stopped is unknown; what was delivered stays open', () => {
  let book = receiveCommand(emptyBook, command('c1'), 0);
  book = receiveCommand(book, command('c2'), 0);
  book = reopen(moveCommand(book, { id: 'c1', state: 'applying' }, 1), 2);
  expect(statesOf(book).at(-1)).toBe('c1 unknown');
  expect(openCommands(book).map(({ id }) => id)).toEqual(['c2']);
});

test('an ended command does not move', () => {
  const ended = moveCommand(
    receiveCommand(emptyBook, command('c1'), 0),
    { id: 'c1', state: 'applied' },
    1,
  );
  expect(moveCommand(ended, { id: 'c1', state: 'failed' }, 2)).toBe(ended);
  expect(moveCommand(ended, { id: 'c9', state: 'failed' }, 2)).toBe(ended);
});

test('open commands are never forgotten, ended ones beyond a bound are', () => {
  let book = receiveCommand(emptyBook, command('open'), 0);
  for (let n = 0; n < endedMax + 10; n += 1) {
    book = receiveCommand(book, command(`c${n}`), 0);
    book = moveCommand(book, { id: `c${n}`, state: 'applied' }, 0);
  }
  expect(book.commands.filter(isEnded)).toHaveLength(endedMax);
  expect(openCommands(book).map(({ id }) => id)).toEqual(['open']);
});
