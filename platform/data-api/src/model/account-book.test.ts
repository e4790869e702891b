import { expect, test } from 'vitest';
import { AccountBook } from './account-book.ts';

const fromMs = Date.UTC(2026, 10, 23, 7);
const hour = { fromMs, toMs: fromMs + 3_600_000 };
const plain = { received: [], quarantined: [], duplicates: 0, unnumbered: 0, unreadable: 0 };

test('totals add up: expected is received, quarantined and missing', () => {
  const book = new AccountBook();
  const at = { windowStartMs: fromMs + 60_000 };
  book.take({
    building: 'de-1',
    entries: [
      { ...plain, ...at, device: 'a', boot: 'x', received: [[0, 4]], duplicates: 2 },
      { ...plain, ...at, device: 'a', boot: 'x', quarantined: [[6, 6]] },
      { ...plain, ...at, device: 'b', boot: 'y', received: [[1, 1]] },
      { ...plain, ...at, device: 'c', boot: null, unnumbered: 3, unreadable: 1 },
    ],
  });
  const { totals, rows } = book.within('de-1', hour);
  expect(totals).toEqual({
    expected: 9,
    received: 6,
    duplicates: 2,
    quarantined: 1,
    missing: 2,
    unnumbered: 3,
    unreadable: 1,
  });
  expect(
    rows.map(({ device, boot, first, last, missing }) => [device, boot, first, last, missing]),
  ).toEqual([
    ['a', 'x', 0, 6, [[5, 5]]],
    ['b', 'y', 0, 1, [[0, 0]]],
  ]);
});

test('another hour and another building are empty', () => {
  const book = new AccountBook();
  const entry = {
    ...plain,
    device: 'a',
    boot: 'x',
    windowStartMs: fromMs,
    received: [[0, 4] as const],
  };
  book.take({ building: 'de-1', entries: [entry] });
  const before = { fromMs: fromMs - 3_600_000, toMs: fromMs };
  expect(book.within('de-1', before)).toMatchObject({ totals: { expected: 0 }, rows: [] });
  expect(book.within('de-2', hour)).toMatchObject({ totals: { expected: 0 }, rows: [] });
});
