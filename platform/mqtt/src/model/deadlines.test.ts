import { expect, test } from 'vitest';
import { Deadlines, type Waiting } from './deadlines.ts';
import { seeded, seeds } from './seeded.ts';

interface Timed extends Waiting {
  atMs: number;
  dueByMs: number;
}

test.each(seeds)('every item falls due once, within a bucket of its time (seed %d)', (seed) => {
  const dice = seeded(seed);
  const deadlines = new Deadlines<Timed>(10, 1000);
  const waiting = new Set<Timed>();
  let nowMs = 1000;
  const faults: string[] = [];
  for (let step = 0; step < 500; step += 1) {
    const item = [...waiting][dice(waiting.size || 1)];
    const what = dice(4);
    if (what < 2) {
      const set = what === 0 || !item ? { bucket: undefined, atMs: 0, dueByMs: 0 } : item;
      set.atMs = nowMs + dice(500) - 20;
      set.dueByMs = Math.max(set.atMs, nowMs) + 10;
      deadlines.set(set, set.atMs);
      waiting.add(set);
    } else if (what === 2 && item && dice(3) === 0) {
      deadlines.delete(item);
      waiting.delete(item);
    }
    // Now and then the clock jumps.
    nowMs += dice(50) === 0 ? dice(5000) : dice(15);
    for (const due of deadlines.due(nowMs)) {
      if (!waiting.delete(due)) faults.push('due twice');
      if (due.atMs > nowMs) faults.push('early');
    }
    if ([...waiting].some(({ dueByMs }) => dueByMs < nowMs)) faults.push('late');
  }
  expect(faults).toEqual([]);
});

test('never is never', () => {
  const deadlines = new Deadlines<Waiting>(10, 0);
  deadlines.set({ bucket: undefined }, Infinity);
  expect(deadlines.due(Number.MAX_SAFE_INTEGER)).toEqual([]);
});
