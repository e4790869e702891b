import type { AccountEntry, NumberRange } from '@domicile/core/account.ts';
import { expect, test } from 'vitest';
import { Numbering } from './numbering.ts';

const minute = 60_000;
const from = Date.UTC(2026, 10, 23, 7);
const whole = { fromMs: from, toMs: from + 60 * minute };

function entry(at: number, more: Partial<AccountEntry>): AccountEntry {
  return {
    device: 'd',
    boot: 'b',
    windowStartMs: from + at * minute,
    received: [],
    quarantined: [],
    duplicates: 0,
    unnumbered: 0,
    unreadable: 0,
    ...more,
  };
}

function received(at: number, ...ranges: NumberRange[]): AccountEntry {
  return entry(at, { received: ranges });
}

function reported(at: number, next: number, closed = false): AccountEntry {
  return entry(at, { reported: { next, dropped: [], closed } });
}

function numbering(...entries: AccountEntry[]): Numbering {
  const made = new Numbering();
  for (const one of entries) made.take(one);
  return made;
}

test('a numbering counts from 0, and what is missing belongs where the next number belongs', () => {
  const made = numbering(received(5, [2, 4]), received(7, [8, 9]));
  expect(made.within(whole)).toMatchObject({
    received: 5,
    missing: [
      [0, 1],
      [5, 7],
    ],
    first: 0,
    last: 9,
    complete: false,
  });
  const early = { fromMs: from, toMs: from + 6 * minute };
  expect(made.within(early)).toMatchObject({ received: 3, missing: [[0, 1]], first: 0, last: 4 });
  const late = { fromMs: from + 6 * minute, toMs: from + 9 * minute };
  expect(made.within(late)).toMatchObject({ received: 2, missing: [[5, 7]], first: 5, last: 9 });
});

test('what the gateway numbered after the last one taken in is missing there', () => {
  const made = numbering(received(5, [0, 4]), reported(6, 8));
  expect(made.within(whole)).toMatchObject({ missing: [[5, 7]], last: 7, complete: true });
  const after = { fromMs: from + 6 * minute, toMs: from + 9 * minute };
  expect(made.within(after)).toMatchObject({ missing: [], first: null });
});

test('a numbering of which nothing came is missing where it was reported', () => {
  const made = numbering(reported(6, 3));
  expect(made.within(whole)).toMatchObject({ received: 0, missing: [[0, 2]], complete: true });
});

test('it is complete once a report covers it or a later numbering has begun', () => {
  expect(numbering(received(1, [0, 4])).within(whole).complete).toBe(false);
  expect(numbering(received(1, [0, 4]), reported(2, 4)).within(whole).complete).toBe(false);
  expect(numbering(received(1, [0, 4]), reported(2, 5)).within(whole).complete).toBe(true);
  expect(numbering(received(1, [0, 9]), reported(2, 5, true)).within(whole).complete).toBe(true);
});

test('a quarantined number is not missing', () => {
  const made = numbering(received(1, [0, 3], [5, 6]), entry(1, { quarantined: [[4, 4]] }));
  expect(made.within(whole)).toMatchObject({ received: 6, quarantined: 1, missing: [] });
});

test('records in any order, cut anywhere and repeated, add up to the same', () => {
  const taken = [...Array.from({ length: 100 }).keys()].filter((number) => number % 7 !== 3);
  const entries = taken.map((number) => received(Math.floor(number / 6), [number, number]));
  const inOrder = numbering(...entries).within(whole);
  for (let seed = 1; seed <= 20; seed += 1) {
    const order = (at: number) => (at * 37 * seed) % 101;
    const shuffled = entries.toSorted((a, b) => {
      const [x = [0, 0], y = [0, 0]] = [a.received[0], b.received[0]];
      return order(x[0]) - order(y[0]);
    });
    expect(numbering(...shuffled, ...entries).within(whole), `seed ${seed}`).toEqual(inOrder);
  }
  expect(inOrder.received).toBe(taken.length);
  expect(inOrder.missing).toHaveLength(14);
});

test('a range over numbers that are there takes only the others', () => {
  const made = numbering(received(1, [3, 4], [8, 8]), received(2, [0, 10]));
  const first = made.within({ fromMs: from + minute, toMs: from + 2 * minute });
  const second = made.within({ fromMs: from + 2 * minute, toMs: from + 3 * minute });
  expect([first.received, second.received]).toEqual([3, 8]);
});

test('duplicates count in their minute', () => {
  const made = numbering(entry(1, { duplicates: 2 }), entry(1, { duplicates: 1 }));
  expect(made.within(whole).duplicates).toBe(3);
  expect(made.within({ fromMs: from, toMs: from + minute }).duplicates).toBe(0);
});
