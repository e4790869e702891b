import { expect, test } from 'vitest';
import { PacketIds } from './packet-ids.ts';
import { seeded, seeds } from './seeded.ts';

test('ids go from 1 to 65,535 and round, past those in flight', () => {
  const ids = new PacketIds(65_533);
  expect([ids.take(), ids.take(), ids.take(), ids.take()]).toEqual([65_534, 65_535, 1, 2]);
  const wrapped = new PacketIds();
  for (let taken = 0; taken < 65_535; taken += 1) wrapped.take();
  expect(wrapped.take()).toBeUndefined();
  wrapped.free(40_000);
  expect(wrapped.take()).toBe(40_000);
});

test.each(seeds.slice(0, 5))('no id is in flight twice, over several rounds (seed %d)', (seed) => {
  const dice = seeded(seed);
  const ids = new PacketIds();
  const inFlight = new Set<number>();
  for (let step = 0; step < 200_000; step += 1) {
    const id = ids.take();
    if (id === undefined || id < 1 || id > 65_535 || inFlight.has(id)) throw new Error(`id ${id}`);
    inFlight.add(id);
    // One in a hundred stays in flight for long.
    const [oldest = id] = inFlight;
    const ended = inFlight.size > 1000 ? oldest : dice(100) > 0 ? id : undefined;
    if (ended === undefined) continue;
    inFlight.delete(ended);
    ids.free(ended);
  }
  expect(inFlight.size).toBeGreaterThan(0);
});
