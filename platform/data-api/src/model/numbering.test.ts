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

test('a device that speaks evenly is a few runs, however long it speaks', () => {
  const made = new Numbering();
  for (let number = 0; number < 6 * 60 * 24 * 7; number += 1)
    made.take(received(Math.floor(number / 6), [number, number]));
  expect(made.runs).toBeLessThan(130);
  const secondDay = { fromMs: from + 1440 * minute, toMs: from + 2880 * minute };
  expect(made.within(secondDay)).toMatchObject({
    received: 8640,
    missing: [],
    first: 8640,
    last: 17_279,
  });
});

test('condensed or not, any period of any numbering is the same', () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = randomOf(seed);
    const minutesOf = arrivalsOf(random);
    const made = new Numbering();
    const all = [...minutesOf];
    const late = all.filter(() => random() < 0.1);
    for (const [number, at] of [...all.filter((one) => !late.includes(one)), ...late])
      made.take(received(at, [number, number]));
    for (let look = 0; look < 20; look += 1) {
      const first = Math.floor(random() * 300);
      const last = first + Math.floor(random() * (300 - first));
      const period = { fromMs: from + first * minute, toMs: from + (last + 1) * minute };
      expect(made.within(period), `seed ${seed}`).toMatchObject(
        expectedOf(minutesOf, (at) => at >= first && at <= last),
      );
    }
  }
});

/** Number → minute: mostly six a minute, some minutes otherwise, some numbers missing. */
function arrivalsOf(random: () => number): Map<number, number> {
  const minutesOf = new Map<number, number>();
  let next = 0;
  for (let at = 0; at < 300; at += 1) {
    const end = next + (random() < 0.8 ? 6 : Math.floor(random() * 9));
    for (; next < end; next += 1) if (random() < 0.98) minutesOf.set(next, at);
  }
  return minutesOf;
}

/** The same answer by looking at every number. */
function expectedOf(minutesOf: ReadonlyMap<number, number>, isWithin: (minute: number) => boolean) {
  let count = 0;
  const missing: [number, number][] = [];
  let due = 0;
  for (const [number, at] of [...minutesOf].toSorted(([a], [b]) => a - b)) {
    if (isWithin(at)) {
      count += 1;
      if (number > due) missing.push([due, number - 1]);
    }
    due = number + 1;
  }
  return { received: count, missing };
}

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
