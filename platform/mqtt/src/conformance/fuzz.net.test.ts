import { expect, test } from 'vitest';
import { fuzz } from './test-fuzz.ts';

const seed = 20_261_127;

test(`50,000 mutated packets end their own connections at most (seed ${seed})`, async () => {
  const { packets, acked, received, ...report } = await fuzz(50_000, seed);
  expect(packets).toBeGreaterThanOrEqual(50_000);
  expect(acked.length).toBeGreaterThan(40);
  expect(received).toEqual(acked);
  expect(report).toMatchObject({ connectionsLeft: 0, sessionsLeft: 0 });
  expect(report.heapGrownBytes).toBeLessThan(4_000_000);
});
