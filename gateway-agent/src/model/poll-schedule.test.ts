import { expect, test } from 'vitest';
import { afterAnswer, afterSilence } from './poll-schedule.ts';

const timing = { everyMs: 1000, backOffMsMax: 6000 };

test('a device is asked in its rhythm; what was missed is left out', () => {
  expect(afterAnswer({ dueMs: 5000, failures: 0 }, 5100, timing).dueMs).toBe(6000);
  expect(afterAnswer({ dueMs: 5000, failures: 3 }, 8400, timing)).toEqual({
    dueMs: 9000,
    failures: 0,
  });
});

test('a silent device is asked less and less, up to a bound', () => {
  let state = { dueMs: 0, failures: 0 };
  const waits = [1, 2, 3, 4, 5, 60].map((): number => {
    state = afterSilence(state, 0, timing);
    return state.dueMs;
  });
  expect(waits).toEqual([1000, 2000, 4000, 6000, 6000, 6000]);
  expect(afterSilence({ dueMs: 0, failures: 0 }, 0, { everyMs: 10_000, backOffMsMax: 1 })).toEqual({
    dueMs: 10_000,
    failures: 1,
  });
});
