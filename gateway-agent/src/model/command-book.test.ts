import { expect, test } from 'vitest';
import {
  type CommandBook,
  emptyBook,
  endedMax,
  isEnded,
  moveCommand,
  openCommands,
  receiveCommand,
  reopen,
  reported,
  supersededBy,
} from './command-book.ts';

type Received = Parameters<typeof receiveCommand>[1];

const command = (id: string, more: Partial<Received> = {}): Received => ({
  id,
  device: 'r101-thermostat',
  set: { target_temperature: 22 },
  ...more,
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

function newerThan(id: string, book: CommandBook): string | undefined {
  const held = book.commands.find((one) => one.id === id);
  return held && supersededBy(book, held)?.id;
}

function received(...commands: Received[]): CommandBook {
  return commands.reduce((book, one) => receiveCommand(book, one, 0), emptyBook);
}

test.each(['applying', 'applied', 'unknown'] as const)(
  'an old set point does not undo a newer one that is %s',
  (state) => {
    const book = received(
      command('new', { acceptedAtMs: 2000 }),
      command('old', { acceptedAtMs: 1000, set: { mode: 'eco', target_temperature: 18 } }),
    );
    expect(newerThan('old', book)).toBeUndefined();
    const touched = moveCommand(book, { id: 'new', state }, 0);
    expect(newerThan('old', touched)).toBe('new');
    expect(newerThan('new', touched)).toBeUndefined();
  },
);

test('a waiting command goes by for a newer one that sets all that it sets', () => {
  const both = { mode: 'eco', target_temperature: 18 };
  const book = received(command('a'), command('b', { set: both }), command('c'));
  expect(newerThan('a', book)).toBe('b');
  expect(newerThan('b', book)).toBeUndefined();
  expect(newerThan('c', book)).toBeUndefined();
});

test('a newer command that failed, one of another device and one of another point forbid nothing', () => {
  const book = received(
    command('a'),
    command('failed'),
    command('other-device', { device: 'r102-thermostat' }),
    command('other-point', { set: { mode: 'eco' } }),
  );
  expect(newerThan('a', moveCommand(book, { id: 'failed', state: 'failed' }, 0))).toBeUndefined();
});
