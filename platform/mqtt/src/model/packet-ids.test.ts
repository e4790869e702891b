import { expect, test } from 'vitest';
import { PacketIds } from './packet-ids.ts';
import { seeded, seeds } from './seeded.ts';

test('ids go from 1 to 65,535 and round, past those in flight', () => {
  const ids = new PacketIds(65_533);
  const none = new Set<number>();
  const taken = [1, 2, 3, 4].map(() => ids.take(none));
  expect(taken).toEqual([65_534, 65_535, 1, 2]);
  const all = new Set(Array.from({ length: 65_535 }, (_, index) => index + 1));
  expect(ids.take(all)).toBeUndefined();
  all.delete(40_000);
  expect(ids.take(all)).toBe(40_000);
});

test.each(seeds.slice(0, 5))('no id is in flight twice, over several rounds (seed %d)', (seed) => {
  const dice = seeded(seed);
  const ids = new PacketIds();
  const inFlight = new Set<number>();
  for (let step = 0; step < 200_000; step += 1) {
    const id = ids.take(inFlight);
    if (id === undefined || id < 1 || id > 65_535 || inFlight.has(id)) throw new Error(`id ${id}`);
    inFlight.add(id);
    // One in a hundred stays in flight for long.
    const [oldest = id] = inFlight;
    const ended = inFlight.size > 1000 ? oldest : dice(100) > 0 ? id : undefined;
    if (ended === undefined) continue;
    inFlight.delete(ended);
  }
  expect(inFlight.size).toBeGreaterThan(0);
});
