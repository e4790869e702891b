import { expect, test } from 'vitest';
import { Cursor } from './cursor.ts';

/** Mulberry32: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const end = 60;

/** One reader over restarts, who settles in any order; `random` decides on every turn. */
class Reader {
  readonly settled = new Set<number>();
  #cursor = new Cursor({ next: 0 });
  #waiting: number[] = [];

  read(): void {
    const offset = this.#cursor.at;
    if (offset >= end) return;
    if (!this.#cursor.wants(offset)) return this.#cursor.reach(offset + 1);
    if (this.settled.has(offset)) throw new Error(`${offset} came again`);
    this.#cursor.give(offset);
    this.#waiting.push(offset);
  }

  settle(random: () => number): void {
    if (this.#waiting.length === 0) return;
    const [offset = -1] = this.#waiting.splice(Math.floor(random() * this.#waiting.length), 1);
    this.#cursor.settle(offset);
    this.settled.add(offset);
  }

  restart(): void {
    this.#cursor = new Cursor(JSON.parse(JSON.stringify(this.#cursor.position())));
    this.#waiting = [];
  }
}

test('over any restarts everything is given until it is settled, and then never again', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = seeded(seed);
    const reader = new Reader();
    for (let step = 0; step < 5_000 && reader.settled.size < end; step += 1) {
      const turn = random();
      if (turn < 0.6) reader.read();
      if (turn > 0.4) reader.settle(random);
      if (turn > 0.98) reader.restart();
    }
    expect(reader.settled.size, `seed ${seed}`).toBe(end);
  }
});

test('what was settled after the position was kept comes again, and nothing else does', () => {
  const before = new Cursor({ next: 5 });
  for (const offset of [5, 6, 7]) before.give(offset);
  before.settle(6);
  const kept = before.position();
  before.settle(5);
  expect(kept).toEqual({ next: 8, pending: [5, 7] });
  const after = new Cursor(kept);
  expect(after.at).toBe(5);
  expect([5, 6, 7, 8].filter((offset) => after.wants(offset))).toEqual([5, 7, 8]);
  expect(after.lowest).toBe(5);
});

test('what somebody else brings to its end is not given again', () => {
  const cursor = new Cursor({ next: 8, pending: [5, 7] }, (offset) => offset === 5);
  expect(cursor.at).toBe(7);
  expect(cursor.wants(5)).toBe(false);
  expect(cursor.position()).toEqual({ next: 8, pending: [7] });
});

test('what was lost before it was given again is no longer waited for', () => {
  const cursor = new Cursor({ next: 8, pending: [5, 7] });
  cursor.reach(7);
  expect(cursor.position()).toEqual({ next: 8, pending: [7] });
  cursor.reach(20);
  expect(cursor.position()).toEqual({ next: 20 });
});

test('what is recalled is given again', () => {
  const cursor = new Cursor({ next: 0 });
  for (const offset of [0, 1, 2]) cursor.give(offset);
  cursor.settle(0);
  cursor.recall(1);
  cursor.recall(0);
  expect(cursor.at).toBe(1);
  expect([0, 1, 2, 3].filter((offset) => cursor.wants(offset))).toEqual([1, 3]);
});
