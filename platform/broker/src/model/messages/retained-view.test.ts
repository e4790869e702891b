import { expect, test } from 'vitest';
import { RetainedView } from './retained-view.ts';

const bounds = { topicsMax: 2, bytesMax: 100 };
const note = (
  view: RetainedView<string>,
  of: { topic: string; offset: number; message: string | undefined; expiresAtMs?: number },
  stored = false,
) =>
  view.note(
    { expiresAtMs: undefined, ...of, bytes: of.message === undefined ? 0 : 40, notedAtMs: 0 },
    stored,
  );
const graceMs = 1_000;

test('the newest message of a topic counts, in whichever order the two logs tell of it', () => {
  const view = new RetainedView<string>(bounds);
  expect(note(view, { topic: 'a', offset: 7, message: 'seven' })).toBe(true);
  expect(note(view, { topic: 'a', offset: 5, message: 'five' }, true)).toBe(false);
  expect(view.get('a', 0)?.message).toBe('seven');
});

test('what is not the last of the compacted log is due to be written, after a grace', () => {
  const view = new RetainedView<string>(bounds);
  note(view, { topic: 'a', offset: 7, message: 'seven' });
  expect(view.sweep(graceMs - 1, graceMs)).toEqual([]);
  expect(view.sweep(graceMs, graceMs).map(({ offset }) => offset)).toEqual([7]);
  note(view, { topic: 'a', offset: 7, message: 'seven' }, true);
  expect(view.sweep(graceMs, graceMs)).toEqual([]);
  // Another replica was slow: its older message is now the one that compaction keeps.
  note(view, { topic: 'a', offset: 5, message: 'five' }, true);
  expect(view.sweep(graceMs, graceMs).map(({ offset }) => offset)).toEqual([7]);
});

test('a deletion holds against what is older, and is forgotten once it is stored', () => {
  const view = new RetainedView<string>(bounds);
  note(view, { topic: 'a', offset: 7, message: 'seven' }, true);
  note(view, { topic: 'a', offset: 8, message: undefined });
  expect([view.get('a', 0), view.count, view.bytes]).toEqual([undefined, 0, 0]);
  expect(note(view, { topic: 'a', offset: 7, message: 'seven' }, true)).toBe(false);
  expect(view.sweep(graceMs, graceMs).map(({ message }) => message)).toEqual([undefined]);
  note(view, { topic: 'a', offset: 8, message: undefined }, true);
  view.sweep(graceMs, graceMs);
  expect([...view.topics()]).toEqual([]);
});

test('what has expired is not given, and becomes a deletion', () => {
  const view = new RetainedView<string>(bounds);
  note(view, { topic: 'a', offset: 7, message: 'seven', expiresAtMs: 50 }, true);
  expect(view.get('a', 49)?.message).toBe('seven');
  expect(view.get('a', 50)).toBeUndefined();
  expect(view.sweep(50 + graceMs, graceMs)).toMatchObject([{ topic: 'a', message: undefined }]);
  expect([view.count, view.bytes]).toEqual([0, 0]);
});

test('topics and bytes are bounded; what replaces counts once', () => {
  const view = new RetainedView<string>(bounds);
  note(view, { topic: 'a', offset: 1, message: 'x' });
  note(view, { topic: 'b', offset: 2, message: 'x' });
  expect([view.takes('c', 1), view.takes('a', 60), view.takes('a', 61)]).toEqual([
    false,
    true,
    false,
  ]);
  note(view, { topic: 'a', offset: 3, message: undefined });
  expect(view.takes('c', 40)).toBe(true);
});
