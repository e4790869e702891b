import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { fuzz } from './test-fuzz.ts';

const seed = randomInt(2 ** 31);

test(`1,000,000 mutated packets: no crash, no leak, others lose nothing (seed ${seed})`, async () => {
  const { packets, acked, received, ...report } = await fuzz(1_000_000, seed);
  process.stdout.write(`${JSON.stringify({ packets, good: acked.length, ...report })}\n`);
  expect(packets).toBeGreaterThanOrEqual(1_000_000);
  expect(acked.length).toBeGreaterThan(900);
  expect(received).toEqual(acked);
  expect(report).toMatchObject({ connectionsLeft: 0, sessionsLeft: 0 });
  expect(report.heapGrownBytes).toBeLessThan(4_000_000);
});
