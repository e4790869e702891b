import { expect, test } from 'vitest';
import { type QueueLimits, QueueState, type Result } from './queue-state.ts';

const limits: QueueLimits = {
  concurrency: 3,
  perSecond: 1_000,
  burst: 1_000,
  backoffMsMin: 500,
  backoffMsMax: 300_000,
  changedPauseMs: 1_000,
};
const queue = (others: Partial<QueueLimits> = {}) =>
  new QueueState({ ...limits, ...others }, () => 1);

/** Small and good enough: mulberry32. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test('a key that was added often is taken once, in the order of adding', () => {
  const state = queue();
  for (const key of ['a', 'b', 'a', 'a']) state.add(key, 'change', 0);
  expect([state.take(5)?.key, state.take(5)?.key, state.take(5)]).toEqual(['a', 'b', undefined]);
});

test('what changes while it is worked on is looked at once more, and not at once', () => {
  const state = queue();
  state.add('a', 'change', 0);
  state.take(0);
  state.add('a', 'change', 1);
  state.add('a', 'resync', 1);
  expect(state.take(1)).toBeUndefined();
  state.finish('a', { kind: 'done' }, 2);
  expect(state.take(3)).toEqual({ key: 'a', waitedMs: 1 });
  state.finish('a', { kind: 'done' }, 4);
  expect(state.take(5)).toBeUndefined();
  expect(state.waitMs(5)).toBeUndefined();
});

test('changes go before a resync, but not for ever', () => {
  const state = queue();
  state.add('old', 'resync', 0);
  state.add('new', 'change', 10);
  expect(state.take(20)?.key).toBe('new');
  state.add('newer', 'change', 40_000);
  expect(state.take(40_000)?.key).toBe('old');
});

test('pauses double up to their limit and begin anew after a success', () => {
  const state = queue();
  const pauses: number[] = [];
  let now = 0;
  state.add('a', 'change', now);
  for (let attempt = 0; attempt < 12; attempt += 1) {
    expect(state.take(now)?.key).toBe('a');
    state.finish('a', { kind: 'failed' }, now);
    pauses.push(state.waitMs(now) ?? -1);
    expect(state.take(now + (pauses.at(-1) ?? 0) - 1)).toBeUndefined();
    now += pauses.at(-1) ?? 0;
  }
  expect(pauses).toEqual([
    500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000,
  ]);
  state.take(now);
  state.finish('a', { kind: 'done' }, now);
  expect(state.failuresOf('a')).toBe(0);
});

test('a change cuts a pause short, to a second; a resync does not', () => {
  const state = queue();
  state.add('a', 'change', 0);
  for (let now = 0, n = 0; n < 6; n += 1) {
    state.take(now);
    state.finish('a', { kind: 'failed' }, now);
    now += state.waitMs(now) ?? 0;
    if (n < 5) continue;
    const failedAt = now - 16_000;
    state.add('a', 'resync', failedAt + 10);
    expect(state.waitMs(failedAt + 10)).toBe(15_990);
    state.add('a', 'change', failedAt + 10);
    expect(state.waitMs(failedAt + 10)).toBe(990);
  }
});

test('many changes of a key that rests between looks are one look, and none is lost', () => {
  const state = queue({ restMs: 1_000 });
  state.add('a', 'change', 0);
  expect(state.take(0)?.key).toBe('a');
  state.add('a', 'change', 10);
  state.finish('a', { kind: 'done' }, 20);
  for (let now = 20; now < 1_020; now += 10) {
    state.add('a', 'change', now);
    expect(state.take(now)).toBeUndefined();
  }
  expect(state.take(1_020)?.key).toBe('a');
  state.finish('a', { kind: 'again', afterMs: 10 }, 1_030);
  expect(state.waitMs(1_030)).toBe(1_000);
  state.add('b', 'change', 1_030);
  expect(state.take(1_030)?.key).toBe('b');
  expect(state.take(2_030)?.key).toBe('a');
  state.finish('a', { kind: 'done' }, 2_031);
  state.add('a', 'change', 9_000);
  expect(state.take(9_000)?.key).toBe('a');
});

test('the rate holds over all keys', () => {
  const state = queue({ concurrency: 100, perSecond: 10, burst: 5 });
  for (let n = 0; n < 50; n += 1) state.add(`${n}`, 'change', 0);
  let taken = 0;
  for (let now = 0; now <= 1_000; now += 10) while (state.take(now)) taken += 1;
  expect(taken).toBe(15);
});

test.each([1, 2, 3, 4])('no key is lost, and none runs twice at once (seed %i)', (seed) => {
  const random = dice(seed);
  for (let round = 0; round < 20; round += 1) {
    const state = new QueueState(
      {
        ...limits,
        concurrency: 1 + Math.trunc(random() * 4),
        restMs: round % 2 === 0 ? 0 : 700,
      },
      random,
    );
    const running = new Map<string, { dirty: boolean }>();
    /** Whose last change no look has begun after. */
    const owed = new Set<string>();
    const results: (() => Result)[] = [
      () => ({ kind: 'done' }),
      () => ({ kind: 'again', afterMs: random() * 10_000 }),
      () => ({ kind: 'failed' }),
    ];
    let now = 0;
    const take = () => {
      const taken = state.take(now);
      if (taken === undefined) return false;
      expect(running.has(taken.key)).toBe(false);
      running.set(taken.key, { dirty: false });
      owed.delete(taken.key);
      return true;
    };
    const finish = (result: Result) => {
      const [key] = running.keys();
      if (key === undefined) return;
      running.delete(key);
      state.finish(key, result, now);
      if (result.kind === 'failed') owed.add(key);
    };
    for (let step = 0; step < 300; step += 1) {
      now += random() * 500;
      const dieRoll = random();
      if (dieRoll < 0.4) {
        const key = `k${Math.trunc(random() * 8)}`;
        owed.add(key);
        state.add(key, random() < 0.5 ? 'change' : 'resync', now);
      } else if (dieRoll < 0.7) take();
      else finish(results[Math.trunc(random() * 3)]?.() ?? { kind: 'done' });
      expect(running.size).toBe(state.running);
    }
    // Left alone, and with every look a success, it comes to rest with nothing owed.
    for (let step = 0; step < 1_000; step += 1) {
      while (take());
      const waitMs = state.waitMs(now);
      if (running.size > 0) finish({ kind: 'done' });
      else if (waitMs === undefined) break;
      else now += waitMs + 0.001;
    }
    expect([...owed]).toEqual([]);
    expect(state.depth + state.running + state.later).toBe(0);
  }
});
